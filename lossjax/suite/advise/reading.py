"""The images of a question: how they are read, so that a network can have them."""

import contextlib
import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lossjax.suite import config, shortlist
from lossjax.suite.cli.errors import UserError
from lossjax.suite.data import Dataset
from lossjax.suite.data.image_folder import DEFAULT_SIZE, scan
from lossjax.suite.sweep import backend, datasets, notebook, validation
from lossjax.suite.wording import count

MOST_IMAGES = 20_000  # that are used of more
LARGEST = 64  # pixels a side; larger images are made so
_MANY = 2_000  # squares that are cut out of pictures, about


def question_of(
    name: str, row: shortlist.Purpose, fields: Mapping[str, Any]
) -> config.Sweep:
    """The sweep, but for what the images and the time decide."""
    given: dict[str, Any] = {"max_examples": MOST_IMAGES, "batch_size": 2, **fields}
    if "crops" not in fields and "image_size" not in fields:
        given |= _crops(name)
    given |= {
        "losses": tuple(row.losses),
        "models": fields.get("models", row.model),
        "primary_metric": row.metric,
    }
    sweep = notebook.asked_for(name, given)
    backend.prepare(sweep)
    if len(sweep.models) > 1:
        raise UserError(f"config.models = {sweep.models}: the advisor trains one")
    return validation.validate(sweep)


def read(
    sweep: config.Sweep, fields: Mapping[str, Any]
) -> tuple[config.Sweep, dict[str, Dataset]]:
    """The images, and the sweep with what suits them."""
    loaded = datasets.load(sweep)
    (dataset,) = loaded.values()
    chosen: dict[str, Any] = {}
    large = max(dataset.image_shape[:2]) > LARGEST and not dataset.pixels.masked
    if large and sweep.image_size is None:
        chosen["image_size"] = LARGEST
    if sweep.channels is None and _is_grey(dataset):
        chosen["channels"] = 1
    if chosen:
        sweep = dataclasses.replace(sweep, **chosen)
        loaded = datasets.load(sweep)
        (dataset,) = loaded.values()
    values = math.prod(dataset.image_shape)
    code = 8 if values <= 256 else 16 if values <= 1024 else 64
    suits = {"batch_size": min(64, len(dataset.train)), "latent_dim": code}
    chosen = {name: value for name, value in suits.items() if name not in fields}
    return dataclasses.replace(sweep, **chosen), loaded


def labelled(loaded: Mapping[str, Dataset]) -> bool:
    return all(dataset.train.labels is not None for dataset in loaded.values())


def _crops(name: str) -> dict[str, int]:
    """Squares to cut, where a folder's pictures are large: shrunk they are others.

    Lines of a page are grey in a thumbnail of it, and noise is gone.
    """
    kind, _, folder = name.partition(":")
    if kind != "images":
        return {}
    try:
        paths, _ = scan(Path(folder))
    except OSError:
        return {}
    sides = []
    for path in paths[:: max(1, len(paths) // 32)]:
        with contextlib.suppress(Exception), Image.open(path) as picture:
            sides.append(min(picture.size))
    if not sides or np.median(sides) < 4 * DEFAULT_SIZE:
        return {}
    return {"crops": max(1, min(64, _MANY // len(paths))), "image_size": DEFAULT_SIZE}


def _is_grey(dataset: Dataset) -> bool:
    """Whether pictures that were read in colour have none, so that a third will do."""
    images = dataset.train.images
    return (
        images.dtype == np.uint8
        and images.shape[3] == 3
        and bool((images == images[..., :1]).all())
    )


def made_of(sweep: config.Sweep, dataset: Dataset) -> list[str]:
    """What was made of the images, a line each."""
    total = sum(map(len, dataset.splits.values()))
    side = f"{dataset.image_shape[0]}x{dataset.image_shape[1]}"
    lines = []
    if sweep.crops:
        lines.append(
            f"large pictures: of each {count(sweep.crops, 'square')} of {side} at "
            "most, as they are; --config.image_size=SIZE shrinks whole pictures instead"
        )
    elif sweep.image_size == LARGEST:
        lines.append(f"made {side}; --config.image_size=SIDE changes that")
    limit = sweep.max_examples
    if limit and total > 0.99 * limit:
        lines.append(
            f"a sample of {total:,} images; --config.max_examples=NUMBER takes more"
        )
    return lines
