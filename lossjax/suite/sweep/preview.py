"""What a sweep would train, for `--dry_run`."""

from pathlib import Path

from rich.console import Console

from lossjax.suite import protocol
from lossjax.suite.config import Sweep
from lossjax.suite.data import Dataset
from lossjax.suite.sweep import grid
from lossjax.suite.sweep.description import facts_of


def preview(
    sweep: Sweep,
    datasets: dict[str, Dataset],
    out: Path,
    shard: tuple[int, int],
    console: Console,
) -> None:
    """Print how many runs each cell has, and how many of them are to be trained."""
    facts = {name: facts_of(dataset) for name, dataset in datasets.items()}
    cells = grid.cells_of(sweep, facts, shard)
    results = grid.good_results(sweep, cells, out).results
    rates, final = len(sweep.learning_rates), len(sweep.seeds)
    tuning = len(sweep.tuning_seeds) * rates if rates > 1 else 0
    pending = 0
    for cell in cells:
        plan = protocol.plan(sweep, cell, results)
        todo = len(plan.pending) + (final if plan.learning_rate is None else 0)
        console.print(
            f"{cell}: {tuning} tuning runs, {final} final runs; {todo} to train",
            highlight=False,
            soft_wrap=True,
        )
        pending += todo
    console.print(
        f"{len(cells) * (tuning + final)} runs of {sweep.train_steps} steps, {pending} "
        f"to train (and {len(sweep.tuning_seeds)} more for each loss whose best rate "
        f"is at the edge of the grid); nothing was trained",
        highlight=False,
        soft_wrap=True,
    )
