"""A study's rows: one line per run, enough to rank every arm again.

Which run a seed chose is written where the runs are: `of_sweep` asks `protocol`, as the
sweep's report does, and a row says whether it counts.
"""

import csv
import dataclasses
import functools
import gzip
import io
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lossjax.suite import protocol
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.report.tables.listings import RUN_COLUMNS, run_values
from lossjax.suite.reproduce.study import Trial
from lossjax.suite.statistics import Scores
from lossjax.suite.store import results as store
from lossjax.suite.store.results import Result, Run
from lossjax.suite.store.untrusted import gunzip_bytes

CURVE = "curve_"  # a column of this prefix holds a whole curve, numbers and spaces
LOSS = "validation_loss"


class Row(NamedTuple):
    """One run; its result's metrics hold the columns."""

    grid: str
    result: Result
    chosen: bool  # it is what its seed counts with


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
    judge = protocol.DialJudge.of(description)
    results = store.load(out).results
    for block in protocol.blocks(sweep, fixed):
        found = [results[r.run_id] for r in block.runs if r.run_id in results]
        whole = len(found) == len(block.runs)
        chosen = protocol.choose(found, judge) if whole else None
        for result in found:
            yield Row(name, renamed(result, names or {}), result is chosen)


def renamed(result: Result, names: Mapping[str, str]) -> Result:
    """The result under the study's own names: no row holds a path."""
    values = result.run.to_json()
    for part in ("dataset", "model", "loss"):
        values[part] = names.get(values[part], values[part])
    return dataclasses.replace(result, run=Run(**values))


_KNOWN = ("grid", *RUN_COLUMNS, LOSS)


def packed(
    rows: Iterable[Row], columns: Sequence[str], known: Collection[str] = ()
) -> bytes:
    """rows.csv, compressed; the same rows give the same bytes.

    Raises:
      ValueError: no run that counts has a column, be it empty: its name is wrong. Those
        `known` may be absent: images without labels lack scores of codes.
    """
    rows = list(rows)
    good = [row.result for row in rows if row.chosen]
    for column in columns:
        curve = column.removeprefix(CURVE)
        there = [column in r.metrics or curve in r.curve for r in good]
        if good and column not in known and not any(there):
            raise ValueError(f"no run has the column {column!r}")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow((*_KNOWN, *columns))
    for row in rows:
        own = [row.grid, *run_values(row.result, row.chosen)]
        own.append(_number(row.result.validation_loss))
        writer.writerow(own + [_cell(row, column) for column in columns])
    return gzip.compress(text.getvalue().encode(), 9, mtime=0)


def _cell(row: Row, column: str) -> str:
    """A value; of test images and of curves only where the run counts."""
    if not row.chosen and column.startswith((CURVE, "test_")):
        return ""
    if column.startswith(CURVE):
        values = row.result.curve.get(column.removeprefix(CURVE), [])
        return " ".join(f"{value:.7g}" for value in values)
    return _number(row.result.metrics.get(column))


def unpacked(
    content: bytes, name: object = "rows"
) -> tuple[list[Row], tuple[str, ...]]:
    """The rows that `packed` wrote, and their columns.

    Raises:
      ValueError: damaged, or other columns.
    """
    reader = csv.DictReader(io.StringIO(gunzip_bytes(content, name).decode()))
    names = tuple(reader.fieldnames or ())
    if names[: len(_KNOWN)] != _KNOWN:
        raise ValueError(f"rows begin with columns {names}, not with {_KNOWN}")
    columns = names[len(_KNOWN) :]
    lines = list(reader)
    if any(None in line or None in line.values() for line in lines):
        raise ValueError("a row has more or fewer values than there are columns")
    return [_row(line, columns) for line in lines], columns


def _row(line: Mapping[str, str], columns: Sequence[str]) -> Row:
    run = Run(
        line["dataset"],
        line["model"],
        line["loss"],
        float(line["learning_rate"]),
        int(line["seed"]),
        int(line["latent_dim"]),
        int(line["train_steps"]),
        {},
    )
    step = line["diverged_step"]
    result = Result(
        run,
        line["status"],
        diverged_step=int(step) if step else None,
        validation_loss=_read(line[LOSS]),
        metrics={
            name: _read(line[name]) for name in columns if not name.startswith(CURVE)
        },
        curve={
            name.removeprefix(CURVE): [float(x) for x in line[name].split()]
            for name in columns
            if name.startswith(CURVE)
        },
    )
    return Row(line["grid"], result, counts(line))


