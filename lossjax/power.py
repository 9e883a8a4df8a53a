"""The one-knob family between cross-entropy and squared error.

With p = sigmoid(z) and s = p (1 - p): dL/dz = (p - y) s^g. g = 0 is the excess of bce,
g = 1 half the squared error. The derivative is closed form for every g; the value is an
incomplete-beta difference and is computed by quadrature.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.links import residual

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)


@jax.custom_jvp
def power(raw: jax.Array, target: jax.Array, g: jax.Array) -> jax.Array:
    """Integral of (t - y) [t (1 - t)]^(g - 1) over t from y to sigmoid(raw)."""
    y = jnp.clip(target, 1e-9, 1 - 1e-7)
    start = jnp.log(y) - jnp.log1p(-y)
    half = (raw - start) / 2
    total = jnp.zeros_like(raw)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        u = start + half * (1 + float(node))
        total += float(weight) * residual(u, target) * _slope_power(u, g)
    return half * total


@power.defjvp
def _power_jvp(primals: Any, tangents: Any) -> Any:
    raw, target, g = primals
    value = power(raw, target, g)
    return value, residual(raw, target) * _slope_power(raw, g) * tangents[0]


def _slope_power(z: jax.Array, g: jax.Array) -> jax.Array:
    """[p (1 - p)]^g from its logarithm, which does not underflow."""
    a = jnp.abs(z)
    return jnp.exp(-g * (a + 2 * jnp.log1p(jnp.exp(-a))))


def kernel(raw: jax.Array, target: jax.Array, *, g: jax.Array) -> jax.Array:
    """power as a kernel of the table."""
    return power(raw, target, g)
