"""Every numbered statement of docs/theory.md, checked in float64: one test each.

The test of the statement with the anchor `log-undoes-exp` is `test_log_undoes_exp`.
"""

import re
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import integrate, special

from lossjax import Loss, resolve
from lossjax.suite.shipped import ROOT

Y = np.array([0.02, 0.1, 0.3, 0.5, 0.8, 0.97])
P = np.linspace(0.01, 0.99, 99)
PAGE = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def test_every_statement_has_its_test() -> None:
    stated = re.findall(r'^<a id="([\w-]+)"></a>\*\*(\d+)\. ', PAGE, re.MULTILINE)
    assert [int(number) for _, number in stated] == [*range(1, len(stated) + 1)]
    tests = {name for name in globals() if name.startswith("test_")}
    own = {f"test_{anchor.replace('-', '_')}" for anchor, _ in stated}
    assert own == tests - {"test_every_statement_has_its_test"}


SIZE = 1024  # one shape, so that one program serves each loss


def _pixel(z: jax.Array, y: jax.Array, loss: Loss) -> jax.Array:
    """The loss of one pixel from its raw output and its target."""
    return loss.fn(z.reshape(1, 1, 1, 1), y.reshape(1, 1, 1, 1))[0]


def _of_pixels(function: Callable) -> Callable[[str, object, object], np.ndarray]:
    """The function of a loss by name, wherever z and y broadcast to."""
    compiled = jax.jit(jax.vmap(function, (0, 0, None)))

    def everywhere(name: str, z: object, y: object) -> np.ndarray:
        z, y = np.broadcast_arrays(np.asarray(z, float), np.asarray(y, float))
        parts = [
            compiled(*(np.resize(x.ravel()[i : i + SIZE], SIZE) for x in (z, y)), own)
            for own in (resolve(name),)
            for i in range(0, z.size, SIZE)
        ]
        return np.concatenate(parts)[: z.size].reshape(z.shape)

    return everywhere


value = _of_pixels(_pixel)
slope = _of_pixels(jax.grad(_pixel))
bend = _of_pixels(jax.grad(jax.grad(_pixel)))


def entropy(y: np.ndarray) -> np.ndarray:
    return special.entr(y) + special.entr(1 - y)


def kl(y: np.ndarray, p: np.ndarray) -> np.ndarray:
    return special.rel_entr(y, p) + special.rel_entr(1 - y, 1 - p)


