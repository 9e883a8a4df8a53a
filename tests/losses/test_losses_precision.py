"""How right: float32 under jit against closed forms with 150 digits.

|error of the value| <= 6 eps (|L| + |z L_z| + |y L_y|) and |error of the gradient|
<= 8 eps (|g| + |z g_z| + |y g_y|), eps = 2^-23: what rounding z and y to the next
float would change, a few times over. At y = 0 and 1, which are exact, the terms in y
are left out. Below the smallest normal number float32 has no relative precision.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from lossjax import Loss, resolve

EPS = 2.0**-23
TINY = 1.2e-37
SIZES = 10.0 ** np.linspace(-4, 2, 10)
LOGITS = np.concatenate([-SIZES[::-1], [0.0], SIZES]).astype(np.float32)
TARGETS = np.array(
    [0, 1 / 255, 0.1, 0.25, 0.5, 0.75, 0.9, 254 / 255, 1], dtype=np.float32
)

Exact = Callable[[mp.mpf, mp.mpf], tuple[mp.mpf, mp.mpf]]


def p_q(z: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    return 1 / (1 + mp.exp(-z)), 1 / (1 + mp.exp(z))


def xlogy(x: mp.mpf, y: mp.mpf) -> mp.mpf:
    return x * mp.log(y) if x else mp.mpf(0)


def behind(value: Callable, slope: Callable) -> Exact:
    """A loss of r behind a sigmoid, from its value and slope in r."""

    def exact(z: mp.mpf, y: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
        p, q = p_q(z)
        return value(p - y), slope(p - y) * p * q

    return exact


def on_raw(value: Callable, slope: Callable) -> Exact:
    return lambda z, y: (value(z - y), slope(z - y))


def bce(z: mp.mpf, y: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    p, q = p_q(z)
    return -xlogy(y, p) - xlogy(1 - y, q), p - y


def excess_bce(z: mp.mpf, y: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    value, slope = bce(z, y)
    return value + xlogy(y, y) + xlogy(1 - y, 1 - y), slope


def tenth(delta: float) -> tuple[Callable, Callable]:
    d = mp.mpf(float(np.float32(delta)))

    def value(r: mp.mpf) -> mp.mpf:
        return r * r / 2 if abs(r) < d else d * (abs(r) - d / 2)

    return value, lambda r: max(-d, min(d, r))


def charbonnier() -> tuple[Callable, Callable]:
    e = mp.mpf(float(np.float32(1e-3)))
    return lambda r: mp.sqrt(r * r + e * e) - e, lambda r: r / mp.sqrt(r * r + e * e)


def barron() -> tuple[Callable, Callable]:
    c = mp.mpf(float(np.float32(0.1)))
    return (
        lambda r: mp.sqrt((r / c) ** 2 + 1) - 1,
        lambda r: r / c**2 / mp.sqrt((r / c) ** 2 + 1),
    )


def power(g: float) -> Exact:
    def antiderivative(t: mp.mpf, y: mp.mpf) -> mp.mpf:
        if g == 0.5:
            half = mp.mpf(1) / 2
            return -mp.sqrt(t * (1 - t)) + (half - y) * mp.asin(2 * t - 1)
        return -(t**4) / 4 + (1 + y) * t**3 / 3 - y * t**2 / 2

    def exact(z: mp.mpf, y: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
        p, q = p_q(z)
        slope = (p - y) * (p * q) ** mp.mpf(g)
        if g == 0:
            return excess_bce(z, y)[0], slope
        if g == 1:
            return (p - y) ** 2 / 2, slope
        return antiderivative(p, y) - antiderivative(y, y), slope

    return exact


def brier(z: mp.mpf, y: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    p, q = p_q(z)
    return (p - y) ** 2 + y * (1 - y), 2 * (p - y) * p * q


def poisson(z: mp.mpf, y: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    p, q = p_q(z)
    return p - xlogy(y, p), (p - y) * q


def itakura(z: mp.mpf, y: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    p, q = p_q(z)
    y = max(y, mp.mpf(float(np.float32(1 / 510))))
    return y / p - mp.log(y / p) - 1, (p - y) * q / p


def beta_divergence(z: mp.mpf, y: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    p, q = p_q(z)
    b = mp.mpf(1) / 2
    value = (y**b + (b - 1) * p**b - b * y * p ** (b - 1)) / (b * (b - 1))
    return value, p ** (b - 1) * q * (p - y)


def focal(z: mp.mpf, y: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    p, q = p_q(z)
    value = -y * q**2 * mp.log(p) - (1 - y) * p**2 * mp.log(q)
    up = q**2 * (2 * p * mp.log(p) - q)
    return value, y * up + (1 - y) * p**2 * (p - 2 * q * mp.log(q))


def gce(z: mp.mpf, y: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    p, q = p_q(z)
    k = mp.mpf(float(np.float32(0.7)))
    value = (y * (1 - p**k) + (1 - y) * (1 - q**k)) / k
    return value, (1 - y) * q**k * p - y * p**k * q


def gaussian(r: mp.mpf) -> mp.mpf:
    return r * r / 2 + mp.log(2 * mp.pi) / 2


def continuous_bernoulli(z: mp.mpf, y: mp.mpf) -> tuple[mp.mpf, mp.mpf]:
    if z == 0:
        return mp.mpf(0), mp.mpf(1) / 2 - y
    value = (mp.mpf(1) / 2 - y) * z + mp.log(mp.sinh(z / 2) / (z / 2))
    return value, 1 / (1 - mp.exp(-z)) - 1 / z - y


CLOSED: dict[str, Exact] = {
    "bce": bce,
    "excess_bce": excess_bce,
    "mse": behind(lambda r: r * r, lambda r: 2 * r),
    "mae": behind(abs, mp.sign),
    "huber": behind(*tenth(0.1)),
    "log_cosh": behind(lambda r: mp.log(mp.cosh(r)), mp.tanh),
    "charbonnier": behind(*charbonnier()),
    "barron": behind(*barron()),
    "power(g=0)": power(0),
    "power": power(0.5),
    "power(g=1)": power(1),
    "power(g=2)": power(2),
    "brier": brier,
    "poisson": poisson,
    "itakura_saito": itakura,
    "beta_divergence": beta_divergence,
    "focal": focal,
    "gce": gce,
    "mse_linear": on_raw(lambda r: r * r, lambda r: 2 * r),
    "mae_linear": on_raw(abs, mp.sign),
    "huber_linear": on_raw(*tenth(0.1)),
    "gaussian": behind(gaussian, lambda r: r),
    "continuous_bernoulli": continuous_bernoulli,
}


def exact_with_scales(
    exact: Exact, z: float, y: float
) -> tuple[float, float, float, float]:
    """Value, its scale, gradient, its scale."""
    h = mp.mpf(10) ** -50
    zz, yy = mp.mpf(z), mp.mpf(y)
    value, slope = exact(zz, yy)
    bend = (exact(zz + h, yy)[1] - exact(zz - h, yy)[1]) / (2 * h)
    scale, steep = abs(value) + abs(zz * slope), abs(slope) + abs(zz * bend)
    if 0 < y < 1:
        up, down = exact(zz, yy + h), exact(zz, yy - h)
        scale += abs(yy * (up[0] - down[0]) / (2 * h))
        steep += abs(yy * (up[1] - down[1]) / (2 * h))
    return float(value), float(scale), float(slope), float(steep)


def shares_of_bound(
    loss: Loss, exact: Exact, logits: np.ndarray, targets: np.ndarray
) -> tuple[float, float]:
    """Largest error of value and gradient in units of their bounds."""
    z, y = (x.ravel() for x in np.meshgrid(logits, targets))

    def total(raw: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
        each = loss.fn(raw, target)
        return jnp.sum(each), each

    shape = (z.size, 1, 1, 1)
    (_, value), gradient = jax.jit(
        lambda raw, target: (
            total(raw, target),
            jax.grad(lambda r: total(r, target)[0])(raw),
        )
    )(jnp.array(z.reshape(shape)), jnp.array(y.reshape(shape)))
    with mp.workdps(150):
        rows = [
            exact_with_scales(exact, float(a), float(b))
            for a, b in zip(z, y, strict=True)
        ]
    true, scale, slope, steep = np.array(rows).T
    return (
        _share(np.asarray(value, np.float64), true, 6 * EPS * scale),
        _share(np.asarray(gradient, np.float64).ravel(), slope, 8 * EPS * steep),
    )


def _share(found: np.ndarray, true: np.ndarray, bound: np.ndarray) -> float:
    beyond = np.abs(true) > np.finfo(np.float32).max
    assert (found[beyond] == np.sign(true[beyond]) * np.inf).all()
    off = np.abs(found[~beyond] - true[~beyond])
    return float((off / (bound[~beyond] + TINY)).max())


@pytest.mark.parametrize("name", CLOSED)
def test_value_and_gradient_are_right_to_rounding(name: str) -> None:
    value, gradient = shares_of_bound(resolve(name), CLOSED[name], LOGITS, TARGETS)
    assert value <= 1, f"value off by {value:.3g} of its bound"
    assert gradient <= 1, f"gradient off by {gradient:.3g} of its bound"


if __name__ == "__main__":
    for name, exact in CLOSED.items():
        print(name, *shares_of_bound(resolve(name), exact, LOGITS, TARGETS))
