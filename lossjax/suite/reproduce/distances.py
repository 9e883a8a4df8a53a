"""How far a loss is behind the best, in the unit in which studies tell a metric."""

import math

from matplotlib.axes import Axes

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


def scale(axes: Axes, metric: str) -> None:
    """Makes the x axis one of distances: linear up to 1, then logarithmic."""
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xticks([0, 1, 10, 100], ["0", "1", "10", "100"])
    axes.minorticks_off()
    axes.set_xlabel(f"{metric},\n{unit(metric)}")
