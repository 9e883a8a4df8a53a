"""Losses in closed form, value and slope: written apart from the losses they judge.

Python's own numbers, or mpmath's with as many digits as its context holds. Nothing of
the losses is imported, so that an error in them cannot be here too.
"""

from collections.abc import Callable

import mpmath as mp
import numpy as np

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


def huber(delta: float) -> tuple[Callable, Callable]:
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
    "huber": behind(*huber(0.1)),
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
    "huber_linear": on_raw(*huber(0.1)),
    "gaussian": behind(gaussian, lambda r: r),
    "continuous_bernoulli": continuous_bernoulli,
}


def exact_with_scales(
    exact: Exact, z: float, y: float, *, round_one: bool = False
) -> tuple[float, float, float, float]:
    """Value, its scale, gradient, its scale: eps of a scale is what rounding moves.

    Targets of 0 and 1 are exact; `round_one` lets 1 move downwards all the same.
    """
    h = mp.mpf(10) ** -50
    zz, yy = mp.mpf(z), mp.mpf(y)
    value, slope = exact(zz, yy)
    bend = (exact(zz + h, yy)[1] - exact(zz - h, yy)[1]) / (2 * h)
    scale, steep = abs(value) + abs(zz * slope), abs(slope) + abs(zz * bend)
    if 0 < y < 1 or (round_one and y == 1):
        more, less = (yy + h if y < 1 else yy), yy - h
        up, down = exact(zz, more), exact(zz, less)
        scale += abs(yy * (up[0] - down[0]) / (more - less))
        steep += abs(yy * (up[1] - down[1]) / (more - less))
    return float(value), float(scale), float(slope), float(steep)
