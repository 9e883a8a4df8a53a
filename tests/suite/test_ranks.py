"""Ranks over datasets: means, ties in groups, and nothing made of errors."""

import math

import numpy as np
import pytest

from lossjax.suite import ranks, statistics
from lossjax.suite.statistics import Ranking, Scores


def ranking(direction: str = "lower", **means: float) -> Ranking:
    scores = {loss: Scores(np.full(3, mean)) for loss, mean in means.items()}
    return statistics.rank(scores, direction=direction, margin=0, relative=False)


def test_ranks_are_of_each_dataset_whatever_its_scale() -> None:
    every = [
        ranking(a=0.1, b=0.2, c=0.2),
        ranking(a=300, b=100, c=math.nan),  # c lost a seed there
        ranking(a=math.nan, b=math.nan, c=math.nan),  # no labels, say
    ]
    found = ranks.on_each(every)
    assert {k: v.tolist() for k, v in found.items()} == {
        "a": [1, 2],
        "b": [2.5, 1],
        "c": [2.5, 3],
    }
    means = ranks.mean_ranks(every)
    assert (means["b"].low, means["b"].center, means["b"].high) == (1, 1.75, 2.5)
    assert ranks.mean_ranks([every[2]]) == {}
    assert math.isnan(ranks.mean_ranks(every[:1])["a"].low)
    higher = ranks.on_each([ranking("higher", a=0.1, b=0.2)])
    assert higher["b"] == 1


@pytest.mark.parametrize(
    ("datasets", "groups"), [(4, [{"a", "b", "c"}]), (8, [{"a", "b"}, {"c"}])]
)
def test_ties_need_enough_datasets(datasets: int, groups: list[set[str]]) -> None:
    turn = np.arange(datasets) % 2
    own = {"a": 1.0 + turn, "b": 2.0 - turn, "c": np.full(datasets, 3.0)}
    found = list(ranks.ties(own))
    assert [{s.loss for s in one.best_set} for one in found] == groups
    assert (found[0].needed is None) == (datasets == 8)
