"""How far a loss is behind the best, in the unit in which studies tell a metric."""

import math

from lossjax.suite.statistics import Interval, Ranking

RELATIVE = ("mse", "mae", "excess_bce")  # in per cent of the best
PLAIN = ("sharpness_error",)  # in its own unit; the rest in hundredths


def behind(ranking: Ranking, loss: str, metric: str) -> Interval:
    """Behind the best with its paired interval; NaN where that cannot be told."""
    standing, best = ranking.of(loss), ranking.best
    gap = standing.behind or (Interval(0, 0, 0) if standing == best else None)
    if gap is None or best is None:
        return Interval(math.nan, math.nan, math.nan)
    scale = 100 / best.center if metric in RELATIVE else 1 if metric in PLAIN else 100
    return Interval(*(scale * x for x in (gap.center, gap.low, gap.high)))


def unit(metric: str) -> str:
    """That `behind` is given in."""
    return "%" if metric in RELATIVE else "" if metric in PLAIN else "hundredths"
