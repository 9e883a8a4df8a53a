"""Links and residuals with full relative accuracy in value and derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

# Custom rules here are jvp rules, written in functions that carry rules themselves,
# so that jvp, grad, hessian and vmap of any of them work.


class Named(jax.custom_jvp):
    """A function with a rule of its own that is pickled and copied by its name."""

    def __reduce__(self) -> str:
        return str(vars(self)["__qualname__"])


def with_derivative(
    derivative: Callable[..., jax.Array],
) -> Callable[[Callable[..., jax.Array]], Callable[..., jax.Array]]:
    """Give a function of (x, *data) its derivative in x; data have none (see Loss)."""

    def attach(value: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        function = Named(value)

        @function.defjvp
        def rule(primals: Any, tangents: Any) -> Any:
            return function(*primals), derivative(*primals) * tangents[0]

        return function

    return attach


def _bend(z: jax.Array) -> jax.Array:
    return -slope(z) * jnp.tanh(z / 2)


@with_derivative(_bend)
def slope(z: jax.Array) -> jax.Array:
    """Derivative of the sigmoid, p(1 - p); p * (1 - p) itself is 0 beyond z = 17."""
    e = jnp.exp(-jnp.abs(z))
    return e / (1 + e) ** 2


@with_derivative(slope)
def sigmoid(z: jax.Array) -> jax.Array:
    """1 / (1 + exp(-z)), accurate on both sides, like its derivative."""
    e = jnp.exp(-jnp.abs(z))
    return jnp.where(z < 0, e, 1.0) / (1 + e)


@with_derivative(lambda z, y: slope(z))
def residual(z: jax.Array, y: jax.Array) -> jax.Array:
    """sigmoid(z) - y without cancellation near y = 1."""
    z, y, sign = fold(z, y)
    return sign * (sigmoid(z) - y)


def fold(z: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(z, y, 1), or (-z, 1 - y, -1) where y > 1/2: the same pixel seen in negative.

    1 - y is exact there, so nothing is lost, and small 1 - p are seen as small p.
    """
    sign = jnp.where(y > 0.5, -1.0, 1.0).astype(z.dtype)
    return sign * z, jnp.minimum(y, 1 - y), sign


@with_derivative(sigmoid)
def softplus(z: jax.Array) -> jax.Array:
    """log(1 + exp(z)); the derivative is the sigmoid, at z = 0 too."""
    return jnp.maximum(z, 0) + jnp.log1p(jnp.exp(-jnp.abs(z)))


def softpluses(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """softplus(z) and softplus(-z), that is -log(1 - p) and -log p, for one exp."""
    tail = jnp.log1p(jnp.exp(-jnp.abs(z)))
    return jnp.maximum(z, 0) + tail, jnp.maximum(-z, 0) + tail


def sigmoids(z: jax.Array) -> tuple[jax.Array, jax.Array]:
    """p = sigmoid(z) and 1 - p for one exp."""
    e = jnp.exp(-jnp.abs(z))
    small, large = e / (1 + e), 1 / (1 + e)
    return jnp.where(z < 0, small, large), jnp.where(z < 0, large, small)


@with_derivative(jnp.sign)
def magnitude(x: jax.Array) -> jax.Array:
    """Absolute value whose derivative at 0 is 0 (that of jnp.abs is 1 there)."""
    return jnp.abs(x)


def horner(x: jax.Array, coefficients: Sequence[Any]) -> jax.Array:
    """Polynomial of x, lowest order first."""
    total = jnp.zeros_like(x) + coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * x + c
    return total


def over(g: jax.Array, x: jax.Array) -> jax.Array:
    """expm1(g x) / g, the integral of t^(g - 1) from 1 to e^x; x at g = 0."""
    safe = jnp.where(g == 0, 1, g)
    return jnp.where(g == 0, x, jnp.expm1(safe * x) / safe)


def gauss_rule(size: int) -> tuple[list[float], list[float]]:
    """Nodes and weights for the integral of w f(w) over [0, 1]."""
    # Golub and Welsch for the Jacobi weight (1 + x), moved from [-1, 1] to [0, 1].
    k, n = np.arange(1, size), np.arange(size)
    diagonal = 1 / ((2 * n + 1) * (2 * n + 3))
    beside = np.sqrt(k * (k + 1)) / (2 * k + 1)
    nodes, vectors = np.linalg.eigh(
        np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    )
    return list((1 + nodes) / 2), list(vectors[0] ** 2 / 2)


def clip01(z: jax.Array) -> jax.Array:
    """Read-out of an intensity: clipped to [0, 1]."""
    return jnp.clip(z, 0.0, 1.0)
