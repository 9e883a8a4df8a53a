"""What tuning is worth: every loss at one common learning rate beside its own.

Both come from the tuning runs, on validation images: test images are seen by final runs
only. The common rate is the one that somebody who tunes nothing would wish for: of the
grid's rates the one of best mean rank over losses, each loss ranking the rates by its
own value on validation images.
"""

import collections
import dataclasses
import math

import numpy as np
from scipy import stats

from lossjax.suite import statistics
from lossjax.suite.report.evidence import Evidence, Group, StoredCell
from lossjax.suite.statistics import Interval
from lossjax.suite.store.results import Result

NOTHING = Interval(math.nan, math.nan, math.nan)
UNSEEN = (math.nan, math.nan)


@dataclasses.dataclass(frozen=True)
class Point:
    """One loss at one rate: mean over tuning seeds, NaN where a seed was lost."""

    rate: float
    extension: bool  # beyond the configured grid
    value: Interval  # of what was asked for
    seen: tuple[float, float]  # least and most over the seeds that have a value
    n: int  # runs
    diverged: int
    lost: int  # runs without a usable value, for any reason


@dataclasses.dataclass(frozen=True)
class Row:
    """One loss on one metric, untuned and tuned; places count from 1."""

    loss: str
    untuned: Point
    tuned: Point
    gain: Interval  # paired over tuning seeds, positive where tuning helped
    places: tuple[int, int]


def curve(evidence: Evidence, cell: StoredCell, key: str) -> list[Point]:
    """Every rate tried for a cell, in order; `key` as in `_values`."""
    by_rate: dict[float, list[Result]] = {}
    for run in cell.tuning:
        by_rate.setdefault(run.run.learning_rate, []).append(run)
    points = []
    for rate in sorted(by_rate):
        runs = by_rate[rate]
        values = _values(runs, key)
        kept = values[np.isfinite(values)]
        lost = len(values) - len(kept)
        count = collections.Counter(run.status for run in runs)
        points.append(
            Point(
                rate,
                rate not in evidence.sweep.learning_rates,
                NOTHING if lost else statistics.interval(values),
                (float(kept.min()), float(kept.max())) if lost < len(runs) else UNSEEN,
                len(runs),
                count["diverged"],
                lost,
            )
        )
    return points


def common_rate(evidence: Evidence, group: Group) -> float | None:
    """The configured rate of best mean rank over losses; None where none was tuned."""
    grid = sorted(evidence.sweep.learning_rates)
    ranks = []
    for cell in group.cells.values():
        at = {p.rate: p.value.center for p in curve(evidence, cell, "validation_loss")}
        if all(rate in at for rate in grid):
            values = np.array([at[rate] for rate in grid])
            ranks.append(stats.rankdata(np.nan_to_num(values, nan=math.inf)))
    if len(ranks) < len(group.cells):
        return None
    means = np.mean(ranks, axis=0)
    return grid[int(np.argmin(means))]  # of equal ranks the smaller rate


def rows(evidence: Evidence, group: Group, metric: str) -> list[Row]:
    """Every loss at the common rate and at its own, in display order."""
    common = common_rate(evidence, group)
    if common is None:
        return []
    lower = evidence.metrics[metric]["direction"] == "lower"
    pairs = {}
    for loss, cell in group.cells.items():
        at = {p.rate: p for p in curve(evidence, cell, f"val_{metric}")}
        chosen = cell.plan.learning_rate
        if chosen is None or chosen not in at:
            return []
        pairs[loss] = at[common], at[chosen]
    if not any(math.isfinite(p.value.center) for pair in pairs.values() for p in pair):
        return []
    places = [_places({k: pair[i] for k, pair in pairs.items()}, lower) for i in (0, 1)]
    found = []
    for loss, (untuned, tuned) in pairs.items():
        cell = group.cells[loss]
        before, after = (
            _values(_at(cell, p.rate), f"val_{metric}") for p in (untuned, tuned)
        )
        gain = NOTHING
        if not untuned.lost and not tuned.lost:
            gain = statistics.interval((before - after) * (1 if lower else -1))
        found.append(
            Row(loss, untuned, tuned, gain, (places[0][loss], places[1][loss]))
        )
    return found


def _at(cell: StoredCell, rate: float) -> list[Result]:
    return [r for r in cell.tuning if r.run.learning_rate == rate]


def _values(runs: list[Result], key: str) -> np.ndarray:
    """By tuning seed: a metric, or the loss's own `validation_loss`; NaN if lost."""
    ordered = sorted(runs, key=lambda result: result.run.seed)
    values = [
        math.nan
        if result.status != "ok"
        else result.validation_loss
        if key == "validation_loss"
        else result.metrics.get(key, math.nan)
        for result in ordered
    ]
    return np.array(values, float)


def _places(points: dict[str, Point], lower: bool) -> dict[str, int]:
    values = [
        (p.value.center if lower else -p.value.center) if not p.lost else math.inf
        for p in points.values()
    ]
    ranks = stats.rankdata(values, method="min")
    return {loss: int(rank) for loss, rank in zip(points, ranks, strict=True)}
