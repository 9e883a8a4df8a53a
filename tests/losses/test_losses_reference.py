"""Values of every row against float64 numpy and scipy written independently.

Nothing here imports a formula of lossjax: each reference is written from the
publication with other operations (log of probabilities, scipy densities, quadrature),
at arguments where that naive form is accurate in float64.
"""

from collections.abc import Callable

import contributing
import jax
import jax.numpy as jnp
import loss_contract
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import integrate, stats
from scipy.special import expit, logit, softmax

from lossjax import LOSSES, Loss, resolve
from lossjax.certificates.certify import FAILS, certify

Array = NDArray[np.float64]
Reference = Callable[[Array, Array], Array]


def bernoulli(z: Array, y: Array) -> Array:
    p = expit(z)
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def kullback(z: Array, y: Array) -> Array:
    return stats.entropy([y, 1 - y], [expit(z), 1 - expit(z)], axis=0)


def barron(z: Array, y: Array) -> Array:
    # alpha = 1: the charbonnier of residual over scale (Barron 2019, equation 1).
    return np.sqrt(((expit(z) - y) / 0.1) ** 2 + 1) - 1


def power(z: Array, y: Array) -> Array:
    def one(z: float, y: float) -> float:
        weight = lambda t: (t - y) / np.sqrt(t * (1 - t))  # noqa: E731
        return integrate.quad(weight, y, expit(z), epsabs=1e-13, epsrel=1e-12)[0]

    return np.vectorize(one)(z, y)


def beta_divergence(z: Array, y: Array) -> Array:
    p, b = expit(z), 0.5
    return (y**b + (b - 1) * p**b - b * y * p ** (b - 1)) / (b * (b - 1))


def itakura(z: Array, y: Array) -> Array:
    ratio = np.maximum(y, 1 / 510) / expit(z)
    return ratio - np.log(ratio) - 1


def focal(z: Array, y: Array) -> Array:
    p = expit(z)
    return -y * (1 - p) ** 2 * np.log(p) - (1 - y) * p**2 * np.log(1 - p)


def gce(z: Array, y: Array) -> Array:
    p = expit(z)
    return (y * (1 - p**0.7) + (1 - y) * (1 - (1 - p) ** 0.7)) / 0.7


def huber(r: Array) -> Array:
    return np.where(abs(r) < 0.1, r * r / 2, 0.1 * (abs(r) - 0.05))


def shared_scale() -> float:
    return float(1 / 510 * np.exp(np.log1p(np.exp(-2.0 + np.log(510)))))


def optimal(z: Array, y: Array) -> Array:
    # One pixel a image: the profile likelihood spreads over the batch by r^2.
    r2 = (expit(z) - y) ** 2
    return stats.norm.logpdf(np.sqrt(r2), 0, np.sqrt(r2.mean())) * -1


def truncated_exponential(z: Array, y: Array) -> Array:
    # The continuous Bernoulli density is proportional to exp(z y) on [0, 1].
    def normaliser(z: float) -> float:
        return integrate.quad(lambda t: np.exp(z * t), 0, 1, epsrel=1e-12)[0]

    return np.log(np.vectorize(normaliser)(z)) - z * y


