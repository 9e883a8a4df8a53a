"""The second interval: over test images, where the first is over seeds.

Seeds say whether another training run would rank the losses alike; test images whether
another draw of images would. Both are paired. Images count as drawn independently, so
that crops of one photograph give an interval that is too narrow.
"""

import dataclasses
import math

import numpy as np
from scipy.special import stdtrit

from lossjax.suite.report.evidence import ArmEvidence, Evidence, Group
from lossjax.suite.statistics import LEVEL, Interval, Ranking
from lossjax.suite.store.test_images import sizes


@dataclasses.dataclass(frozen=True)
class OverImages:
    """Intervals of one loss on one metric, seeds held as they are."""

    mean: Interval
    behind: Interval | None  # paired difference to the best, positive = worse


def half_width(means: np.ndarray, counts: np.ndarray) -> float:
    """Half the 95 % interval of the mean over images, from means (g,) of groups.

    `counts` says how many images are in each group. Student's t over the groups: with
    one image a group it is the interval of the plain mean. No matrix products: their
    last bits depend on the processor.
    """
    groups = len(means)
    if groups < 2:
        return math.nan
    share = counts / counts.sum()
    away = share * (means - np.sum(share * means))
    error = math.sqrt(float(np.sum(away**2)) * groups / (groups - 1))
    return float(stdtrit(groups - 1, 1 - LEVEL / 2)) * error


def over_images(
    evidence: Evidence, group: Group, metric: str, ranking: Ranking
) -> dict[str, OverImages]:
    """The intervals of every ranked loss; empty where nothing was kept of images.

    Metrics of the code and results of before have none.
    """
    best = ranking.best
    if best is None:
        return {}
    counts = sizes(evidence.description["datasets"][group.dataset].get("test") or 1)
    means = {
        s.loss: own
        for s in ranking.standings
        if math.isfinite(s.center)
        and (own := _means(group.arms[s.loss], metric)) is not None
        and len(own) == len(counts)
    }
    found = {}
    for loss, own in means.items():
        standing = ranking.of(loss)
        behind = None
        if standing.behind is not None and best.loss in means:
            half = half_width(own - means[best.loss], counts)
            behind = _around(standing.behind.center, half)
        mean = _around(standing.center, half_width(own, counts))
        found[loss] = OverImages(mean, behind)
    return found


def unsure(evidence: Evidence, group: Group, metric: str) -> list[str]:
    """Losses significantly worse over seeds, perhaps not over other test images."""
    ranking = group.rankings[metric]
    intervals = over_images(evidence, group, metric, ranking)
    return [
        s.loss
        for s in ranking.standings
        if s.word == "worse"
        and s.loss in intervals
        and (behind := intervals[s.loss].behind) is not None
        and behind.low <= ranking.margin
    ]


def _means(arm: ArmEvidence, metric: str) -> np.ndarray | None:
    """Means (g,) of groups of test images, over seeds; None where a seed has none."""
    kept = [r.kept.of(metric) if r.kept is not None else None for r in arm.chosen]
    whole = [means for means in kept if means is not None]
    if not whole or len(whole) < len(kept) or len({len(m) for m in whole}) > 1:
        return None
    return np.stack(whole).astype(np.float64).mean(axis=0)


def _around(center: float, half: float) -> Interval:
    return Interval(center, center - half, center + half)
