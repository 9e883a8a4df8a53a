"""Cross-entropies of a pixel: Bernoulli, its divergence, continuous Bernoulli."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.links import horner, residual, softplus


@jax.custom_jvp
def bce(raw: jax.Array, target: jax.Array) -> jax.Array:
    """softplus(z) - y z, computed on the side of the target that does not cancel."""
    sign = jnp.where(target > 0.5, -1.0, 1.0).astype(raw.dtype)
    z = sign * raw
    return softplus(z) - jnp.minimum(target, 1 - target) * z


@bce.defjvp
def _bce_jvp(primals: Any, tangents: Any) -> Any:
    raw, target = primals
    return (
        bce(raw, target),
        residual(raw, target) * tangents[0] - raw * tangents[1],
    )


def entropy(target: jax.Array) -> jax.Array:
    """Binary entropy in nats; 0 at 0 and 1."""
    return _xlogx(target) + _xlogx(1 - target)


def _xlogx(x: jax.Array) -> jax.Array:
    inside = x > 0
    return -jnp.where(inside, x * jnp.log(jnp.where(inside, x, 1)), 0)


@jax.custom_jvp
def excess_bce(raw: jax.Array, target: jax.Array) -> jax.Array:
    """KL(target, sigmoid(raw)) of two Bernoulli laws, without cancellation."""
    r = residual(raw, target)
    return _half_divergence(r, target, -softplus(-raw)) + _half_divergence(
        -r, 1 - target, -softplus(raw)
    )


@excess_bce.defjvp
def _excess_bce_jvp(primals: Any, tangents: Any) -> Any:
    raw, target = primals
    by_target = jnp.log(target) - jnp.log1p(-target) - raw
    return (
        excess_bce(raw, target),
        residual(raw, target) * tangents[0]
        + jnp.where(tangents[1] == 0, 0, by_target * tangents[1]),
    )


def _half_divergence(r: jax.Array, y: jax.Array, log_p: jax.Array) -> jax.Array:
    """r - y log(p / y) with p = y + r: y h(r / y) for h(x) = x - log1p(x)."""
    positive = y > 0
    safe = jnp.where(positive, y, 1)
    x = r / safe
    near = jnp.abs(x) < 0.4
    # h in u = x / (2 + x), where log1p(x) = 2 atanh(u); abs(u) < 1/4 here, so the
    # terms left out are below 2e-10 of the value.
    x = jnp.where(near, x, 0)
    u = x / (2 + x)
    series = x - 2 * u * horner(u * u, [1 / (2 * k + 3) for k in range(7)]) * u
    far = r - jnp.where(positive, safe * (log_p - jnp.log(safe)), 0)
    return jnp.where(near & positive, y * u * series, far)


_BERNOULLI_NUMBERS = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
_FACTORIALS = (2, 24, 720, 40320, 3628800, 479001600, 87178291200)
# log(sinh(z/2) / (z/2)) = sum of B_2k z^2k / (2k (2k)!): 1e-12 of the value at 1.
_LOG_NORMALISER = tuple(
    b / (2 * (k + 1) * f)
    for k, (b, f) in enumerate(zip(_BERNOULLI_NUMBERS, _FACTORIALS, strict=True))
)


@jax.custom_jvp
def continuous_bernoulli(raw: jax.Array, target: jax.Array) -> jax.Array:
    """Negative log-density of the continuous Bernoulli law with logit raw."""
    a = jnp.abs(raw)
    near = a < 1
    z2 = jnp.where(near, raw * raw, 0)
    series = (0.5 - target) * raw + z2 * horner(z2, _LOG_NORMALISER)
    far = jnp.where(near, 1, a)
    share = jnp.where(raw > 0, 1 - target, target)
    return jnp.where(near, series, share * a - jnp.log(far) + jnp.log1p(-jnp.exp(-far)))


@continuous_bernoulli.defjvp
def _continuous_bernoulli_jvp(primals: Any, tangents: Any) -> Any:
    raw, target = primals
    return (
        continuous_bernoulli(raw, target),
        mean_residual(raw, target) * tangents[0] - raw * tangents[1],
    )


@jax.custom_jvp
def mean_residual(raw: jax.Array, target: jax.Array) -> jax.Array:
    """Mean of the continuous Bernoulli law with logit raw, minus target."""
    a = jnp.abs(raw)
    near = a < 1
    z = jnp.where(near, raw, 0)
    odd = z * horner(z * z, [2 * (k + 1) * c for k, c in enumerate(_LOG_NORMALISER)])
    far = jnp.where(near, 1, a)
    low = 1 / far - 1 / jnp.expm1(far)
    mean = jnp.where(raw > 0, (1 - target) - low, low - target)
    return jnp.where(near, (0.5 - target) + odd, mean)


@mean_residual.defjvp
def _mean_residual_jvp(primals: Any, tangents: Any) -> Any:
    raw, target = primals
    return (
        mean_residual(raw, target),
        continuous_variance(raw) * tangents[0] - tangents[1],
    )


def continuous_variance(raw: jax.Array) -> jax.Array:
    """Variance of the continuous Bernoulli law with logit raw; 1/12 at 0."""
    a = jnp.abs(raw)
    near = a < 1
    z2 = jnp.where(near, raw * raw, 0)
    orders = [2 * (k + 1) * (2 * k + 1) * c for k, c in enumerate(_LOG_NORMALISER)]
    far = jnp.where(near, 1, a)
    # 1 / (4 sinh^2(a/2)) = e^-a / (1 - e^-a)^2, which does not overflow.
    e = jnp.exp(-far)
    return jnp.where(near, horner(z2, orders), 1 / far / far - e / (1 - e) ** 2)


def continuous_mean(raw: jax.Array) -> jax.Array:
    """Read-out of the continuous Bernoulli law: its mean, not its parameter."""
    return mean_residual(raw, jnp.zeros_like(raw))


def logit_of_mean(mean: jax.Array) -> jax.Array:
    """Logit whose continuous Bernoulli mean is `mean` in (0, 1), by bisection."""
    # The mean 1/512 has its logit at -512; float32 targets reach 1e-7.
    bound = jnp.full_like(mean, 1e8)

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        # Half by value near 0, half by exponent far away.
        middle = jnp.sinh((jnp.arcsinh(low) + jnp.arcsinh(high)) / 2)
        below = mean_residual(middle, mean) < 0
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, 60, halve, (-bound, bound))
    return (low + high) / 2


def continuous_logit(mean: np.ndarray) -> np.ndarray:
    """Logit whose continuous Bernoulli mean is `mean`, by bisection in numpy."""
    low, high = np.full_like(mean, -1e6), np.full_like(mean, 1e6)
    for _ in range(100):
        middle = (low + high) / 2
        a = np.where(np.abs(middle) < 1e-3, 1.0, np.abs(middle))
        tail = 1 / a - np.exp(-a) / -np.expm1(-a)
        exact = np.where(middle > 0, 1 - tail, tail)
        below = np.where(np.abs(middle) < 1e-3, 0.5 + middle / 12, exact) < mean
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2
