"""The shortlist names what exists, and a pilot adds the nearest power(g) that helps."""

import math

import pytest

import lossjax
from lossjax import CODE_METRICS, LATENT_METRICS, METRICS
from lossjax.suite.reproduce.configs import config
from lossjax.suite.shortlist import DIALS, PURPOSES, dialled
from lossjax.suite.statistics import Interval


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