def counts(line: Mapping[str, Any]) -> bool:
    """Whether a line of a table of runs is one that its seed counts with."""
    return str(line["chosen"]) == "True"


def trials(
    grids: Mapping[str, Sweep], rows: Iterable[Row], columns: Sequence[str], metric: str
) -> dict[str, tuple[Trial, ...]]:
    """Every grid's trials; `metric` is the judge's.

    Raises:
      UserError: runs of a grid are missing.
    """
    by_grid: dict[str, list[Row]] = {name: [] for name in grids}
    for row in rows:
        if row.grid in by_grid:
            by_grid[row.grid].append(row)
    return {
        name: tuple(_trials(name, sweep, by_grid[name], columns, metric))
        for name, sweep in grids.items()
    }


def _trials(
    grid: str, sweep: Sweep, rows: Sequence[Row], columns: Sequence[str], metric: str
) -> Iterator[Trial]:
    by_arm: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        run = row.result.run
        at = (
            run.latent_dim or sweep.latent_dim,
            run.train_steps or sweep.train_steps,
        )
        by_arm.setdefault((run.dataset, run.model, *at, run.loss), []).append(row)
    fixed: dict[str, dict[str, Any]] = {dataset: {} for dataset in sweep.datasets}
    settings: dict[tuple[str, str, int, int], dict[str, _Seeds]] = {}
    for arm in protocol.arms(sweep, fixed):
        own = by_arm.get((*arm.setting, arm.loss), [])
        seeds = _Seeds(own, sweep)
        if seeds.missing:
            raise UserError(
                f"rows lack {seeds.missing} runs of {grid}: {arm.label(sweep)}"
            )
        settings.setdefault(arm.setting, {})[arm.loss] = seeds
    scalars = [LOSS, *(c for c in columns if not c.startswith(CURVE))]
    curves = [c for c in columns if c.startswith(CURVE)]
    judged = functools.partial(_scalar, f"test_{metric}")
    for setting, arms in settings.items():
        yield Trial(
            setting[0],
            {loss: seeds.scores(judged) for loss, seeds in arms.items()},
            {loss: seeds.scores(_rate).values for loss, seeds in arms.items()},
            protocol.model_label(sweep, setting),
            {
                column: {
                    loss: seeds.scores(functools.partial(_scalar, column))
                    for loss, seeds in arms.items()
                }
                for column in scalars
            },
            {
                column: {loss: seeds.curves(column) for loss, seeds in arms.items()}
                for column in curves
            },
        )


class _Seeds:
    """One arm's rows, seed by seed."""

    def __init__(self, rows: Sequence[Row], sweep: Sweep) -> None:
        found: dict[int, list[Row]] = {seed: [] for seed in sweep.seeds}
        for row in rows:
            found.setdefault(row.result.run.seed, []).append(row)
        self._count = {
            status: sum(row.result.status == status for row in rows)
            for status in ("diverged", "failed")
        }
        # A seed without a run that counts is lost, if every rate was tried.
        self.missing = sum(
            max(0, len(sweep.learning_rates) - len(found[seed]))
            for seed in sweep.seeds
            if not any(row.chosen for row in found[seed])
        )
        self._chosen = [
            next(
                (r.result for r in found[seed] if r.chosen and r.result.status == "ok"),
                None,
            )
            for seed in sweep.seeds
        ]

    def scores(self, score: Callable[[Result], float]) -> Scores:
        """A score of the runs that count in the order of the seeds; NaN where lost."""
        values = [math.nan if r is None else score(r) for r in self._chosen]
        lost = sum(r is None for r in self._chosen)
        return Scores(np.array(values, float), lost, **self._count)

    def curves(self, column: str) -> list[list[float]]:
        """The curve of every seed, empty where it was lost."""
        name = column.removeprefix(CURVE)
        return [[] if r is None else r.curve[name] for r in self._chosen]


def _scalar(column: str, result: Result) -> float:
    if column == LOSS:
        return result.validation_loss
    return result.metrics.get(column, math.nan)


def _rate(result: Result) -> float:
    return result.run.learning_rate


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
