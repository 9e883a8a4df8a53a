"""The shortlist names what exists, and a pilot adds the nearest power(g) that helps."""

import math

import pytest

import lossjax
from lossjax import CODE_METRICS, LATENT_METRICS, METRICS
from lossjax.suite.reproduce.configs import config
from lossjax.suite.shortlist import DIALS, PURPOSES, dialled, preferred
from lossjax.suite.statistics import Interval, Ranking, Standing


def test_every_purpose_names_a_metric_and_losses() -> None:
    for purpose in PURPOSES.values():
        assert purpose.metric in {**METRICS, **CODE_METRICS, **LATENT_METRICS}
        assert purpose.safe[0] in purpose.losses
        for loss in purpose.losses:
            assert lossjax.resolve(loss).name == loss


@pytest.mark.parametrize(
    ("g", "loss"),
    [
        (-3, "power(g=-0.25)"),
        (-0.1, ""),  # bce is as near
        (0.2, "power(g=0.25)"),
        (0.95, ""),
        (1.2, ""),
        (9, "power(g=1.5)"),
        (math.nan, ""),
    ],
)
def test_the_pilot_adds_the_nearest(g: float, loss: str) -> None:
    assert "".join(dialled(Interval(g, g, g))) == loss


def test_the_pilot_points_to_what_the_atlas_trains() -> None:
    trained = {loss for loss in config("atlas").LOSSES if loss.startswith("power")}
    assert trained == {f"power(g={g:g})" for g in DIALS}


def test_preferred_is_the_first_that_is_no_worse() -> None:
    words = {"a": "best", "b": "equivalent", "c": "undecided", "d": "worse"}
    standings = tuple(
        Standing(loss, 0.1, 0, 1, 10, 0, 0, 0, word) for loss, word in words.items()
    )
    ranking = Ranking("lower", 0.01, standings, 10, None)
    assert preferred(ranking, ("d", "c", "b", "a")) == "b"
    assert preferred(ranking, ("a", "b")) == "a"
