"""Metric cards: read from the rows, measured against other libraries."""

import dataclasses
import re

import jax.numpy as jnp
import numpy as np
import pytest
from typed_commands import python

from lossjax import CODE_METRICS, METRICS
from lossjax.suite.cards.yardsticks import __main__ as metrics
from lossjax.suite.cards.yardsticks import references
from lossjax.suite.cli.errors import UserError


def test_the_table_names_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert metrics.main([]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = [line.split()[0] for line in lines if line[1:2].strip()]
    assert [name for name in first if name in metrics.EVERY] == list(metrics.EVERY)
    (psnr,) = [line for line in lines if line.startswith(" psnr")]
    assert psnr.split() == ["psnr", "higher", "dB", "0.05", "mse"]


@pytest.mark.parametrize("name", metrics.EVERY)
def test_a_card_tells_the_row(name: str) -> None:
    # By another name, so that nothing is measured.
    row = dataclasses.replace(metrics.EVERY[name], name="mine", unit="cubits")
    told = dict(metrics.facts(row))
    assert told["unit"] == "cubits" and told["definition"].endswith(".")
    ranked = row.direction != "none"
    assert ("margin" in told) == ranked == (told["better"] == row.direction)
    assert ("never counted" in told["derived from"]) == bool(row.derived)
    assert told.get("note", "") == row.note
    assert ("weight 0" in told["weights"]) == (name in METRICS)


def test_a_derived_metric_says_on_which_images() -> None:
    row = dataclasses.replace(METRICS["ms_ssim"], name="mine")
    told = dict(metrics.facts(row))["derived from"]
    assert told.startswith("ssim where a side is under 16 pixels; ")


def test_metrics_agree_with_other_libraries_and_a_wrong_one_does_not() -> None:
    """A new metric is one row: its reference is welcome, not demanded."""
    for name in references.IMAGES:
        row = METRICS[name]
        told = dict(metrics.facts(row))["accuracy"]
        (error,) = re.findall(r"within (\S+) of \w+ in float64, on 80 images", told)
        assert float(error) < 2e-5, (name, told)
        wrong = dataclasses.replace(row, score=lambda *a, s=row.score: 1.1 * s(*a))
        (error,) = re.findall(r"within (\S+)", dict(metrics.facts(wrong))["accuracy"])
        assert float(error) > 1e-4, name


def test_a_reader_is_compared_on_the_same_codes() -> None:
    codes = references.codes()
    for name, (_, reference) in references.CODES.items():
        found = float(CODE_METRICS[name].fn(*map(jnp.asarray, codes)))
        np.testing.assert_allclose(found, reference(*codes), atol=0.012)


def test_refuses_in_one_line() -> None:
    with pytest.raises(UserError, match="unknown metric 'ssmi': did you mean 'ssim'"):
        metrics.main(["ssmi"])
    with pytest.raises(UserError, match="stray argument 'mse'"):
        metrics.main(["ssim", "mse"])


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["losses", "metrics"])
@pytest.mark.parametrize(
    ("variable", "value"), [("XLA_FLAGS", "--xla_nope=1"), ("JAX_PLATFORMS", "cuda")]
)
def test_where_nothing_can_be_computed_is_one_line(
    verb: str, variable: str, value: str
) -> None:
    ended = python("-m", "lossjax.suite.cli", verb, "mse", **{variable: value})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"lossjax: {variable}={value}: ")
    assert len(ended.stderr.splitlines()) == 1