PIXEL: dict[str, Reference] = {
    "bce": bernoulli,
    "excess_bce": kullback,
    "mse": lambda z, y: (expit(z) - y) ** 2,
    "mae": lambda z, y: abs(expit(z) - y),
    "huber": lambda z, y: huber(expit(z) - y),
    "log_cosh": lambda z, y: np.log(np.cosh(expit(z) - y)),
    "charbonnier": lambda z, y: np.hypot(expit(z) - y, 1e-3) - 1e-3,
    "barron": barron,
    "power": power,
    # Expectation over a pixel that is white with probability y.
    "brier": lambda z, y: y * (1 - expit(z)) ** 2 + (1 - y) * expit(z) ** 2,
    "poisson": lambda z, y: expit(z) - y * np.log(expit(z)),
    "itakura_saito": itakura,
    "beta_divergence": beta_divergence,
    "focal": focal,
    "gce": gce,
    "mse_linear": lambda z, y: (z - y) ** 2,
    "mae_linear": lambda z, y: abs(z - y),
    "huber_linear": lambda z, y: huber(z - y),
    "gaussian": lambda z, y: -stats.norm.logpdf(y, expit(z), 1.0),
    "gaussian_shared": lambda z, y: -stats.norm.logpdf(y, expit(z), shared_scale()),
    "gaussian_optimal": optimal,
    "laplace_shared": lambda z, y: -stats.laplace.logpdf(y, expit(z), shared_scale()),
    "student_t": lambda z, y: -stats.t.logpdf(y, 3.0, expit(z), shared_scale()),
    "continuous_bernoulli": truncated_exponential,
}


def soft(x: Array, least: float) -> Array:
    return least + np.log1p(np.exp(x - least))


def gaussian_pixel(raw: Array, y: Array) -> Array:
    return -stats.norm.logpdf(y, expit(raw[0]), np.exp(soft(raw[1], np.log(1 / 510))))


def beta_density(raw: Array, y: Array) -> Array:
    top = np.log(1e4)
    precision = np.exp(top - np.log1p(np.exp(top - soft(raw[1], np.log(0.1)))))
    m = expit(raw[0])
    return -stats.beta.logpdf((255 * y + 0.5) / 256, m * precision, (1 - m) * precision)


def discretized_logistic(raw: Array, y: Array) -> Array:
    law = stats.logistic(raw[0], np.exp(soft(raw[1], np.log(1 / 5100))))
    upper = np.where(y == 1, 1, law.cdf(y + 1 / 510))
    return -np.log(upper - np.where(y == 0, 0, law.cdf(y - 1 / 510)))


def categorical(raw: Array, y: Array) -> Array:
    chance = softmax(raw, axis=0)
    return -np.log(np.take_along_axis(chance, np.rint(255 * y)[None].astype(int), 0)[0])


BLOCKS: dict[str, Reference] = {
    "gaussian_pixel": gaussian_pixel,
    # The value alone: its gradient is that of the source's code, in
    # tests/losses/test_beta_nll.py.
    "beta_nll": gaussian_pixel,
    "beta_density": beta_density,
    "discretized_logistic": discretized_logistic,
    "categorical": categorical,
}


STRUCTURAL = {"ssim", "ms_ssim", "ms_ssim_l1"}


def test_every_row_has_a_reference() -> None:
    missing = set(LOSSES) ^ {*PIXEL, *BLOCKS, *STRUCTURAL}
    assert not missing, f"{missing}: CONTRIBUTING.md, A loss, step 3"


def score(loss: Loss, raw: Array, target: Array) -> Array:
    """One-pixel images, in float64."""
    with jax.enable_x64(True):
        shape = (len(target), 1, 1)
        value = jax.jit(loss.fn)(
            jnp.array(raw.T.reshape(*shape, -1)), jnp.array(target.reshape(*shape, 1))
        )
        return np.asarray(value)


def check_pixel(loss: Loss, reference: Reference) -> None:
    z, y = np.meshgrid(
        [-6.0, -2.5, -0.7, 0.01, 0.4, 3.0, 8.0],
        [1 / 255, 0.1, 0.25, 0.5, 0.9, 254 / 255],
    )
    z, y = z.ravel(), y.ravel()
    rough = loss.family in ("power", "beta_divergence", "itakura_saito")
    np.testing.assert_allclose(
        score(loss, z, y), reference(z, y), rtol=1e-8 if rough else 1e-9, atol=1e-13
    )


@pytest.mark.parametrize("name", PIXEL)
def test_value_of_a_pixel(name: str) -> None:
    check_pixel(LOSSES[name], PIXEL[name])


