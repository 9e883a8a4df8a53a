"""Every loss looks the same in every report, and unlike the others."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb

import lossjax
from lossjax.suite.report import figures, style
from lossjax.suite.report.looks import LOOKS, look, luminance

USUAL = (
    *("bce", "mse", "mae", "huber", "log_cosh", "charbonnier", "mse_linear"),
    *("power", "continuous_bernoulli", "ssim"),
)
OTHERS = [
    *(f"huber(delta={d})" for d in (0.02, 0.05, 0.1, 0.3)),
    *(f"power(g={g})" for g in (-0.5, -0.25, 0, 0.25, 0.75, 1, 1.5, 2)),
    "mine.py:my_loss",
    "mix(mae, ssim, weight=0.5)",
]


def test_every_loss_of_the_table_has_a_look() -> None:
    assert list(LOOKS) == list(lossjax.LOSSES)


def test_no_two_looks_are_alike() -> None:
    """By colour and marker; what is often compared differs in colour alone."""
    looks = [look(loss) for loss in (*LOOKS, *OTHERS)]
    assert len({(each.colour, each.marker) for each in looks}) == len(looks)
    usual = [look(loss).colour for loss in USUAL]
    assert len(set(usual)) == len(usual)


@pytest.mark.parametrize("paper", ["#ffffff", "#191c20"])
def test_every_colour_stands_out_from_the_paper(paper: str) -> None:
    ground = luminance(to_rgb(paper))
    for loss in (*LOOKS, *OTHERS):
        light, dark = sorted((luminance(to_rgb(look(loss).colour)), ground))[::-1]
        assert (light + 0.05) / (dark + 0.05) >= 3, (loss, paper)


def test_an_own_loss_looks_the_same_in_any_folder() -> None:
    assert look("/home/a/mine.py:my_loss") == look("mine.py:my_loss")


def test_curves_on_one_another_are_named() -> None:
    up = np.linspace(1, 2, 9)
    curves = {"bce": up, "excess_bce": up + 1e-4, "mse": up[::-1]}
    assert figures.coinciding(curves, "linear") == (
        " These lie on one another: bce and excess_bce."
    )
    assert figures.coinciding({"bce": up, "mse": up + 0.1}, "log") == ""
    assert figures.coinciding({"bce": [np.nan], "mse": [1.0]}, "log") == ""


def test_a_study_draws_losses_as_a_report_does_and_else_by_place() -> None:
    for name, mark in style.marks(("ssim", "power(g=0.75)")).items():
        assert (mark.colour, mark.marker, mark.line) == look(name)
    marks = style.marks(("ssim", "a law of noise")).values()
    assert [mark.colour for mark in marks] == [*style.COLOURS[:2]]
