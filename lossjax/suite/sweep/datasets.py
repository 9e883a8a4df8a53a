"""The datasets of a sweep, or their outlines, found and checked."""

import functools
import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from lossjax.suite import data
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.data.pixel_weights import inverse_frequency
from lossjax.suite.sweep.packing import memory_of
from lossjax.training.replicas import MEMORY_SHARE

_Found = TypeVar("_Found", data.Dataset, data.Outline)


def load(sweep: Sweep) -> dict[str, data.Dataset]:
    """Every dataset, checked against the batch size."""
    for name in sweep.datasets:
        data.check(name)
    return _each(
        sweep,
        functools.partial(_weighted, sweep),
        lambda dataset: len(dataset.train),
    )


def outlines(sweep: Sweep) -> dict[str, data.Outline]:
    """The outline of every dataset, checked alike; images are read where they must."""

    def find(name: str, **asked: Any) -> data.Outline:
        if sweep.pixel_weights is None:
            return data.outline(name, **asked)
        return data.Outline.of(_weighted(sweep, name, **asked))

    return _each(sweep, find, lambda outline: outline.counts["train"])


def _weighted(sweep: Sweep, name: str, **asked: Any) -> data.Dataset:
    """The dataset, with the weights of its pixels."""
    dataset = data.load(name, **asked)
    return inverse_frequency(dataset) if sweep.pixel_weights else dataset


def _each(
    sweep: Sweep, find: Callable[..., _Found], trains: Callable[[_Found], int]
) -> dict[str, _Found]:
    """What `find` makes of every dataset of the sweep, by name.

    Raises:
      UserError: it cannot, or there are fewer training images than a batch takes.
    """
    fields = {
        name: getattr(sweep, name)
        for name in ("image_size", "channels", "max_examples", "group_by", "crops")
    }
    fields["value_range"] = sweep.value_range or None
    found = {name: find(name, **fields) for name in sweep.datasets}
    for name, one in found.items():
        if sweep.batch_size > (images := trains(one)):
            raise UserError(
                f"config.batch_size = {sweep.batch_size}: {name} has {images} training "
                f"images; at most that many fit a batch"
            )
    return found


def check_memory(datasets: Mapping[str, data.Dataset]) -> None:
    """Refuse images that no device could hold: they are resident while a run trains."""
    import jax

    devices = jax.local_devices()
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    # Virtual CPU devices share the host's memory, and each holds a copy.
    limit = memory_of(devices[0]) or host // len(devices)
    for dataset in datasets.values():
        data.check_memory(dataset, int(MEMORY_SHARE * limit))
