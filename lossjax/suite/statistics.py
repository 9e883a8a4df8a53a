"""What the numbers allow one to say: intervals, exact paired tests, best sets, regret.

Everything here is pure: arrays of scores in, plain dataclasses out. Scores of one arm
are its final seeds in the order of the config, so arms are paired by position; a seed
without a usable score is NaN. Scipy carries the statistics it has; Holm's correction,
the exact sign-flip test beyond a dozen seeds and the best set are ours.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

LEVEL = 0.05  # family-wise, within one dataset, model and metric
BCA_FROM = 20  # seeds from which the bootstrap is preferred to the t interval
DIRECTIONS = ("lower", "higher")


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval; low and high are NaN below two values."""

    center: float
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Arm:
    """One loss's scores, (n,) floats, NaN where a seed has none, and why not."""

    values: np.ndarray
    diverged: int = 0
    failed: int = 0

    @property
    def complete(self) -> bool:
        usable = len(self.values) > 0 and bool(np.isfinite(self.values).all())
        return usable and not self.diverged and not self.failed


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where one loss stands on one metric."""

    loss: str
    center: float  # mean over seeds; NaN where a seed has no usable score
    low: float
    high: float
    n: int  # seeds with a usable score
    diverged: int
    failed: int
    best_set: bool
    relation: str  # best, identical, not told apart, worse, diverged, failed, ...
    behind: Interval | None  # paired difference to the best, positive = worse
    p: float  # of being no worse than the margin, Holm-adjusted; NaN if not tested
    effect: float  # mean paired difference in its own standard deviations


@dataclasses.dataclass(frozen=True)
class Ranking:
    """Every loss on one metric, best first; what cannot be ranked comes last."""

    direction: str
    margin: float  # of practical equivalence, in the metric's unit
    standings: tuple[Standing, ...]
    n: int  # seeds of an arm
    needed: int | None  # seeds a rejection would take, where n is too few

    @property
    def best(self) -> Standing | None:
        first = self.standings[0] if self.standings else None
        return first if first is not None and first.relation == "best" else None

    @property
    def best_set(self) -> tuple[Standing, ...]:
        return tuple(s for s in self.standings if s.best_set)

    def of(self, loss: str) -> Standing:
        return next(s for s in self.standings if s.loss == loss)


def interval(values: Sequence[float] | np.ndarray) -> Interval:
    """Mean of (n,) values with its 95 % interval: Student's t, BCa from n = 20.

    The bootstrap is seeded, so the same values always give the same interval. Equal
    values give an interval of width zero, a single value gives NaN limits.
    """
    values = np.asarray(values, float)
    center = math.fsum(values) / len(values)
    if len(values) < 2:
        return Interval(center, math.nan, math.nan)
    if np.all(values == values[0]):
        return Interval(center, center, center)
    if len(values) >= BCA_FROM:
        result = stats.bootstrap(
            (values,), np.mean, method="BCa", rng=np.random.default_rng(0)
        ).confidence_interval
        return Interval(center, float(result.low), float(result.high))
    half = _quantile(len(values)) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Interval(center, center - half, center + half)


@functools.cache
def _quantile(n: int) -> float:
    """How many standard errors of n values the interval reaches to each side."""
    return float(stats.t.ppf(1 - LEVEL / 2, n - 1))


def sign_flip(differences: np.ndarray) -> np.ndarray:
    """Two-sided p of the sign-flip test that paired differences (k, n) have mean zero.

    One p for each of the k rows. Exact up to 30 seeds: by scipy's enumeration, and from
    14 seeds, where that takes seconds, by counting over two halves. Beyond 30 seeds
    99,999 seeded random flips, the same for every row.
    """
    differences = np.asarray(differences, float)
    rows, n = differences.shape
    if rows == 0:
        return np.empty(0)
    if 13 < n <= 30:
        return np.array([_sign_flip_by_halves(row) for row in differences])
    if n > 30:
        return _sign_flip_at_random(differences)
    return stats.permutation_test(
        (differences,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        axis=1,
        n_resamples=np.inf,
        batch=max(1, 1_000_000 // differences.size),
    ).pvalue


def _sign_flip_at_random(differences: np.ndarray) -> np.ndarray:
    """As scipy's permutation_test with 99,999 flips; one matrix product for all rows,
    because a report of many losses and seeds asks for thousands of p-values.
    """
    generator = np.random.default_rng(0)
    rows, n = differences.shape
    observed, margin = _observed(differences)
    reached, left = np.zeros(rows, int), 99_999
    while left:
        batch = min(left, max(1, 1_000_000 // max(rows, n)))
        flips = generator.integers(0, 2, (batch, n), np.int8)
        sums = (2.0 * flips - 1) @ differences.T
        reached += (np.abs(sums) >= observed - margin).sum(0)
        left -= batch
    return (reached + 1) / 100_000


def _observed(differences: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """|sum| of each row, and the rounding that must not part a flip from a tie."""
    observed = np.array([abs(math.fsum(row)) for row in differences])
    return observed, 1e-13 * np.abs(differences).sum(1)


def _sign_flip_by_halves(differences: np.ndarray) -> float:
    """The exact p: a sum of n signed terms is a sum over each half, 2^(n/2) of each."""

    def sums(terms: np.ndarray) -> np.ndarray:
        total = np.zeros(1)
        for term in terms:
            total = np.concatenate([total + term, total - term])
        return np.sort(total)

    (observed,), (margin,) = _observed(differences[None])
    observed -= margin
    left, right = (sums(half) for half in np.array_split(differences, 2))
    above = len(right) - np.searchsorted(right, observed - left, side="left")
    below = np.searchsorted(right, -observed - left, side="right")
    flips = 2 ** len(differences)
    return min(1.0, (int(above.sum()) + int(below.sum())) / flips)


def holm(p: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment of (k,) p-values, in their order."""
    values = np.asarray(p, float)
    order = np.argsort(values, kind="stable")
    steps = (len(values) - np.arange(len(values))) * values[order]
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return adjusted


