"""Every claim of every row holds, for other hyperparameters than the default too."""

import jax
import numpy as np
import pytest

from lossjax import LOSSES, resolve
from lossjax.certificates.certify import FAILS, HOLDS, Certificate, certify

ALSO = (
    "power(g=-0.5)",
    "power(g=0)",
    "power(g=1)",
    "power(g=3)",
    "barron(alpha=-2)",
    "barron(alpha=1.5, scale=0.5)",
    "huber(delta=0.02)",
    "log_cosh(scale=0.1)",
    "beta_divergence(b=1.5)",
    "focal(gamma=0.5)",
    "gce(q=0.3)",
    "gaussian(sigma=0.1)",
    "student_t(nu=10)",
)
# A few rows that compile fast in the quick run, all of them in the whole one.
NAMES = [
    pytest.param(name, marks=[] if index % 12 == 0 else [pytest.mark.slow])
    for index, name in enumerate((*LOSSES, *ALSO))
]


def one(name: str, which: str) -> Certificate:
    return next(c for c in certify(resolve(name)) if c.name == which)


@pytest.mark.parametrize("name", NAMES)
def test_claims_hold(name: str) -> None:
    certificates = certify(resolve(name))
    wrong = [c for c in certificates if c.verdict == FAILS]
    assert not wrong, wrong
    assert sum(c.verdict == HOLDS for c in certificates) >= 2


@pytest.mark.slow
def test_improper_losses_send_a_soft_target_elsewhere() -> None:
    """Published roots: focal 0.2 to 0.3733852; gce (y/(1-y))^(1/(1-q))."""
    focal = one("focal", "minimum at a fixed target")
    assert "0.3733852" in focal.found
    odds = (0.2 / 0.8) ** (1 / 0.3)
    assert f"{odds / (1 + odds):.7f}" in one("gce", "minimum at a fixed target").found


@pytest.mark.slow
def test_bce_is_the_most_mse_like_convex_member() -> None:
    """power(g) is convex exactly for -1 <= g <= 0: a little above 0 it is not."""
    for g, convex in ((-0.75, True), (0, True), (0.02, False)):
        found = one(f"power(g={g})", "convex in z")
        assert found.verdict == HOLDS
        least = float(found.found.split()[-1])
        assert (least >= -1e-9) == convex


def test_floors_of_two_outcome_pixels() -> None:
    """H(y) in nats and y (1 - y), from tables."""
    y = np.array([0.05, 0.1, 0.2, 0.3, 0.5]).reshape(-1, 1, 1, 1)
    entropy = [0.1985152433, 0.3250829734, 0.5004024235, 0.6108643021, 0.6931471806]
    with jax.enable_x64(True):
        target = jax.numpy.asarray(y)
        np.testing.assert_allclose(LOSSES["bce"].floor(target), entropy, rtol=1e-9)
        brier = LOSSES["brier"].floor(target)
        np.testing.assert_allclose(brier, np.ravel(y * (1 - y)), rtol=1e-12)
        half = target[jax.numpy.array([1, 3, 4])]
        found = LOSSES["continuous_bernoulli"].floor(half)
    np.testing.assert_allclose(found, [-1.302630597, -0.252845563, 0], atol=2e-9)
