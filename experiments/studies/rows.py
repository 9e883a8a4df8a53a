"""A study's rows: one line a run, enough to choose every rate and rank every arm again.

`trials` asks `protocol.plan` for each cell's chosen rate and final runs, so that what
is counted from rows is what the sweep trained.
"""

import csv
import gzip
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from experiments import protocol, store
from experiments.config import Sweep, UserError
from experiments.report.evidence import Cell, arm
from experiments.store import Result, Run
from experiments.studies.study import Trial

COLUMNS = (
    "grid",
    "dataset",
    "model",
    "loss",
    "learning_rate",
    "seed",
    "stage",
    "status",
    "validation_loss",
    "score",
)
Row = tuple[str, Result]  # the grid's name and a run; its metrics hold the judge alone


def of_sweep(name: str, out: Path) -> Iterator[Row]:
    """Every stored run of one grid's directory, in the order of the grid."""
    description = store.read_sweep(out)
    sweep = Sweep.from_json(description["config"])
    numerics = description["provenance"]["numerics"]
    fixed = protocol.fixed_values(sweep, description["datasets"], numerics)
    results = store.load(out).results
    for cell in protocol.cells(sweep, fixed):
        plan = protocol.plan(sweep, cell, results)
        for run in (*plan.tuning, *plan.final):
            if run.run_id in results:
                yield name, results[run.run_id]


def packed(rows: Iterable[Row], metric: str) -> bytes:
    """rows.csv, compressed; the same rows give the same bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for grid, result in rows:
        run = result.run
        values = (result.validation_loss, result.metrics.get(f"test_{metric}", None))
        writer.writerow(
            [
                grid,
                run.dataset,
                run.model,
                run.loss,
                run.learning_rate,
                run.seed,
                run.stage,
                result.status,
                *(_number(value) for value in values),
            ]
        )
    return gzip.compress(text.getvalue().encode(), 9, mtime=0)


def unpacked(content: bytes, metric: str) -> list[Row]:
    """The rows that `packed` wrote."""
    text = gzip.decompress(content).decode()
    rows = []
    for line in csv.DictReader(io.StringIO(text)):
        run = Run(
            line["dataset"],
            line["model"],
            line["loss"],
            float(line["learning_rate"]),
            int(line["seed"]),
            line["stage"],
            {},
        )
        loss, score = (
            float(line[name]) if line[name] else math.nan
            for name in ("validation_loss", "score")
        )
        metrics = {f"test_{metric}": score}
        result = Result(run, line["status"], validation_loss=loss, metrics=metrics)
        rows.append((line["grid"], result))
    return rows


def trials(
    grids: Mapping[str, Sweep], rows: Iterable[Row], metric: str
) -> dict[str, tuple[Trial, ...]]:
    """Every grid's trials.

    Raises:
      UserError: runs of a grid are missing.
    """
    by_grid: dict[str, dict[str, Result]] = {name: {} for name in grids}
    for grid, result in rows:
        if grid in by_grid:
            by_grid[grid][result.run.run_id] = result
    return {
        name: tuple(_trials(name, sweep, by_grid[name], metric))
        for name, sweep in grids.items()
    }


def _trials(
    grid: str, sweep: Sweep, results: Mapping[str, Result], metric: str
) -> Iterator[Trial]:
    fixed: dict[str, dict] = {dataset: {} for dataset in sweep.datasets}
    found: dict[str, list[tuple[str, protocol.Plan]]] = {}
    for cell in protocol.cells(sweep, fixed):
        plan = protocol.plan(sweep, cell, results)
        if plan.pending:
            raise UserError(f"rows lack {len(plan.pending)} runs of {grid}: {cell}")
        found.setdefault(cell.dataset, []).append((cell.loss, plan))
    for dataset, plans in found.items():
        arms, rates = {}, {}
        for loss, plan in plans:
            final = tuple(results[run.run_id] for run in plan.final)
            arms[loss] = arm(Cell(plan, (), final), metric)
            assert plan.learning_rate is not None
            rates[loss] = plan.learning_rate
        yield Trial(dataset, arms, rates)


def ratios(trials: Sequence[Trial], loss: str, reference: str) -> np.ndarray:
    """(trials,) mean score of one loss over that of another; NaN where one is lost."""
    return np.array(
        [
            float(np.mean(t.arms[loss].values) / np.mean(t.arms[reference].values))
            for t in trials
        ]
    )


def _number(value: float | None) -> str:
    """Nine digits, all that a float32 carries; empty where there is no number."""
    return "" if value is None or not math.isfinite(value) else f"{value:.9g}"
