"""A study's rows: one line a run, enough to choose every rate and rank every arm again.

`trials` asks `protocol.plan` for each cell's chosen rate and final runs, so that what
is counted from rows is what the sweep trained.
"""

import csv
import functools
import gzip
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from lossjax.suite import protocol
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.report.evidence import StoredCell, arm, arm_of
from lossjax.suite.report.tables.listings import RUN_COLUMNS, run_values
from lossjax.suite.reproduce.study import Trial
from lossjax.suite.store import results as store
from lossjax.suite.store.results import Result, Run

CURVE = "curve_"  # a column of this prefix holds a whole curve, numbers and spaces
LOSS = "validation_loss"
Row = tuple[str, Result]  # the grid's name and a run; its metrics hold the columns


def of_sweep(
    name: str, out: Path, names: Mapping[str, str] | None = None
) -> Iterator[Row]:
    """Every stored run of one grid's directory, in the order of the grid.

    `names` gives a dataset's, model's or loss's name in the study where it is another.
    """
    description = store.read_sweep(out)
    sweep = Sweep.from_json(description["config"])
    numerics = description["provenance"]["numerics"]
    fixed = protocol.fixed_values(sweep, description["datasets"], numerics)
    results = store.load(out).results
    for cell in protocol.cells(sweep, fixed):
        plan = protocol.plan(sweep, cell, results)
        for run in (*plan.tuning, *plan.final):
            if run.run_id in results:
                yield name, renamed(results[run.run_id], names or {})


def renamed(result: Result, names: Mapping[str, str]) -> Result:
    """The result under the study's own names: no row holds a path."""
    values = result.run.to_json()
    for part in ("dataset", "model", "loss"):
        values[part] = names.get(values[part], values[part])
    return Result(
        Run(**values),
        result.status,
        diverged_step=result.diverged_step,
        validation_loss=result.validation_loss,
        metrics=result.metrics,
        curve=result.curve,
        provenance=result.provenance,
    )


def packed(rows: Iterable[Row], columns: Sequence[str]) -> bytes:
    """rows.csv, compressed; the same rows give the same bytes.

    Raises:
      ValueError: no finished run has a column: its name is wrong.
    """
    rows = list(rows)
    good = [r for _, r in rows if r.status == "ok" and r.run.stage == "final"]
    for column in columns:
        if good and all(_cell(result, column) == "" for result in good):
            raise ValueError(f"no run has the column {column!r}")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("grid", *RUN_COLUMNS, LOSS, *columns))
    for grid, result in rows:
        own = [grid, *run_values(result), _number(result.validation_loss)]
        writer.writerow(own + [_cell(result, column) for column in columns])
    return gzip.compress(text.getvalue().encode(), 9, mtime=0)


def _cell(result: Result, column: str) -> str:
    if column.startswith(CURVE):
        if result.run.stage != "final":
            return ""
        values = result.curve.get(column.removeprefix(CURVE), [])
        return " ".join(f"{value:.7g}" for value in values)
    return _number(result.metrics.get(column))


def unpacked(content: bytes) -> tuple[list[Row], tuple[str, ...]]:
    """The rows that `packed` wrote, and their columns."""
    reader = csv.DictReader(io.StringIO(gzip.decompress(content).decode()))
    known = ("grid", *RUN_COLUMNS, LOSS)
    names = tuple(reader.fieldnames or ())
    if names[: len(known)] != known:
        raise ValueError(f"rows begin with columns {names}, not with {known}")
    columns = names[len(known) :]
    rows = []
    for line in reader:
        run = Run(
            line["dataset"],
            line["model"],
            line["loss"],
            float(line["learning_rate"]),
            int(line["seed"]),
            line["stage"],
            {},
        )
        step = line["diverged_step"]
        result = Result(
            run,
            line["status"],
            diverged_step=int(step) if step else None,
            validation_loss=_read(line[LOSS]),
            metrics={
                column: _read(line[column])
                for column in columns
                if not column.startswith(CURVE)
            },
            curve={
                column.removeprefix(CURVE): [float(x) for x in line[column].split()]
                for column in columns
                if column.startswith(CURVE)
            },
        )
        rows.append((line["grid"], result))
    return rows, columns


def trials(
    grids: Mapping[str, Sweep], rows: Iterable[Row], columns: Sequence[str], metric: str
) -> dict[str, tuple[Trial, ...]]:
    """Every grid's trials; `metric` is the judge's.

    Raises:
      UserError: runs of a grid are missing.
    """
    by_grid: dict[str, dict[str, Result]] = {name: {} for name in grids}
    for grid, result in rows:
        if grid in by_grid:
            by_grid[grid][result.run.run_id] = result
    return {
        name: tuple(_trials(name, sweep, by_grid[name], columns, metric))
        for name, sweep in grids.items()
    }


def _trials(
    grid: str,
    sweep: Sweep,
    results: Mapping[str, Result],
    columns: Sequence[str],
    metric: str,
) -> Iterator[Trial]:
    fixed: dict[str, dict] = {dataset: {} for dataset in sweep.datasets}
    found: dict[tuple[str, str], list[tuple[str, protocol.Plan]]] = {}
    for cell in protocol.cells(sweep, fixed):
        plan = protocol.plan(sweep, cell, results)
        if plan.pending:
            raise UserError(f"rows lack {len(plan.pending)} runs of {grid}: {cell}")
        found.setdefault((cell.dataset, cell.model), []).append((cell.loss, plan))
    scalars = [LOSS, *(c for c in columns if not c.startswith(CURVE))]
    curves = [c for c in columns if c.startswith(CURVE)]
    for (dataset, model), plans in found.items():
        arms, rates = {}, {}
        told: dict[str, dict] = {column: {} for column in (*scalars, *curves)}
        for loss, plan in plans:
            final = tuple(results[run.run_id] for run in plan.final)
            arms[loss] = arm(StoredCell(plan, (), final), metric)
            assert plan.learning_rate is not None
            rates[loss] = plan.learning_rate
            for column in scalars:
                score = functools.partial(_scalar, column)
                told[column][loss] = arm_of(final, score)
            for column in curves:
                name = column.removeprefix(CURVE)
                told[column][loss] = [r.curve[name] for r in final]
        yield Trial(
            dataset,
            arms,
            rates,
            model,
            {column: told[column] for column in scalars},
            {column: told[column] for column in curves},
        )


def _scalar(column: str, result: Result) -> float:
    if column == LOSS:
        return result.validation_loss
    return result.metrics.get(column, math.nan)


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


def _read(text: str) -> float:
    return float(text) if text else math.nan
