"""What the numbers allow one to say: intervals, exact paired tests, who is tied.

Everything here is pure: arrays of scores in, plain dataclasses out. Scores of one arm
are those of its seeds in the order of the config, so arms are paired by position; a
seed without a usable score is NaN. Scipy carries the statistics it has; Holm's
correction, the exact sign-flip test beyond a dozen seeds and the words are ours.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.05  # family-wise, within one dataset, model and metric
BCA_FROM = 20  # seeds from which the bootstrap is preferred to the t interval
DIRECTIONS = ("lower", "higher")
TIED = ("best", "equivalent", "undecided")  # words of losses that are tied for best
UNDEFINED = "not defined"  # of a metric that a loss cannot have: it is not compared


@dataclasses.dataclass(frozen=True)
class Interval:
    """A mean and its 95 % interval; low and high are NaN below two values."""

    center: float
    low: float
    high: float


NOTHING = Interval(math.nan, math.nan, math.nan)


@dataclasses.dataclass(frozen=True)
class Scores:
    """One arm's scores, (n,) floats, NaN where a seed has none, and why not."""

    values: np.ndarray
    lost: int = 0  # seeds of which no learning rate survived
    diverged: int = 0  # runs, at any learning rate
    failed: int = 0  # runs, at any learning rate

    @property
    def complete(self) -> bool:
        return len(self.values) > 0 and bool(np.isfinite(self.values).all())

    @property
    def undefined(self) -> bool:
        """Whether seeds survived and none has the score: the loss cannot have it."""
        return self.lost < len(self.values) and not np.isfinite(self.values).any()


@dataclasses.dataclass(frozen=True)
class Standing:
    """Where one loss stands on one metric."""

    loss: str
    center: float  # mean over seeds; NaN where a seed has no usable score
    low: float
    high: float
    n: int  # seeds with a usable score
    lost: int
    diverged: int
    failed: int
    word: str  # one of TIED, or worse, or UNDEFINED
    behind: Interval | None = None  # paired difference to the best, positive = worse
    p: float = math.nan  # of being behind by no more than the margin, Holm-adjusted
    effect: float = math.nan  # mean paired difference in its own standard deviations

    @property
    def best_set(self) -> bool:
        """Whether it is tied for best."""
        return self.word in TIED


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
        return first if first is not None and first.word == "best" else None

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
        from scipy import stats  # half a second of every start

        result = stats.bootstrap(
            (values,), np.mean, method="BCa", rng=np.random.default_rng(0)
        ).confidence_interval
        return Interval(center, float(result.low), float(result.high))
    half = _quantile(len(values)) * float(np.std(values, ddof=1)) / len(values) ** 0.5
    return Interval(center, center - half, center + half)


@functools.cache
def _quantile(n: int) -> float:
    """How many standard errors of n values the interval reaches to each side."""
    return float(stdtrit(n - 1, 1 - LEVEL / 2))


def sign_flip(differences: np.ndarray) -> np.ndarray:
    """Two-sided p of the sign-flip test that paired differences (k, n) have mean zero.

    One p for each of the k rows. Exact up to 30 seeds, by counting over two halves;
    scipy's enumeration takes sums that are equal but for rounding for different ones,
    and refuses a single seed. Beyond 30 seeds 99,999 seeded random flips, the same for
    every row.
    """
    differences = np.asarray(differences, float)
    rows, n = differences.shape
    if rows == 0:
        return np.empty(0)
    if n > 30:
        return _sign_flip_at_random(differences)
    return np.array([_sign_flip_by_halves(row) for row in differences])


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
    scores: Mapping[str, Scores], *, direction: str, margin: float, relative: bool
) -> Ranking:
    """Best first, each with its word against the best.

    The null hypothesis of a rival is that its paired difference to the best is at most
    the margin (relative margins are fractions of the best mean). `worse`: the sign-flip
    test, Holm-adjusted over the rivals, rejects it. `equivalent`: the upper limit of
    the paired interval is within the margin. Else `undecided`. Equivalent and
    undecided losses are tied for best.

    A loss with a seed that is lost or has no score is listed last, as worse; one that
    cannot have the score at all after it, as not defined.

    Raises:
      ValueError: the direction is neither lower nor higher, or the margin is negative.
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction {direction!r}: valid: lower, higher")
    if not margin >= 0:
        raise ValueError(f"margin {margin!r}: must be 0 or more")
    worse = 1.0 if direction == "lower" else -1.0
    means = {name: interval(one.values) for name, one in scores.items() if one.complete}
    order = sorted(means, key=lambda name: worse * means[name].center)
    last = [name for name in scores if name not in means]
    last.sort(key=lambda name: (scores[name].undefined, scores[name].lost))
    size = max((len(one.values) for one in scores.values()), default=0)
    unranked = tuple(_standing(name, scores[name], NOTHING, "worse") for name in last)
    if not order:
        return Ranking(direction, math.nan, unranked, size, None)

    best, rivals = order[0], order[1:]
    equivalence = margin * (abs(means[best].center) if relative else 1.0)
    gaps = {
        name: worse * (scores[name].values - scores[best].values) for name in rivals
    }
    tested = [name for name in rivals if np.any(gaps[name] != 0)]
    shifted = [gaps[name] - equivalence for name in tested]
    adjusted = holm(sign_flip(np.array(shifted).reshape(len(tested), size)))
    p = dict(zip(tested, adjusted.tolist(), strict=True))

    standings = [_standing(best, scores[best], means[best], "best")]
    for name in rivals:
        gap = interval(gaps[name])
        if p.get(name, 1.0) <= LEVEL and gap.center > equivalence:
            word = "worse"
        else:
            word = "equivalent" if gap.high <= equivalence else "undecided"
        spread = float(np.std(gaps[name], ddof=1)) if size > 1 else math.nan
        standings.append(
            dataclasses.replace(
                _standing(name, scores[name], means[name], word),
                behind=gap,
                p=p.get(name, 1.0),
                effect=gap.center / spread if spread > 0 else math.nan,
            )
        )
    needed = seeds_needed(len(tested))
    enough = not tested or size >= needed
    return Ranking(
        direction,
        equivalence,
        (*standings, *unranked),
        size,
        None if enough else needed,
    )


def pareto(rankings: Mapping[str, Ranking]) -> list[str]:
    """The losses that no other beats, by its mean, on every one of these metrics.

    In the order of the first metric. A loss that lacks a score takes no part.
    """
    means = [
        {
            s.loss: s.center if ranking.direction == "lower" else -s.center
            for s in ranking.standings
            if math.isfinite(s.center)
        }
        for ranking in rankings.values()
    ]
    if not means:
        return []
    complete = [loss for loss in means[0] if all(loss in each for each in means)]
    return [
        loss
        for loss in complete
        if not any(
            all(each[other] < each[loss] for each in means) for other in complete
        )
    ]


def _standing(name: str, scores: Scores, mean: Interval, word: str) -> Standing:
    """No mean over the survivors: that would reward a loss for failing."""
    return Standing(
        name,
        mean.center,
        mean.low,
        mean.high,
        n=int(np.isfinite(scores.values).sum()),
        lost=scores.lost,
        diverged=scores.diverged,
        failed=scores.failed,
        word=UNDEFINED if scores.undefined else word,
    )