def seeds_needed(rivals: int) -> int:
    """Fewest paired seeds with which the test against `rivals` arms can reject."""
    return math.ceil(math.log2(2 * rivals / LEVEL)) if rivals else 1


def rank(
    arms: Mapping[str, Arm], *, direction: str, margin: float, relative: bool
) -> Ranking:
    """Best first, with the set that is not shown worse than the best by the margin.

    A loss leaves the best set only where the paired sign-flip test, Holm-adjusted over
    its rivals, shows it worse than the best by more than the margin (relative margins
    are fractions of the best mean). So the truly best loss is in the set of at least 95
    of 100 sweeps. That *some* loss equal to it is left out happens more often, because
    the best is chosen after looking: in 1 of 10 sweeps of ten equal losses (measured).

    A loss with a seed that diverged, failed or has no score is listed last and is
    never in the set.

    Raises:
      ValueError: the direction is neither lower nor higher, or the margin is negative.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction {direction!r}: valid: lower, higher")
    if not margin >= 0:
        raise ValueError(f"margin {margin!r}: must be 0 or more")
    worse = 1.0 if direction == "lower" else -1.0
    means = {name: interval(arm.values) for name, arm in arms.items() if arm.complete}
    order = sorted(means, key=lambda name: worse * means[name].center)
    last = [name for name in arms if name not in means]
    last.sort(key=lambda name: arms[name].diverged)
    size = max((len(arm.values) for arm in arms.values()), default=0)
    if not order:
        unranked = tuple(_unranked(name, arms[name]) for name in last)
        return Ranking(direction, math.nan, unranked, size, None)

    best, rivals = order[0], order[1:]
    reference = arms[best].values
    equivalence = margin * (abs(means[best].center) if relative else 1.0)
    gaps = {name: worse * (arms[name].values - reference) for name in rivals}
    tested = [name for name in rivals if np.any(gaps[name] != 0)]
    shifted = [gaps[name] - equivalence for name in tested]
    adjusted = holm(sign_flip(np.array(shifted).reshape(len(tested), size)))
    p = dict(zip(tested, adjusted.tolist(), strict=True))

    standings = [_standing(best, arms[best], means[best], True, "best")]
    for name in rivals:
        gap = interval(gaps[name])
        shown = p.get(name, 1.0) <= LEVEL and gap.center > equivalence
        relation = "worse" if shown else "not told apart"
        if name not in p:
            relation = "identical"
        spread = float(np.std(gaps[name], ddof=1)) if len(reference) > 1 else math.nan
        standings.append(
            dataclasses.replace(
                _standing(name, arms[name], means[name], not shown, relation),
                behind=gap,
                p=p.get(name, 1.0),
                effect=gap.center / spread if spread > 0 else math.nan,
            )
        )
    standings += [_unranked(name, arms[name]) for name in last]
    needed = seeds_needed(len(tested))
    enough = not tested or size >= needed
    return Ranking(
        direction, equivalence, tuple(standings), size, None if enough else needed
    )


def regrets(rankings: Mapping[str, Ranking]) -> dict[str, dict[str, Interval]]:
    """Loss -> metric -> regret: 0 for the best mean, 1 for the worst of those compared.

    The interval is that of the paired difference to the best, on the same scale. Only
    losses that are complete on every metric take part.
    """
    complete = [
        {s.loss for s in ranking.standings if math.isfinite(s.center)}
        for ranking in rankings.values()
    ]
    table: dict[str, dict[str, Interval]] = {}
    for metric, ranking in rankings.items():
        compared = [
            standing
            for standing in ranking.standings
            if all(standing.loss in losses for losses in complete)
        ]
        if not compared:
            return {}
        scale = abs(compared[-1].center - compared[0].center)
        for standing in compared:
            gap, floor = standing.behind, compared[0].behind
            regret = Interval(0.0, 0.0, 0.0)
            if gap is not None and scale > 0:
                start = floor.center if floor else 0.0
                center, low, high = (
                    gap.center - start,
                    gap.low - start,
                    gap.high - start,
                )
                regret = Interval(center / scale, low / scale, high / scale)
            table.setdefault(standing.loss, {})[metric] = regret
    return table


def safest(rankings: Mapping[str, Ranking]) -> tuple[list[str], float, str]:
    """The losses of smallest worst-case regret, that regret, and the metric it is on.

    A regret counts only where the loss is shown worse than the best: a metric that
    tells no losses apart must not decide. At 0 several losses may share the place.
    """
    worst: dict[str, tuple[float, str]] = {}
    for loss, row in regrets(rankings).items():
        worst[loss] = max(
            (0.0 if rankings[metric].of(loss).best_set else regret.center, metric)
            for metric, regret in row.items()
        )
    if not worst:
        return [], math.nan, ""
    least = min(regret for regret, _ in worst.values())
    losses = [loss for loss, (regret, _) in worst.items() if regret == least]
    return losses, least, worst[losses[0]][1]


def advantage(
    arms: Mapping[str, Arm], own: str, *, direction: str
) -> tuple[Interval, float]:
    """By how much one arm is better than the mean of its complete rivals, and p.

    Paired by seed, positive where `own` is better, in units of the range between the
    best and the worst arm's mean; p is the two-sided sign-flip test's, unadjusted.
    """
    complete = {name: arm.values for name, arm in arms.items() if arm.complete}
    rivals = [values for name, values in complete.items() if name != own]
    worse = 1.0 if direction == "lower" else -1.0
    means = [float(np.mean(values)) for values in complete.values()]
    scale = max(means) - min(means) or 1.0
    gaps = worse * (np.mean(rivals, axis=0) - complete[own]) / scale
    return interval(gaps), float(sign_flip(gaps[None])[0])


def _standing(
    name: str, arm: Arm, mean: Interval, best_set: bool, relation: str
) -> Standing:
    return Standing(
        name,
        mean.center,
        mean.low,
        mean.high,
        n=len(arm.values),
        diverged=0,
        failed=0,
        best_set=best_set,
        relation=relation,
        behind=None,
        p=math.nan,
        effect=math.nan,
    )


def _unranked(name: str, arm: Arm) -> Standing:
    """No mean over the survivors: that would reward a loss for failing."""
    if arm.diverged:
        relation = "diverged"
    elif arm.failed:
        relation = "failed"
    else:
        relation = "not scored"
    return Standing(
        name,
        math.nan,
        math.nan,
        math.nan,
        n=int(np.isfinite(arm.values).sum()),
        diverged=arm.diverged,
        failed=arm.failed,
        best_set=False,
        relation=relation,
        behind=None,
        p=math.nan,
        effect=math.nan,
    )
