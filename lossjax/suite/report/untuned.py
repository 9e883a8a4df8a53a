"""The rate-response curve, and what tuning is worth: one common rate beside each own.

Everything here is scored on validation images, where the learning rates were chosen.
The common rate is the one that somebody who tunes nothing would wish for: of the grid's
rates the one of best mean rank over losses, each loss ranking the rates by its own
value on validation images.
"""

import collections
import dataclasses
import math

import numpy as np
import pandas as pd

from lossjax.suite import statistics
from lossjax.suite.report.evidence import ArmEvidence, Evidence, Group
from lossjax.suite.statistics import NOTHING, Interval
from lossjax.suite.store.results import Result

UNSEEN = (math.nan, math.nan)
OWN_LOSS = "validation_loss"


@dataclasses.dataclass(frozen=True)
class Point:
    """One loss at one rate: mean over seeds, NaN where a run has no usable value."""

    rate: float
    value: Interval  # of what was asked for
    seen: tuple[float, float]  # minimum and maximum over the runs that have a value
    chosen: int  # seeds that chose this rate
    n: int  # runs
    diverged: int
    lost: int  # runs without a usable value, for any reason


@dataclasses.dataclass(frozen=True)
class Tuning:
    """One loss on one metric, untuned and tuned; places count from 1."""

    loss: str
    untuned: Point
    tuned: Interval  # each seed at the rate it chose
    gain: Interval  # paired over seeds, positive where tuning helped
    places: tuple[int, int]


def curve(arm: ArmEvidence, key: str) -> list[Point]:
    """Every rate of an arm on all seeds, in order; `key` as in `_value`."""
    by_rate: dict[float, list[Result]] = {}
    for result in arm.results:
        by_rate.setdefault(result.run.learning_rate, []).append(result)
    points = []
    for rate in sorted(by_rate):
        runs = by_rate[rate]
        values = np.array([_value(run, key) for run in runs])
        kept = values[np.isfinite(values)]
        lost = len(values) - len(kept)
        status = collections.Counter(run.status for run in runs)
        points.append(
            Point(
                rate,
                NOTHING if lost else statistics.interval(values),
                (float(kept.min()), float(kept.max())) if lost < len(runs) else UNSEEN,
                arm.rates.get(rate, 0),
                len(runs),
                status["diverged"],
                lost,
            )
        )
    return points


def common_rate(group: Group) -> float | None:
    """The rate of best mean rank over losses; None while runs are missing."""
    if group.missing:
        return None
    arms = _undialled(group).values()
    if not arms:
        return None
    curves = [
        {point.rate: point.value.center for point in curve(arm, OWN_LOSS)}
        for arm in arms
    ]
    # Beside a dial an arm may have more rates than the config's.
    rates = [rate for rate in curves[0] if all(rate in each for each in curves)]
    centers = np.array([[each[rate] for rate in rates] for each in curves])
    ranks = pd.DataFrame(np.nan_to_num(centers, nan=math.inf)).rank(axis=1)
    # Of equal ranks the smaller rate.
    return rates[int(np.argmin(ranks.mean()))]


def _undialled(group: Group) -> dict[str, ArmEvidence]:
    """The arms of one loss: who tunes nothing has no dial."""
    return {loss: arm for loss, arm in group.arms.items() if not arm.arm.tuned}


def rows(evidence: Evidence, group: Group, metric: str) -> list[Tuning]:
    """Every loss at the common rate and at those its seeds chose, in display order."""
    common = common_rate(group)
    if common is None:
        return []
    key = f"val_{metric}"
    arms = _undialled(group)
    lower = evidence.metrics[metric]["direction"] == "lower"
    untuned = {
        loss: next(point for point in curve(arm, key) if point.rate == common)
        for loss, arm in arms.items()
    }
    before = {loss: _values(_at(arm, common), key, arm) for loss, arm in arms.items()}
    after = {loss: _values(arm.chosen, key, arm) for loss, arm in arms.items()}
    tuned = {loss: _mean(values) for loss, values in after.items()}
    centers = [
        {loss: point.value.center for loss, point in untuned.items()},
        {loss: mean.center for loss, mean in tuned.items()},
    ]
    if not any(math.isfinite(v) for one in centers for v in one.values()):
        return []
    first, last = (_places(one, lower) for one in centers)
    sign = 1 if lower else -1
    return [
        Tuning(
            loss,
            untuned[loss],
            tuned[loss],
            _mean(sign * (before[loss] - after[loss])),
            (first[loss], last[loss]),
        )
        for loss in arms
    ]


def _at(arm: ArmEvidence, rate: float) -> list[Result]:
    return [r for r in arm.results if r.run.learning_rate == rate]


def _mean(values: np.ndarray) -> Interval:
    """NOTHING where a seed has no value: a mean over survivors would reward failing."""
    return statistics.interval(values) if np.isfinite(values).all() else NOTHING


def _values(
    runs: list[Result] | tuple[Result, ...], key: str, arm: ArmEvidence
) -> np.ndarray:
    """By seed, in the order of the arm's seeds; NaN where a seed has no value."""
    by_seed = {run.run.seed: _value(run, key) for run in runs}
    return np.array([by_seed.get(seed.seed, math.nan) for seed in arm.seeds])


def _value(result: Result, key: str) -> float:
    """A metric, or the loss's own value on validation images; NaN if lost."""
    if result.status != "ok":
        return math.nan
    return (
        result.validation_loss if key == OWN_LOSS else result.metrics.get(key, math.nan)
    )


def _places(centers: dict[str, float], lower: bool) -> dict[str, int]:
    values = [
        (center if lower else -center) if math.isfinite(center) else math.inf
        for center in centers.values()
    ]
    ranks = pd.Series(values, list(centers)).rank(method="min")
    return {loss: int(rank) for loss, rank in ranks.items()}
