"""The advice follows from the numbers by its rules."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stored_sweeps

from lossjax.suite.config import Sweep
from lossjax.suite.report.advising import advice
from lossjax.suite.report.build import build
from lossjax.suite.report.evidence import read
from lossjax.suite.report.recommendation import Recommendation
from lossjax.suite.store.results import Result

SWEEP = Sweep(losses=("bce", "mse", "mae"), seeds=tuple(range(8)), budgets=(1000, 500))


def described(sweep: Sweep = SWEEP, test: int = 300, **changed: Any) -> dict[str, Any]:
    description = stored_sweeps.describe(sweep)
    description["datasets"]["digits"]["test"] = test
    description["advice"] = {
        "question": "q",
        "purpose": "squared",
        "minutes": 5,
        "notes": [],
        "look": {
            "images": 1797,
            "duplicates": 0,
            "black": 0.5,
            "white": 0.1,
            "binary": 0.7,
            "floor": 0.2,
            "colour": False,
            "counted": 1,
            "histogram": [0.5, 0.5],
        },
        "trivial": {"the mean image": 0.07, "principal components": 0.03},
        "pilot": None,
        "losses": {
            loss: {"output": "sigmoid", "code": {"torch": f"# {loss} for torch"}}
            for loss in sweep.losses
        },
        **changed,
    }
    return description


def moved(**errors: float) -> Callable[[Result], Result]:
    """Adds so much to the squared error of every run of a loss."""

    def change(result: Result) -> Result:
        metrics = dict(result.metrics)
        metrics["test_mse"] += errors.get(result.run.loss, 0)
        return dataclasses.replace(result, metrics=metrics)

    return change


@pytest.mark.parametrize(
    ("errors", "loss", "words"),
    [
        ({}, "bce", "No difference that matters: mse (0.1 %"),
        ({"bce": 0.004}, "mse", "Significantly worse: bce ("),
        # mse has the lower mean, by less than matters: the simpler one is advised
        ({"mse": -0.00004}, "bce", "mse (scored best)"),
    ],
)
def test_the_best_or_an_equal_one_before_it_is_advised(
    errors: dict[str, float], loss: str, words: str, tmp_path: Path
) -> None:
    stored_sweeps.write(tmp_path, SWEEP, moved(**errors), described())
    found = advice(read(tmp_path))
    assert found is not None and found.decided and found.loss == loss
    assert found.tied == ((loss,) if errors.get("bce") else ("bce", "mse"))
    assert found.paragraph.startswith(f"Use {loss} for small squared error.")
    assert words in found.paragraph
    assert found.code == {"torch": f"# {loss} for torch"}
    for part in ("Output layer:", "Learning rate: 0.003", "How sure: 8 seeds"):
        assert part in found.paragraph
    reached = "the mean image 0.07 and principal components (as many as its code has"
    assert reached in found.paragraph and "  " not in found.paragraph
    assert ("It scored best here." in found.paragraph) == (not errors or loss == "mse")


@pytest.mark.parametrize(
    ("budgets", "gain", "tied", "words"),
    [
        ((1000, 500), 0.001, ("mse",), "Significantly worse: bce ("),
        (
            (1000, 500),
            0.006,
            ("bce", "mse"),
            "Behind so far, but a longer training may end otherwise: bce (40.0 % "
            "behind the best); going from 500 to 1,000 steps changed the best score by "
            "more, 38 %.",
        ),
        (
            (1000,),
            0.006,
            ("bce", "mse", "mae"),
            "what twice the steps change is not known",
        ),
    ],
)
def test_what_twice_the_steps_may_turn_is_not_called_worse(
    budgets: tuple[int, ...],
    gain: float,
    tied: tuple[str, ...],
    words: str,
    tmp_path: Path,
) -> None:
    """With all steps bce is 0.004 behind mse, and mae 0.008."""
    sweep = dataclasses.replace(SWEEP, budgets=budgets)

    def change(result: Result) -> Result:
        early = gain * (result.run.train_steps == 500)
        errors = {loss: early for loss in sweep.losses}
        return moved(**errors | {"bce": 0.004 + early, "mae": 0.004 + early})(result)

    stored_sweeps.write(tmp_path, sweep, change, described(sweep))
    found = advice(read(tmp_path))
    assert found is not None and found.decided and found.loss == "mse"
    assert found.tied == tied and words in found.paragraph


def test_a_loss_that_cannot_have_the_score_is_not_called_worse(tmp_path: Path) -> None:
    change = moved(bce=0.004, mae=math.nan)
    stored_sweeps.write(tmp_path, SWEEP, change, described())
    found = advice(read(tmp_path))
    assert found is not None and found.loss == "mse" and found.tied == ("mse",)
    assert "Significantly worse: bce (" in found.paragraph
    assert "mae (" not in found.paragraph


FEW = dataclasses.replace(SWEEP, seeds=(0, 1, 2))


@pytest.mark.parametrize(
    ("sweep", "changed", "words"),
    [
        (FEW, {}, "3 seeds, which the time allowed, can show no loss to be worse"),
        (SWEEP, {"test": 5}, "5 test images are too few to speak for others"),
        (
            dataclasses.replace(SWEEP, crops=64),
            {"test": 320},
            "320 test images, up to 64 of one picture, are of too few pictures",
        ),
        (
            SWEEP,
            {"trivial": {"the mean image": 0.009}},
            "nothing was learned yet, the best network is no better than the mean",
        ),
    ],
)
def test_the_safe_choice_where_nothing_is_decided(
    sweep: Sweep, changed: dict[str, Any], words: str, tmp_path: Path
) -> None:
    """Though mse is far ahead."""
    change = moved(bce=0.01, mae=0.01)
    stored_sweeps.write(tmp_path, sweep, change, described(sweep, **changed))
    found = advice(read(tmp_path))
    assert found is not None and not found.decided and found.loss == "bce"
    assert found.paragraph.startswith("Use bce, the safe choice: it estimates the mean")
    assert words in found.paragraph and "Significantly" not in found.paragraph


def test_a_linear_code_that_is_better_is_said(tmp_path: Path) -> None:
    trivial = {"the mean image": 0.07, "principal components": 0.005, "none": math.nan}
    stored_sweeps.write(tmp_path, SWEEP, description=described(trivial=trivial))
    found = advice(read(tmp_path))
    assert found is not None and found.decided
    assert found.paragraph.startswith(
        "Provisional, since no network is better than a linear code yet: use bce for"
    )
    assert "trained longer (--minutes=10 is twice as long)" in found.paragraph
    assert found.paragraph.count("principal components") == 1


def test_the_page_shows_it_first_and_other_sweeps_have_none(tmp_path: Path) -> None:
    pilot = {"run": "r", "images": 300, "g": 0.4, "low": 0.3, "high": 0.5, "tail": 2}
    notes = ["a sample <b>of</b> images"]
    whole, plain = tmp_path / "whole", tmp_path / "plain"
    stored_sweeps.write(whole, SWEEP, description=described(pilot=pilot, notes=notes))
    made = Recommendation.of(whole)
    assert made.loss == "bce" and made.decided and "torch" in made.code
    page = made.report().read_text()
    assert page.index("Use bce for small") < page.index('id="verdict"')
    assert page.count('<p class="group">') == 1 and "[train_steps=500]" in page
    assert "train_steps" not in made.verdict
    for words in ("point to g = 0.40 [0.30, 0.50]", "# bce for torch", "&lt;b&gt;of"):
        assert words in page
    stored_sweeps.write(plain, SWEEP)
    assert advice(read(plain)) is None
    assert 'id="advice"' not in build(plain).page.read_text()
