"""Losses of the residual r = image - target, one value per pixel.

Each is a function of r alone, so that the same function serves the sigmoid link
(r = sigmoid(z) - y) and the linear one (r = z - y).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lossjax.links import magnitude, residual


def behind_sigmoid(of_residual: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Kernel of a loss on sigmoid(raw) - target."""

    def kernel(raw: jax.Array, target: jax.Array, **hyper: jax.Array) -> jax.Array:
        return of_residual(residual(raw, target), **hyper)

    return kernel


def linear(of_residual: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Kernel of a loss on raw - target."""

    def kernel(raw: jax.Array, target: jax.Array, **hyper: jax.Array) -> jax.Array:
        return of_residual(raw - target, **hyper)

    return kernel


def square(r: jax.Array) -> jax.Array:
    """r^2, without the half."""
    return r * r


def absolute(r: jax.Array) -> jax.Array:
    """abs(r), derivative 0 at r = 0."""
    return magnitude(r)


def huber(r: jax.Array, *, delta: jax.Array) -> jax.Array:
    """r^2 / 2 up to delta, then delta (abs(r) - delta / 2)."""
    inner = jnp.clip(r, -delta, delta)
    return inner * (r - inner / 2)


@jax.custom_jvp
def _log_cosh(x: jax.Array) -> jax.Array:
    a = jnp.abs(x)
    e = jnp.expm1(-a)
    near = a < 1
    # cosh a - 1 = e^2 / (2 (1 + e)) keeps small arguments, where the textbook form
    # a + log1p(exp(-2 a)) - log 2 loses every digit; the latter serves large ones.
    inside = jnp.where(near, e * e / (2 * jnp.where(near, 1 + e, 1)), (1 + e) ** 2)
    return jnp.log1p(inside) + jnp.where(near, 0, a - 0.6931471805599453)


@_log_cosh.defjvp
def _log_cosh_jvp(primals: Any, tangents: Any) -> Any:
    return _log_cosh(*primals), jnp.tanh(primals[0]) * tangents[0]


def log_cosh(r: jax.Array, *, scale: jax.Array) -> jax.Array:
    """scale^2 log cosh(r / scale): r^2 / 2 near 0, scale abs(r) far away."""
    return scale * scale * _log_cosh(r / scale)


@jax.custom_jvp
def _charbonnier(r: jax.Array, epsilon: jax.Array) -> jax.Array:
    # r^2 / (root + epsilon), not root - epsilon: the difference cancels at small r.
    return r * r / (jnp.sqrt(r * r + epsilon * epsilon) + epsilon)


@_charbonnier.defjvp
def _charbonnier_jvp(primals: Any, tangents: Any) -> Any:
    r, epsilon = primals
    root = jnp.sqrt(r * r + epsilon * epsilon)
    value = _charbonnier(r, epsilon)
    return value, r / root * tangents[0] - value / root * tangents[1]


def charbonnier(r: jax.Array, *, epsilon: jax.Array) -> jax.Array:
    """sqrt(r^2 + epsilon^2) - epsilon."""
    return _charbonnier(r, epsilon)
