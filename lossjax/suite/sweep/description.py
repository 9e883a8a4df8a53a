"""The content of sweep.json: all that the report needs to know without jax."""

from typing import Any

import numpy as np

from lossjax import NUMERICS, LatentMetric, platform, resolve
from lossjax.metrics.diagnostics import DIAGNOSTICS
from lossjax.models.pixels import BYTES
from lossjax.suite.config import Sweep
from lossjax.suite.data import Dataset
from lossjax.suite.data.dataset import shown
from lossjax.suite.store import results
from lossjax.suite.store.test_images import classes_of
from lossjax.suite.sweep.resident import gallery_of
from lossjax.suite.sweep.validation import metrics_of


def describe(sweep: Sweep, datasets: dict[str, Dataset]) -> dict[str, Any]:
    """What sweep.json says of a sweep on those datasets."""
    return {
        "config": sweep.to_json(),
        "losses": list(sweep.losses),
        "hypers": {name: dict(resolve(name).hyper) for name in sweep.trained},
        "metrics": {
            name: {
                "direction": metric.direction,
                "unit": metric.unit,
                "label": metric.label or name,
                "meaning": metric.meaning or getattr(metric, "note", ""),
                "margin": vars(metric.margin),
                **(_latent_facts(metric) if isinstance(metric, LatentMetric) else {}),
            }
            for name, metric in metrics_of(sweep).items()
        },
        "diagnostics": {
            name: {"unit": row.unit, "note": row.note}
            for name, row in DIAGNOSTICS.items()
        },
        "datasets": {
            name: facts_of(dataset) | {"derived": _derived(sweep, dataset)}
            for name, dataset in datasets.items()
        },
        "provenance": platform.describe() | {"numerics": NUMERICS},
    }


def _latent_facts(metric: LatentMetric) -> dict[str, Any]:
    return {"note": metric.note, "partial": metric.partial, "variational": True}


def _derived(sweep: Sweep, dataset: Dataset) -> dict[str, str]:
    """Metrics that on such images only restate another one, which is named."""
    restated = {
        name: metric.derived_from(dataset.image_shape)
        for name, metric in metrics_of(sweep).items()
    }
    return {name: other for name, other in restated.items() if other}


def facts_of(dataset: Dataset) -> dict[str, Any]:
    """Identity, sizes and the pictures that the report shows."""
    test, labels = dataset.test.images, dataset.test.labels
    names, counts = (part.tolist() for part in classes_of(labels))
    shown_places = gallery_of(len(test))
    pixels = pixel_facts(dataset)
    return {
        "fingerprint": dataset.fingerprint,
        "shape": list(dataset.image_shape),
        "train": len(dataset.train.images),
        "validation": len(dataset.validation.images),
        "test": len(test),
        "gallery": results.pack(shown(test[shown_places])),
        **({} if labels is None else {"gallery_labels": labels[shown_places].tolist()}),
        **({"classes": {"labels": names, "counts": counts}} if names else {}),
        **({"pixels": pixels} if pixels else {}),
    }


def pixel_facts(dataset: Dataset) -> dict[str, Any]:
    """What a reader must know of pixels that are not plain bytes; else nothing."""
    pixels = dataset.pixels
    if pixels == BYTES:
        return {}
    black, white = dataset.span or (0, 255)
    return {
        "levels": pixels.levels,
        "black": black,
        "white": white,
        "masked": pixels.masked,
        "counted": {
            key: int(split.images.size)
            if not pixels.masked
            else int(np.count_nonzero(~np.isnan(split.images)))
            for key, split in dataset.splits.items()
        },
        "balance": [
            dict(zip(("mean", "dark", "bright"), own, strict=True))
            for own in pixels.balance
        ],
    }
