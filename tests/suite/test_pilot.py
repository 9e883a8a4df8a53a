"""A pilot recovers the variance that was planted."""

from pathlib import Path

import numpy as np
import pytest

import lossjax
from lossjax.suite import data
from lossjax.suite.config import Sweep
from lossjax.suite.pilot import of_outputs, of_run
from lossjax.suite.sweep import unattended


def planted(exponent: float, scale: float, count: int = 150):
    """Outputs p, and images whose residual has the variance (scale s^(a/2))^2."""
    random = np.random.default_rng(1)
    p = random.uniform(0.1, 0.9, (count, 16, 16, 1))
    noise = random.standard_normal(p.shape)
    y = p + scale * (p * (1 - p)) ** (exponent / 2) * noise
    return p, np.rint(255 * np.clip(y, 0, 1)).astype(np.uint8)


@pytest.mark.parametrize(("exponent", "scale"), [(0, 0.03), (0.5, 0.05), (1, 0.08)])
def test_a_planted_exponent_is_in_the_interval(exponent: float, scale: float) -> None:
    found = of_outputs(*planted(exponent, scale))
    a, g = found.exponent, found.g
    assert a.low < exponent < a.high and a.high - a.low < 0.25
    assert g.low < 1 - exponent < g.high and g.center == 1 - a.center
    assert abs(found.grey - exponent) < 0.1 and abs(found.by_s - exponent) < 0.1
    assert found == of_outputs(*planted(exponent, scale))  # seeded


def test_targets_beyond_the_range_keep_their_exponent() -> None:
    random = np.random.default_rng(0)
    p = random.uniform(0.05, 0.95, (150, 16, 16, 1))
    y = (p + 0.3 * random.standard_normal(p.shape)).astype(np.float32)
    found = of_outputs(p, y)
    assert found.exponent.low < 0 < found.exponent.high and np.isnan(found.tail)
    cut = of_outputs(p, np.rint(255 * np.clip(y, 0, 1)).astype(np.uint8))
    assert cut.exponent.low > 0 and cut.tail > 1  # what clipping would do


def test_coin_flips_are_bce_and_shares_are_counted() -> None:
    random = np.random.default_rng(0)
    p = random.uniform(0.01, 0.99, (400, 8, 8, 3))
    images = (255 * (random.random(p.shape) < p)).astype(np.uint8)
    found = of_outputs(p, images)
    assert found.exponent.low < 1 < found.exponent.high
    assert found.coin == pytest.approx(1, abs=0.02)
    assert found.black + found.white == 1
    assert found.white == pytest.approx(0.5, abs=0.01)


def test_pixels_of_one_image_are_not_independent() -> None:
    """The same images twice: no more is known, so the interval is no narrower."""
    p, images = planted(0.5, 0.08, 60)
    alone = of_outputs(p, images).exponent
    tall = of_outputs(np.tile(p, (1, 3, 1, 1)), np.tile(images, (1, 3, 1, 1))).exponent
    assert tall.center == pytest.approx(alone.center)
    assert tall.high - tall.low == pytest.approx(alone.high - alone.low)


def test_a_tail_is_seen_and_bad_shapes_are_named() -> None:
    p, images = planted(0, 0.04)
    plain = of_outputs(p, images)
    images[:6] = 255 - images[:6]
    assert of_outputs(p, images).tail > 1.5 * plain.tail > 1.4
    with pytest.raises(ValueError, match="one shape, images uint8 or"):
        of_outputs(p[0], images)


def test_what_a_mask_hides_does_not_count() -> None:
    p, images = planted(0.5, 0.05)
    y = (images / 255).astype(np.float32)
    hidden = y.copy()
    hidden[:, 8:] = np.nan
    assert of_outputs(p, hidden) == of_outputs(p[:, :8], y[:, :8])


def test_outputs_that_hardly_differ_say_nothing_of_an_exponent() -> None:
    """Darker ones with larger residuals would have one beyond every range."""
    rng = np.random.default_rng(0)
    outputs = np.full((40, 4, 4, 1), 0.5)
    outputs[:20] = 0.505
    size = np.where(outputs > 0.5, 0.02, 0.2)
    found = of_outputs(outputs, outputs + size * rng.normal(size=outputs.shape))
    assert np.isnan([found.exponent.center, found.exponent.low, found.g.center]).all()


def test_where_training_targets_carry_noise_the_pilot_is_of_that_noise(
    tmp_path: Path,
) -> None:
    """Validation images have none of it."""
    noise = "noise='gaussian', scale=0.3"
    name = f"linear_decoder(logit_sd=1.0, count=600, {noise})"
    sweep = Sweep(
        datasets=(name,), models=("linear_ae",), losses=("bce",), seeds=(0,),
        learning_rates=(1e-2,), train_steps=100, latent_dim=4,
    )  # fmt: skip
    given = data.load(name)
    (only,) = unattended.train(sweep, {name: given}, tmp_path, keep_models="best")
    run = tmp_path / "runs" / only.run.run_id
    found, held = of_run(run, given), given.validation.images
    # The noise's variance is .09, that of a coin at most .25.
    assert found.images == len(given.train) and found.coin > 0.09 / 0.25
    assert of_outputs(lossjax.load(run)(held), held).coin < found.coin / 2