def sampled(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of a pixel and their chances."""
    random = np.random.default_rng(seed)
    return random.uniform(0.02, 0.98, 6), random.dirichlet(np.ones(6))


def smallest(cost: Callable[[np.ndarray], np.ndarray]) -> float:
    fine = np.linspace(1e-3, 1 - 1e-3, 999)
    return float(fine[np.argmin(cost(fine))])


def test_floor() -> None:
    y, p = Y[:, None], P
    z = special.logit(p)
    np.testing.assert_allclose(value("bce", z, y), entropy(y) + kl(y, p), rtol=1e-12)
    assert (kl(y, p)[y != p] > 0).all() and (kl(P, P) == 0).all()
    np.testing.assert_allclose(slope("bce", z, y), slope("excess_bce", z, y), atol=1e-9)
    best = [smallest(lambda p, y=y: kl(y, p)) for y in Y]
    np.testing.assert_allclose(best, Y, atol=1e-3)


def test_bounds() -> None:
    y, p = Y[:, None], P
    r, exact = p - y, kl(y, p)
    assert (2 * r**2 <= exact + 1e-15).all()
    assert (exact <= r**2 / (p * (1 - p)) + 1e-15).all()
    near = Y + 1e-5
    np.testing.assert_allclose(kl(Y, near), 1e-10 / (2 * Y * (1 - Y)), rtol=1e-3)
    assert 1 / (2 * 0.5 * 0.5) == (1 / (2 * P * (1 - P))).min() == 2


# Of each divergence f, its first and its second derivative.
CONVEX = {
    "mse": (lambda y: y**2, lambda y: 2 * y, lambda y: 2 + 0 * y),
    "excess_bce": (
        lambda y: -entropy(y),
        special.logit,
        lambda y: 1 / (y * (1 - y)),
    ),
    "poisson": (lambda y: special.xlogy(y, y), lambda y: np.log(y) + 1, np.reciprocal),
    "itakura_saito": (lambda y: -np.log(y), lambda y: -1 / y, lambda y: y**-2),
}


def divergence(name: str, y: np.ndarray, p: np.ndarray) -> np.ndarray:
    f, first, _ = CONVEX[name]
    return f(y) - f(p) - first(p) * (y - p)


def test_bregman() -> None:
    atoms, chance = sampled()
    mean = atoms @ chance
    z = special.logit(P)
    for name, (_, _, second) in CONVEX.items():
        # The library's loss is this divergence, up to what the target alone adds.
        rest = value(name, z, Y[:, None]) - divergence(name, Y[:, None], P)
        np.testing.assert_allclose(rest, rest[:, :1] + 0 * rest, atol=1e-9)
        through = second(P) * P * (1 - P) * (P - Y[:, None])
        np.testing.assert_allclose(slope(name, z, Y[:, None]), through, atol=1e-9)
        best = smallest(lambda p, n=name: chance @ divergence(n, atoms[:, None], p))
        assert best == pytest.approx(mean, abs=1e-3), name


def test_pythagoras() -> None:
    atoms, chance = sampled(1)
    mean = atoms @ chance
    for name in CONVEX:
        whole = chance @ divergence(name, atoms[:, None], P)
        noise = chance @ divergence(name, atoms, np.full_like(atoms, mean))
        np.testing.assert_allclose(whole, noise + divergence(name, mean, P), rtol=1e-9)
    bce = chance @ (entropy(atoms)[:, None] + kl(atoms[:, None], P))
    floor = chance @ entropy(atoms)
    spread = entropy(mean) - floor
    np.testing.assert_allclose(bce, floor + spread + kl(mean, P), rtol=1e-12)


def test_median() -> None:
    white = 0.3

    def drawn(name: str) -> float:
        def cost(p: np.ndarray) -> np.ndarray:
            z = special.logit(p)
            return white * value(name, z, 1) + (1 - white) * value(name, z, 0)

        return smallest(cost)

    assert drawn("bce") == pytest.approx(0.3, abs=1e-3)
    assert drawn("mse") == pytest.approx(0.3, abs=1e-3)
    assert drawn("mae") == pytest.approx(0, abs=2e-3)
    assert drawn("log_cosh") == pytest.approx(0.27, abs=5e-3)


def test_matching() -> None:
    z = np.linspace(-6, 6, 25)
    # Output function, its integral, and the loss of the library that it gives.
    np.testing.assert_allclose(
        value("bce", z, Y[:, None]), np.logaddexp(0, z) - Y[:, None] * z, atol=1e-12
    )
    half = (z**2 / 2 - Y[:, None] * z) + Y[:, None] ** 2 / 2
    np.testing.assert_allclose(value("mse_linear", z, Y[:, None]) / 2, half, atol=1e-12)
    signed = 2 * Y[:, None] - 1
    tanh = np.log(np.cosh(z)) - signed * z
    np.testing.assert_allclose(
        tanh, value("bce", 2 * z, Y[:, None]) - np.log(2), atol=1e-12
    )
    np.testing.assert_allclose(
        slope("bce", z, Y[:, None]), special.expit(z) - Y[:, None], atol=1e-12
    )
    assert (bend("bce", z, Y[:, None]) > 0).all()


def test_log_undoes_exp() -> None:
    z = special.logit(P)
    s, r = P * (1 - P), P - Y[:, None]
    np.testing.assert_allclose(slope("bce", z, Y[:, None]), r, atol=1e-12)
    np.testing.assert_allclose(slope("mse", z, Y[:, None]), 2 * s * r, atol=1e-12)
    far = np.array([10.0, 20.0])
    np.testing.assert_allclose(slope("bce", far, 0), 1, atol=1e-4)
    np.testing.assert_allclose(slope("mse", far, 0), 2 * np.exp(-far), rtol=1e-3)
    np.testing.assert_allclose(slope("mse_linear", far, 0), 2 * far)


def test_family() -> None:
    z = np.linspace(-30, 30, 121)
    s = special.expit(z) * special.expit(-z)
    r = special.expit(z) - Y[:, None]
    np.testing.assert_allclose(slope("power(g=0)", z, Y[:, None]), r, atol=1e-9)
    halved = slope("mse", z, Y[:, None]) / 2
    np.testing.assert_allclose(slope("power(g=1)", z, Y[:, None]), halved, atol=1e-9)

    def convex(g: float) -> bool:
        targets = np.array([0, *Y, 1])[:, None]
        own = special.expit(z) - targets
        # d/dz of r s^g, over s^g.
        return bool((s + g * own * (1 - 2 * special.expit(z)) >= -1e-12).all())

    inside = [g for g in (-1.2, -1.05, -1, -0.5, 0, 0.05, 0.5, 1) if convex(g)]
    assert inside == [-1, -0.5, 0]
    np.testing.assert_allclose(
        slope("power(g=0.5)", z, 0.3), s**0.5 * (special.expit(z) - 0.3), atol=1e-9
    )


def test_curvature() -> None:
    z, s = special.logit(Y), Y * (1 - Y)
    np.testing.assert_allclose(bend("bce", z, Y), s, rtol=1e-9)
    np.testing.assert_allclose(bend("mse", z, Y), 2 * s**2, rtol=1e-9)
    ratio = bend("mse", special.logit(P), P) / bend("bce", special.logit(P), P)
    assert ratio.max() == pytest.approx(0.5) and ratio[0] < 0.02


def test_fisher() -> None:
    z = special.logit(P)
    gradients = slope("bce", z, np.array([[0.0], [1.0]]))
    chance = np.stack([1 - P, P])
    np.testing.assert_allclose((chance * gradients).sum(0), 0, atol=1e-12)
    information = (chance * gradients**2).sum(0)
    np.testing.assert_allclose(information, bend("bce", z, 0), rtol=1e-9)
    likelihood = np.log(P), np.log1p(-P)
    np.testing.assert_allclose(value("bce", z, 1), -likelihood[0], rtol=1e-12)
    np.testing.assert_allclose(value("bce", z, 0), -likelihood[1], rtol=1e-12)


def test_noise() -> None:
    atoms, chance = sampled(2)
    mean = atoms @ chance
    variance = chance @ (atoms - mean) ** 2
    gradients = slope("bce", special.logit(mean), atoms)
    assert chance @ gradients == pytest.approx(0, abs=1e-12)
    assert chance @ gradients**2 == pytest.approx(variance)
    assert entropy(np.array(0.3)) == pytest.approx(0.61, abs=1e-3)
    assert slope("bce", special.logit(0.3), 0.3) == pytest.approx(0, abs=1e-12)
    # By chance black or white: no floor, and no law on [0, 1] varies more.
    assert (entropy(np.array([0.0, 1.0])) == 0).all()
    assert variance < mean * (1 - mean)


def test_adam() -> None:
    inputs = jnp.asarray(np.random.default_rng(3).normal(size=(5, 3)))
    targets = jnp.asarray(Y[:5])

    def path(weights: np.ndarray, scale: float) -> np.ndarray:
        """Parameters after steps of Adam on a weighted squared error."""

        def cost(theta: jax.Array) -> jax.Array:
            residual = jax.nn.sigmoid(inputs @ theta) - targets
            return scale * jnp.mean(jnp.asarray(weights) * residual**2)

        optimizer = optax.adam(0.1, eps=1e-15)
        theta = jnp.zeros(3)
        state = optimizer.init(theta)
        for _ in range(5):
            updates, state = optimizer.update(jax.grad(cost)(theta), state)
            theta = optax.apply_updates(theta, updates)
        return np.asarray(theta)

    alike = path(np.ones(5), 1)
    np.testing.assert_allclose(path(np.ones(5), 1000), alike, rtol=1e-9)
    assert np.abs(path(np.array([1, 1, 1, 1, 30.0]), 1) - alike).max() > 0.01


def test_unbiased() -> None:
    atoms, chance = sampled(4)
    mean = atoms @ chance
    for g in (-0.5, 0, 0.5, 1, 2):
        pull = slope(f"power(g={g})", special.logit(mean), atoms)
        assert chance @ pull == pytest.approx(0, abs=1e-9), g


def error_of(g: float, exponent: float, deviation: float = 2, latents: int = 4):
    """Squared error of power(g) from many images of a linear decoder, up to a factor.

    The sandwich A^-1 B A^-1 of the estimating equation, for noise of variance s^a, in
    the direction of the true weights and in the others.
    """
    u = np.linspace(-9, 9, 4001)
    density = np.exp(-(u**2) / 2)
    density /= density.sum()
    s = special.expit(deviation * u) * special.expit(-deviation * u)
    total = 0.0
    for moment, directions in ((u**2, 1), (np.ones_like(u), latents - 1)):
        gain = density @ (s ** (g + 1) * moment)
        noise = density @ (s ** (2 * g + exponent) * moment)
        total += directions * noise * (density @ (s**2 * moment)) / gain**2
    return total


def test_efficient() -> None:
    values = np.linspace(-0.5, 2, 251)
    for exponent in (0, 0.5, 1):
        for deviation in (1, 2):
            errors = [error_of(g, exponent, deviation) for g in values]
            assert values[np.argmin(errors)] == pytest.approx(1 - exponent, abs=1e-9)


def test_variance_function() -> None:
    one_size, binary = (
        {g: error_of(g, exponent) for g in (0, 0.5, 1)} for exponent in (0, 1)
    )
    stated = [float(x) for x in re.findall(r"has ([\d.]+) times", PAGE)]
    found = [one_size[0] / one_size[1], binary[0] / binary[1]]
    np.testing.assert_allclose(found, stated, atol=0.005)
    assert one_size[0.5] / one_size[1] < 1.05 and binary[0.5] / binary[0] < 1.05


def test_normaliser() -> None:
    for z in (-8.0, -2.0, 0.5, 3.0):
        bare, _ = integrate.quad(
            lambda y, z=z: np.exp(y * z - np.logaddexp(0, z)), 0, 1
        )
        assert bare < 1
        constant = -np.log(bare)
        assert constant >= np.log(2)
        mean, _ = integrate.quad(
            lambda y, z=z: y * np.exp(y * z - np.logaddexp(0, z)), 0, 1
        )
        mean /= bare
        assert mean == pytest.approx(1 / (1 - np.exp(-z)) - 1 / z)
        assert abs(mean - special.expit(z)) > 0.01
        difference = value("bce", z, Y) - value("continuous_bernoulli", z, Y)
        np.testing.assert_allclose(difference, constant, rtol=1e-9)


def test_vae() -> None:
    squared = np.linspace(0, 50, 11)
    for c, beta in ((1, 1), (0.5, 4), (2, 0.25)):
        variance = beta / (2 * c)
        np.testing.assert_allclose(c * squared / beta, squared / (2 * variance))
    pixels = 784
    image = np.linspace(0, 1, pixels)
    mean = np.mean((image - 0.5) ** 2)
    gaussian = np.sum((image - 0.5) ** 2) / (2 * (pixels / 2))
    assert mean == pytest.approx(gaussian)


def test_collapse() -> None:
    decoder = np.array([0.3, 1.0, 2.5])
    widths = np.linspace(0, 3, 30001)
    for spread in (0.2, 0.9, 2.0, 4.0):
        for noise in decoder:
            # A linear VAE of one latent draws N(0, width^2 + noise).
            drawn = widths**2 + noise
            best = widths[np.argmin(np.log(drawn) / 2 + spread / (2 * drawn))]
            assert best**2 == pytest.approx(max(spread - noise, 0), abs=1e-3)
    atoms, chance = sampled(5)
    assert chance @ (atoms - atoms @ chance) ** 2 <= 1 / 4
    pixels = 784
    assert pixels / 4 < pixels / 2
