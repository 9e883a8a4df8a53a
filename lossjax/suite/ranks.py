"""Over several datasets: ranks are averaged, errors never are.

A dataset is what is drawn here, so intervals and ties speak of these datasets, and of
others only if they are like these.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from lossjax.suite import statistics
from lossjax.suite.statistics import Interval, Ranking, Scores

DRAWS = 10_000


def on_each(rankings: Sequence[Ranking]) -> dict[str, np.ndarray]:
    """Rank (datasets,) of each loss by its mean; equal ones share the mean rank.

    A loss with a lost seed is last. A dataset on which no loss has the score, one
    without labels say, is left out.
    """
    from scipy import stats  # half a second of every start

    losses = [s.loss for s in rankings[0].standings]
    table = []
    for ranking in rankings:
        sign = 1 if ranking.direction == "lower" else -1
        at = [sign * ranking.of(loss).center for loss in losses]
        if any(map(math.isfinite, at)):
            table.append(stats.rankdata(np.nan_to_num(at, nan=math.inf)))
    return dict(zip(losses, np.array(table).T, strict=True)) if table else {}


def means(ranks: dict[str, np.ndarray]) -> dict[str, Interval]:
    """Mean rank of each loss with the percentile bootstrap over datasets."""
    if not ranks:
        return {}
    table = np.array(list(ranks.values())).T
    n = len(table)
    drawn = np.random.default_rng(0).integers(0, n, (DRAWS, n))
    low, high = np.percentile(table[drawn].mean(1), [2.5, 97.5], axis=0)
    if n < 2:
        low = high = np.full(len(ranks), math.nan)
    ends = zip(table.mean(0).tolist(), low.tolist(), high.tolist(), strict=True)
    return {loss: Interval(*three) for loss, three in zip(ranks, ends, strict=True)}


def mean_ranks(rankings: Sequence[Ranking]) -> dict[str, Interval]:
    """Mean rank of each loss over the datasets of these rankings, all by one metric."""
    return means(on_each(rankings))


def ties(ranks: dict[str, np.ndarray]) -> Iterator[Ranking]:
    """Groups of losses that are tied, the leaders first; a ranking of ranks each.

    Tied with the lowest mean rank is what the paired test, over datasets, does not show
    to be behind it; of those that are left the next group is made likewise.
    """
    left = dict(ranks)
    while left:
        scores = {loss: Scores(own) for loss, own in left.items()}
        one = statistics.rank(scores, direction="lower", margin=0, relative=False)
        yield one
        for standing in one.best_set:
            del left[standing.loss]
