"""Every claim of every row holds, for every value that its hyperparameters may take."""

from collections.abc import Iterator

import jax
import numpy as np
import pytest

from lossjax import LOSSES, resolve
from lossjax.certificates.certify import FAILS, HOLDS, certify

# Inside each range: where a family meets another, and where its kind changes.
INSIDE = {
    ("huber", "delta"): (0.02, 1),
    ("huber_linear", "delta"): (1,),
    ("log_cosh", "scale"): (0.1,),
    ("charbonnier", "epsilon"): (0.1,),
    ("barron", "alpha"): (-2, 0, 0.5, 1.5, 2, 3),
    ("power", "g"): (-0.5, 0, 1),
    ("beta_divergence", "b"): (1, 1.5, 2),
    ("focal", "gamma"): (0.5, 1),
    ("gce", "q"): (0.3, 0.99),
    ("gaussian", "sigma"): (0.1,),
    ("student_t", "nu"): (1, 10, 200),
}
TOGETHER = (
    "barron(alpha=1.5, scale=0.5)",
    "barron(alpha=-2, scale=100)",
    "barron(alpha=-1000, scale=0.0001)",
    "barron(alpha=4, scale=0.0001)",
    "barron(alpha=-1000, scale=100)",
)
# Whose kind depends on a hyperparameter: seen in the quick run too.
QUICK = ("bce", "huber(delta=1)", "gce(q=1)", "student_t(nu=1000)", "mse_linear")


def names() -> Iterator[str]:
    """Every row; both ends of the range of each parameter, and points between."""
    yield from LOSSES
    for loss in LOSSES.values():
        for p in loss.parameters:
            for value in (p.low, *INSIDE.get((loss.family, p.name), ()), p.high):
                yield resolve(f"{loss.family}({p.name}={value})").name
    yield from TOGETHER


# What a card says that these hyperparameters estimate.
ESTIMATES = {
    "huber(delta=1)": "mean",
    "huber(delta=0.5)": "robust location",
    "barron(alpha=2)": "mean",
    "barron(alpha=-2)": "redescending location",
    "barron(alpha=-2, scale=100)": "robust location",
    "barron(alpha=3)": "midrange-like location",
    "student_t": "redescending location",
    "student_t(nu=1000)": "robust location",
    "focal(gamma=0)": "mean",
    "ms_ssim_l1(alpha=0)": "median",
    "itakura_saito": "mean of targets, the darkest raised to 1/510",
}
# Published roots of y = 0.2: focal 0.3733852; gce (y/(1-y))^(1/(1-q)).
ODDS = (0.2 / 0.8) ** (1 / 0.3)
ROOTS = {"focal": "0.3733852", "gce": f"{ODDS / (1 + ODDS):.7f}"}
# power(g) is convex exactly for -1 <= g <= 0: a little above 0 it is not.
CONVEX = {"power(g=-0.75)": True, "power(g=0)": True, "power(g=0.02)": False}
# A family's together: one program serves them.
FAMILIES = list(LOSSES)
NAMES = [
    pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow])
    for name in sorted(
        {*names(), *ESTIMATES, *CONVEX},
        key=lambda name: (FAMILIES.index(resolve(name).family), name),
    )
]


@pytest.mark.parametrize("name", NAMES)
def test_claims_hold(name: str) -> None:
    """One test of a loss has all that is asked of it: it is compiled once."""
    found = certify(resolve(name))
    wrong = [c for c in found if c.verdict == FAILS]
    assert not wrong, wrong
    assert sum(c.verdict == HOLDS for c in found) >= 2
    certificates = {c.name: c for c in found}
    if name in ESTIMATES:
        one = certificates["estimate from random targets"]
        assert (one.claim, one.verdict) == (ESTIMATES[name], HOLDS)
    if name in ROOTS:
        assert ROOTS[name] in certificates["minimum at a fixed target"].found
    if name in CONVEX:
        one = certificates["convex in z"]
        least = float(one.found.split()[-1])
        assert (least >= -1e-9) == CONVEX[name] and one.verdict == HOLDS


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
