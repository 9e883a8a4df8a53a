"""beta_nll has the value of gaussian_pixel and the gradient of its source."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from lossjax import LOSSES, resolve
from lossjax.certificates.certify import FAILS, IDLE, MADE, certify


def raw_and_target() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    raw = rng.normal(size=(3, 4, 4, 2)) * (2, 3)
    return raw, np.rint(255 * rng.uniform(size=(3, 4, 4, 1))) / 255


def both(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Value of each image, and 16 times its gradient: that of each pixel's value."""
    loss = resolve(name)
    with jax.enable_x64(True):
        raw, target = map(jnp.asarray, raw_and_target())
        value = loss.fn(raw, target)
        slope = jax.grad(lambda r: jnp.sum(loss.fn(r, target)))(raw)
    return np.asarray(value), 16 * np.asarray(slope)


def scale() -> np.ndarray:
    second = raw_and_target()[0][..., 1:]
    return np.exp(np.logaddexp(0, second + np.log(510))) / 510


@pytest.mark.parametrize("beta", [0, 0.5, 0.7, 1])
def test_gradient_is_the_likelihoods_times_the_variance_to_beta(beta: float) -> None:
    value, slope = both(f"beta_nll(beta={beta})")
    plain, likelihood = both("gaussian_pixel")
    np.testing.assert_array_equal(value, plain)
    np.testing.assert_allclose(slope, scale() ** (2 * beta) * likelihood, rtol=1e-11)


def test_at_beta_1_the_mean_learns_as_by_half_the_squared_error() -> None:
    raw, y = raw_and_target()
    p = expit(raw[..., :1])
    slope = both("beta_nll(beta=1)")[1]
    np.testing.assert_allclose(slope[..., :1], (p - y) * p * (1 - p), rtol=1e-11)


def test_only_a_loss_with_a_made_gradient_says_so() -> None:
    made = {name for name, loss in LOSSES.items() if loss.own_gradient}
    assert made == {"beta_nll"}
    assert resolve("mse[straight_through]").own_gradient
    mixed = resolve("mix(gaussian_pixel, beta_nll, weight=0.5)")
    found = {one.name: one for one in certify(mixed)}
    assert found["gradient"].found == MADE and found["gradient"].verdict == IDLE
    assert not [one for one in found.values() if one.verdict == FAILS]


def test_the_gradient_is_that_of_no_function() -> None:
    """Its mixed derivatives differ: d2/ds dr - d2/dr ds = 2 beta r scale^(2 beta-2)."""
    from lossjax.losses.likelihoods import _weighted

    r, s, beta = 0.3, -1.2, 0.5
    with jax.enable_x64(True):
        field = jax.grad(lambda x: _weighted(x[0], x[1], jnp.float64(beta)))
        step = 1e-6
        sides = [
            (field(jnp.array([r, s]) + step * d) - field(jnp.array([r, s]) - step * d))
            / (2 * step)
            for d in np.eye(2)
        ]
    curl = float(sides[1][0] - sides[0][1])
    assert curl == pytest.approx(2 * beta * r * np.exp((2 * beta - 2) * s), rel=1e-6)
