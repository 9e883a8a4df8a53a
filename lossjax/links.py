"""Links and residuals with full relative accuracy in value and derivative."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

# Custom rules here are jvp rules, written in functions that carry rules themselves,
# so that jvp, grad, hessian and vmap of any of them work.


@jax.custom_jvp
def sigmoid(z: jax.Array) -> jax.Array:
    """1 / (1 + exp(-z)), accurate on both sides, like its derivative."""
    e = jnp.exp(-jnp.abs(z))
    return jnp.where(z < 0, e, 1.0) / (1 + e)


@sigmoid.defjvp
def _sigmoid_jvp(primals: Any, tangents: Any) -> Any:
    return sigmoid(*primals), slope(*primals) * tangents[0]


@jax.custom_jvp
def slope(z: jax.Array) -> jax.Array:
    """Derivative of the sigmoid, p(1 - p); p * (1 - p) itself is 0 beyond z = 17."""
    e = jnp.exp(-jnp.abs(z))
    return e / (1 + e) ** 2


@slope.defjvp
def _slope_jvp(primals: Any, tangents: Any) -> Any:
    s = slope(*primals)
    return s, -s * jnp.tanh(primals[0] / 2) * tangents[0]


@jax.custom_jvp
def residual(z: jax.Array, y: jax.Array) -> jax.Array:
    """sigmoid(z) - y without cancellation near y = 1."""
    # Where y > 1/2 the same number is (1 - y) - sigmoid(-z), and 1 - y is exact.
    sign = jnp.where(y > 0.5, -1.0, 1.0).astype(z.dtype)
    return sign * (sigmoid(sign * z) - jnp.minimum(y, 1 - y))


@residual.defjvp
def _residual_jvp(primals: Any, tangents: Any) -> Any:
    return residual(*primals), slope(primals[0]) * tangents[0] - tangents[1]


@jax.custom_jvp
def softplus(z: jax.Array) -> jax.Array:
    """log(1 + exp(z)); the derivative is the sigmoid, at z = 0 too."""
    return jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))


@softplus.defjvp
def _softplus_jvp(primals: Any, tangents: Any) -> Any:
    return softplus(*primals), sigmoid(*primals) * tangents[0]


@jax.custom_jvp
def magnitude(x: jax.Array) -> jax.Array:
    """Absolute value whose derivative at 0 is 0 (that of jnp.abs is 1 there)."""
    return jnp.abs(x)


@magnitude.defjvp
def _magnitude_jvp(primals: Any, tangents: Any) -> Any:
    return magnitude(*primals), jnp.sign(primals[0]) * tangents[0]


def horner(x: jax.Array, coefficients: Sequence[Any]) -> jax.Array:
    """Polynomial of x, lowest order first."""
    total = jnp.zeros_like(x) + coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def clip01(z: jax.Array) -> jax.Array:
    """Read-out of an intensity: clipped to [0, 1]."""
    return jnp.clip(z, 0.0, 1.0)
