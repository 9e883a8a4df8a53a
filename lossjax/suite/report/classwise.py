"""Scores of one class of test images apart: which loss is good at what.

By the rules of the whole comparison, a class and a metric at a time; counted nowhere.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from lossjax.suite.report.evidence import Evidence, Group, ranked
from lossjax.suite.statistics import Ranking
from lossjax.suite.store.results import Result

MOST = 5_000  # scores of a class by a loss; more are nothing to read


def sizes(evidence: Evidence, group: Group) -> Mapping[int, int]:
    """How many test images are of each class; empty where none are known."""
    facts = evidence.description["datasets"][group.dataset].get("classes")
    return dict(zip(facts["labels"], facts["counts"], strict=True)) if facts else {}


def metrics(evidence: Evidence, group: Group) -> list[str]:
    """The counted metrics that every run that counts has of every class."""
    count = len(sizes(evidence, group))
    scored = count * sum(len(each.arms) for each in evidence.groups)
    every = [m for m in group.counted if count and _whole(group, m, count)]
    return every if scored * len(every) <= MOST else []


def rankings(
    evidence: Evidence, group: Group, metric: str
) -> Iterator[tuple[int, Ranking]]:
    """Every class with the ranking of the losses on it."""
    row = evidence.metrics[metric]
    for place, label in enumerate(sizes(evidence, group)):

        def of_class(result: Result, place: int = place) -> float:
            means = _means(result, metric)
            assert means is not None
            return float(means[place])

        scores = {loss: arm.scores(of_class) for loss, arm in group.arms.items()}
        yield label, ranked(scores, row)


def _whole(group: Group, metric: str, count: int) -> bool:
    means = (_means(r, metric) for arm in group.arms.values() for r in arm.chosen)
    return all(own is not None and len(own) == count for own in means)


def _means(result: Result, metric: str) -> np.ndarray | None:
    """Means (classes,) of a run's test images; None where none were kept."""
    kept = result.kept
    if kept is None or kept.classes is None or metric not in kept.metrics:
        return None
    return kept.classes[kept.metrics.index(metric)]