def test_the_example_for_contributors_is_a_whole_loss() -> None:
    module, reference = contributing.example("A loss")
    names: dict[str, object] = {"__name__": "spherical"}
    exec(module, names)
    loss = names["SPHERICAL"]
    assert isinstance(loss, Loss)
    for clause in set(loss_contract.CLAUSES) - set(loss_contract.COSTLY):
        clause(loss)
    assert not [c for c in certify(loss) if c.verdict == FAILS]
    (check,) = eval(f"{{{reference}}}", globals()).values()
    check_pixel(loss, check)


@pytest.mark.parametrize("name", BLOCKS)
def test_value_with_blocks(name: str) -> None:
    rng = np.random.default_rng(2)
    channels = LOSSES[name].channels
    raw = rng.normal(size=(channels, 60)) * 1.5
    # The naive difference of distribution functions has no digits in a far tail.
    raw[0], raw[1] = 0.5 + 0.3 * raw[0], raw[1] - 1
    y = np.rint(255 * rng.uniform(size=60)) / 255
    y[:2] = 0, 1
    reference = BLOCKS[name](raw, y)
    np.testing.assert_allclose(score(LOSSES[name], raw, y), reference, rtol=1e-8)
    with jax.enable_x64(False):
        short = jax.jit(LOSSES[name].fn)(
            jnp.array(raw.T.reshape(60, 1, 1, -1), jnp.float32),
            jnp.array(y.reshape(60, 1, 1, 1), jnp.float32),
        )
    np.testing.assert_allclose(short, reference, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("g", [-0.75, -0.5, 0.0, 0.3, 1.0, 2.0, 3.0])
def test_power_is_its_integral(g: float) -> None:
    z, y = np.meshgrid([-5.0, -1.0, 0.3, 4.0], [0.02, 0.3, 0.5, 0.8])
    z, y = z.ravel(), y.ravel()

    def one(z: float, y: float) -> float:
        weight = lambda t: (t - y) * (t * (1 - t)) ** (g - 1)  # noqa: E731
        return integrate.quad(weight, y, expit(z), epsabs=1e-14, epsrel=1e-12)[0]

    found = score(resolve(f"power(g={g})"), z, y)
    np.testing.assert_allclose(found, np.vectorize(one)(z, y), rtol=1e-7)


@pytest.mark.parametrize(
    ("special", "general"),
    [
        ("barron(alpha=0)", "barron(alpha=1e-7)"),
        ("barron(alpha=2)", "barron(alpha=1.9999999)"),
        ("beta_divergence(b=1)", "beta_divergence(b=0.9999999)"),
        ("power(g=0)", "power(g=1e-7)"),
        ("gce(q=0.01)", "gce(q=0.0100001)"),
        ("focal(gamma=0)", "focal(gamma=1e-7)"),
        ("huber(delta=1)", "huber(delta=2)"),
    ],
)
def test_special_values_continue_the_family(special: str, general: str) -> None:
    z, y = np.array([-3.0, -1.0, 0.5, 2.0, 5.0]), np.array([0.3, 0.9, 0.1, 0.02, 0.6])
    exact, beside = score(resolve(special), z, y), score(resolve(general), z, y)
    np.testing.assert_allclose(exact, beside, rtol=2e-5)


@pytest.mark.parametrize(
    ("one", "factor", "other"),
    [
        ("power(g=0)", 1, "excess_bce"),
        ("power(g=1)", 0.5, "mse"),
        ("beta_divergence(b=2)", 0.5, "mse"),
        ("beta_divergence(b=0)", 1, "itakura_saito"),
        ("focal(gamma=0)", 1, "bce"),
        ("huber(delta=1)", 0.5, "mse"),
        ("barron(alpha=2, scale=1)", 0.5, "mse"),
    ],
)
def test_families_meet(one: str, factor: float, other: str) -> None:
    z, y = np.array([-3.0, -1.0, 0.5, 2.0, 5.0]), np.array([0.3, 0.9, 0.1, 0.02, 0.6])
    ours, theirs = score(resolve(one), z, y), score(resolve(other), z, y)
    np.testing.assert_allclose(ours, factor * theirs, rtol=1e-7)


def test_student_t_has_its_digits_at_any_nu() -> None:
    """A difference of lgamma in float32 is 1e-4 nats off at nu = 1000."""
    z, y = np.float32(np.meshgrid(np.linspace(-4, 4, 9), [0, 0.3, 0.5, 1]))
    raw, target = (jnp.asarray(x.reshape(-1, 1, 1, 1)) for x in (z, y))
    score = jax.jit(lambda loss: loss.fn(raw, target))
    for nu in np.float32([0.1, 0.5, 1, 3, 30, 200, 1000]):
        loss = resolve(f"student_t(nu={float(nu)})")
        law = stats.t(float(nu), expit(z.astype(float)), shared_scale())
        # Of the terms, whose sum may be near 0.
        np.testing.assert_allclose(
            score(loss), -law.logpdf(y.astype(float)).ravel(), rtol=1e-6, atol=1e-6
        )


def test_barron_published_values() -> None:
    """Figure 1 of Barron 2019 at scale 0.1, residual 0.1."""
    for alpha, value in ((2, 0.5), (1, 0.41421356), (0, 0.40546511), (-2, 0.4)):
        loss = resolve(f"barron(alpha={alpha})")
        found = score(loss, logit(np.array([0.6])), np.array([0.5]))
        np.testing.assert_allclose(found, value, rtol=1e-7)


DENSITIES = ("gaussian", "gaussian_shared", "laplace_shared", "student_t")


@pytest.mark.parametrize("name", DENSITIES)
def test_location_densities_integrate_to_one(name: str) -> None:
    y = np.linspace(-400, 400, 4_000_001)
    y = np.sign(y) * np.abs(y / 400) ** 5 * 400 + 0.5
    z = np.zeros_like(y)
    total = integrate.trapezoid(np.exp(-score(LOSSES[name], z, y)), y)
    np.testing.assert_allclose(total, 1, rtol=1e-4)


@pytest.mark.parametrize("z", [-50.0, -8.0, -0.5, 0.0, 1e-3, 3.0, 50.0])
def test_continuous_bernoulli_integrates_to_one_with_its_read_out(z: float) -> None:
    y = np.linspace(0, 1, 40_001)
    loss = LOSSES["continuous_bernoulli"]
    density = np.exp(-score(loss, np.full_like(y, z), y))
    np.testing.assert_allclose(integrate.simpson(density, x=y), 1, rtol=1e-9)
    mean = integrate.simpson(y * density, x=y)
    with jax.enable_x64(True):
        found = loss.read_out(jnp.full((1, 1, 1, 1), z, jnp.float64))
    np.testing.assert_allclose(np.ravel(found), mean, rtol=1e-9)


def test_beta_density_integrates_to_one() -> None:
    # The target moved inside, t = (255 y + 1/2)/256, and beyond the ends of y.
    t = (np.arange(200_000) + 0.5) / 200_000
    y = (256 * t - 0.5) / 255
    raw = np.stack([np.full_like(t, 0.7), np.full_like(t, 1.6)])
    density = np.exp(-score(LOSSES["beta_density"], raw, y))
    np.testing.assert_allclose(density.mean(), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["discretized_logistic", "categorical"])
def test_pmfs_sum_to_one_with_their_read_out(name: str) -> None:
    loss = LOSSES[name]
    y = np.arange(256) / 255
    raw = np.random.default_rng(4).normal(size=(loss.channels, 1)) * np.ones((1, 256))
    chance = np.exp(-score(loss, raw, y))
    np.testing.assert_allclose(chance.sum(), 1, rtol=1e-10)
    with jax.enable_x64(True):
        found = loss.read_out(jnp.array(raw[:, :1].T.reshape(1, 1, 1, -1)))
    np.testing.assert_allclose(np.ravel(found), chance @ y, rtol=1e-9)
