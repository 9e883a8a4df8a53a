"""A sweep that a study trains for itself: nothing is printed, nobody stops it."""

from collections.abc import Collection, Mapping
from pathlib import Path

from rich.console import Console

from lossjax.suite.cli.signals import Interrupts
from lossjax.suite.config import Sweep
from lossjax.suite.data import Dataset
from lossjax.suite.store import results
from lossjax.suite.store.results import Result
from lossjax.suite.sweep import grid
from lossjax.suite.sweep.description import describe


def train(
    sweep: Sweep,
    datasets: Mapping[str, Dataset],
    place: Path,
    keep_models: str | None = None,
) -> Collection[Result]:
    """Every run of a sweep; those that the folder holds already are not trained again.

    `keep_models` as `grid.train` takes it.
    """
    place.mkdir(parents=True, exist_ok=True)
    described = describe(sweep, dict(datasets))
    results.write_sweep(place, described)
    grid.train(
        sweep,
        dict(datasets),
        described,
        place,
        (0, 1),
        Interrupts(),
        Console(quiet=True),
        quiet=True,
        keep_models=keep_models,
    )
    return results.load(place).results.values()
