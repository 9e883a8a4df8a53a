"""The one-knob family between cross-entropy and squared error.

With p = sigmoid(z) and s = p (1 - p): dL/dz = (p - y) s^g. g = 0 is the excess of bce,
g = 1 half the squared error. The derivative is closed form for every g. The value is a
difference of incomplete beta functions; one set of formulas serves every g, so that a
response curve over a traced g is one program.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.losses.checks import Parameter
from lossjax.losses.claims import MEAN, Claims
from lossjax.losses.links import (
    fold,
    gauss_rule,
    horner,
    over,
    residual,
    softplus,
    with_derivative,
)
from lossjax.losses.loss import row

# 2e-8 of the value where the singular ends of t (1 - t) are as far away as `power`
# lets them be.
_NODES, _WEIGHTS = gauss_rule(6)
_SERIES, _DEGREE = 40, 12


def _economised() -> np.ndarray:
    """Power series in q on [0, 1/2] to a short polynomial in 4 q - 1, interpolating."""
    v = np.cos(np.pi * (np.arange(_DEGREE) + 0.5) / _DEGREE)
    series = ((1 + v) / 4)[:, None] ** np.arange(_SERIES)
    return np.linalg.solve(np.vander(v, increasing=True), series)


_ECONOMISED = _economised()


def _bend(raw: jax.Array, target: jax.Array, g: jax.Array) -> jax.Array:
    # s^g (s + g r (1 - 2 p)), from logarithms like the gradient.
    a = jnp.abs(raw)
    outer = jnp.exp(-(g + 1) * (a + 2 * jnp.log1p(jnp.exp(-a))))
    return outer - g * gradient(raw, target, g) * jnp.tanh(raw / 2)


@with_derivative(_bend)
def gradient(raw: jax.Array, target: jax.Array, g: jax.Array) -> jax.Array:
    """(p - y) [p (1 - p)]^g, from logarithms: neither factor under- or overflows."""
    z, y, sign = fold(raw, target)
    a = jnp.abs(z)
    tail = jnp.log1p(jnp.exp(-a))
    # Where y = 0 the residual is p itself, which underflows long before p s^g does.
    black = y == 0
    log_p = jnp.where(black, jnp.minimum(z, 0) - tail, 0)
    product = jnp.exp(log_p - g * (a + 2 * tail))
    return sign * jnp.where(black, 1, residual(z, y)) * product


@with_derivative(gradient)
def power(raw: jax.Array, target: jax.Array, g: jax.Array) -> jax.Array:
    """Integral of (t - y) [t (1 - t)]^(g - 1) over t from y to sigmoid(raw)."""
    # The family is symmetric under y -> 1 - y, z -> -z: from here on y <= 1/2.
    z, y, _ = fold(raw, target)
    r = residual(z, y)
    near = (r >= -y / 2) & (r <= jnp.minimum(y, (1 - y) / 2)) & (y > 0)
    closely = _near(jnp.where(near, r, 0), jnp.where(near, y, 0.5), g)
    return jnp.where(near, closely, _far(z, y, g))


def _near(r: jax.Array, y: jax.Array, g: jax.Array) -> jax.Array:
    """Quadrature of r^2 w [t (1 - t)]^(g - 1), t = y + r w: no cancellation."""
    total = jnp.zeros_like(r)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        t = y + r * float(node)
        total += float(weight) * jnp.exp((g - 1) * jnp.log(t * (1 - t)))
    return r * r * total


def _far(z: jax.Array, y: jax.Array, g: jax.Array) -> jax.Array:
    """Difference of the series of both incomplete beta functions, far from p = y."""
    beyond = z > 0
    log_q = -softplus(jnp.abs(z))
    positive = y > 0
    log_y = jnp.log(jnp.where(positive, y, 1))
    series = _coefficients(g)
    share = jnp.where(beyond, 1 - y, y)
    half = jnp.log(jnp.asarray(0.5, z.dtype))
    # Integrals of t^(g - 1) from y to q below one half, else from 1/2 to q and to y.
    origin = jnp.where(beyond, half, log_y)
    to_q = jnp.exp(g * origin) * over(g, log_q - origin)
    to_y = jnp.where(beyond, jnp.exp(g * half) * over(g, log_y - half), 0)
    elementary = jnp.where(positive, y * to_y - share * to_q, 0)
    elementary = jnp.where(positive | ~beyond, elementary, -to_q)
    middle = jnp.exp((g + 1) * half) * horner(jnp.ones_like(g), series[1])
    return (
        _tail(log_q, jnp.exp(log_q), share, g, series)
        - jnp.where(positive, _tail(log_y, y, y, g, series), 0)
        + elementary
        + jnp.where(beyond, (1 - 2 * y) * middle, 0)
    )


def _coefficients(g: jax.Array) -> tuple[Sequence[jax.Array], Sequence[jax.Array]]:
    """Polynomials of both series in 4 q - 1, from the binomial series of (1 - t)^(g-1).

    The first is sum c_k q^k / (g + 1 + k), the second sum c_(k+1) q^k / (g + 1 + k).
    """
    k = jnp.arange(1, _SERIES + 1, dtype=g.dtype)
    binomial = jnp.cumprod((k - g) / k)
    # 1 in front; the recurrence is exact where g is a positive whole number.
    shifted = jnp.concatenate([jnp.ones_like(binomial[:1]), binomial[:-1]])
    matrix = jnp.asarray(_ECONOMISED, g.dtype)
    both = matrix @ (jnp.stack([shifted, binomial]) / (g + k)[None]).T
    return [both[i, 0] for i in range(_DEGREE)], [both[i, 1] for i in range(_DEGREE)]


def _tail(
    log_q: jax.Array,
    q: jax.Array,
    share: jax.Array,
    g: jax.Array,
    series: tuple[Sequence[jax.Array], Sequence[jax.Array]],
) -> jax.Array:
    v = 4 * q - 1
    inner = horner(v, series[0]) - share * horner(v, series[1])
    return jnp.exp((g + 1) * log_q) * inner


POWER = row(
    "power",
    power,
    Parameter("g", 0.5, -0.75, 3.0, "exponent of p (1 - p) in the gradient"),
    unit="nats at g = 0, intensity squared at g = 1",
    formula="integral from y to p of (t - y) (t (1 - t))**(g - 1) dt",
    source="Buja, Stuetzle, Shen, Loss functions for binary class probability "
    "estimation and classification, 2005: the symmetric members a = b = g of the beta "
    "family, as divergences.",
    claims=Claims(
        gradient="r*s**g",
        floor="0",
        elicits=MEAN,
        minimiser="y",
        curvature="(y*(1-y))**(g + 1)",
        saturation="g",
        convex="-1 <= g <= 0",
        domain="abs(g z) < 80 where g < 0; every z where g >= 0",
        use="To ask how much saturated pixels should count: 0 is bce without its "
        "floor, 1 is half of mse behind a sigmoid, 1/2 costs little against either.",
    ),
)
