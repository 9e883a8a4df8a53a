"""Cross-entropy of a pixel, its excess over the floor, the continuous Bernoulli law."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lossjax.losses.claims import EVERYWHERE, MEAN, Claims, langevin_inverse
from lossjax.losses.links import (
    fold,
    horner,
    residual,
    sigmoid,
    softplus,
    softpluses,
    with_derivative,
)
from lossjax.losses.loss import row


@with_derivative(residual)
def bce(raw: jax.Array, target: jax.Array) -> jax.Array:
    """softplus(z) - y z, computed on the side of the target that does not cancel."""
    z, y, _ = fold(raw, target)
    return softplus(z) - y * z


def entropy(target: jax.Array) -> jax.Array:
    """Binary entropy in nats; 0 at 0 and 1."""
    return -xlogx(target) - xlogx(1 - target)


def xlogx(x: jax.Array) -> jax.Array:
    """x log x, 0 at x = 0."""
    inside = x > 0
    return jnp.where(inside, x * jnp.log(jnp.where(inside, x, 1)), 0)


@with_derivative(residual)
def excess_bce(raw: jax.Array, target: jax.Array) -> jax.Array:
    """KL(target, sigmoid(raw)) of two Bernoulli laws, without cancellation."""
    minus_log_q, minus_log_p = softpluses(raw)
    return divergence(residual(raw, target), target, -minus_log_p, -minus_log_q)


def divergence(
    r: jax.Array, y: jax.Array, log_p: jax.Array, log_q: jax.Array
) -> jax.Array:
    """KL(y, y + r) of two Bernoulli laws, given log(y + r) and log(1 - y - r)."""
    return _half_divergence(r, y, log_p) + _half_divergence(-r, 1 - y, log_q)


def _half_divergence(r: jax.Array, y: jax.Array, log_p: jax.Array) -> jax.Array:
    """r - y log(p / y) with p = y + r: y h(r / y) for h(x) = x - log1p(x)."""
    positive = y > 0
    safe = jnp.where(positive, y, 1)
    far = r - jnp.where(positive, safe * (log_p - jnp.log(safe)), 0)
    # Both sides of the fraction are replaced where it is not used: it may overflow.
    near = (jnp.abs(r) < 0.4 * safe) & positive
    x = jnp.where(near, r, 0) / jnp.where(near, safe, 1)
    return jnp.where(near, y * gap_of_log(x), far)


def gap_of_log(x: jax.Array) -> jax.Array:
    """x - log1p(x) for abs(x) < 0.4, without cancellation; 0 elsewhere."""
    x = jnp.where(jnp.abs(x) < 0.4, x, 0)
    # In u = x / (2 + x) log1p(x) is 2 atanh(u); abs(u) <= 1/4 here, so the terms left
    # out are below 1e-9 of the value.
    u = x / (2 + x)
    return u * (x - 2 * u * u * horner(u * u, [1 / (2 * k + 3) for k in range(7)]))


_BERNOULLI_NUMBERS = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6)
_FACTORIALS = (2, 24, 720, 40320, 3628800, 479001600, 87178291200)
# log(sinh(z/2) / (z/2)) = sum of B_2k z^2k / (2k (2k)!): 1e-12 of the value at z = 1,
# the radius inside which it replaces the closed form (a removable 0 / 0 at z = 0).
_SERIES = tuple(
    b / (2 * (k + 1) * f)
    for k, (b, f) in enumerate(zip(_BERNOULLI_NUMBERS, _FACTORIALS, strict=True))
)
_FIRST = tuple(2 * (k + 1) * c for k, c in enumerate(_SERIES))
_SECOND = tuple((2 * k + 1) * c for k, c in enumerate(_FIRST))


def _split(raw: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Near or far of 0, z where near, abs(z) where far (harmless elsewhere)."""
    a = jnp.abs(raw)
    near = a < 1
    return near, jnp.where(near, raw, 0), jnp.where(near, 1, a)


def continuous_variance(raw: jax.Array) -> jax.Array:
    """Variance of the continuous Bernoulli law with logit raw; 1/12 at 0."""
    near, z, far = _split(raw)
    # 1 / (4 sinh^2(a/2)) = e^-a / (1 - e^-a)^2, which does not overflow.
    e = jnp.exp(-far)
    return jnp.where(near, horner(z * z, _SECOND), 1 / far / far - e / (1 - e) ** 2)


@with_derivative(lambda raw, target: continuous_variance(raw))
def mean_residual(raw: jax.Array, target: jax.Array) -> jax.Array:
    """Mean of the continuous Bernoulli law with logit raw, minus target."""
    near, z, far = _split(raw)
    low = 1 / far - 1 / jnp.expm1(far)
    mean = jnp.where(raw > 0, (1 - target) - low, low - target)
    return jnp.where(near, (0.5 - target) + z * horner(z * z, _FIRST), mean)


@with_derivative(mean_residual)
def continuous_bernoulli(raw: jax.Array, target: jax.Array) -> jax.Array:
    """Negative log-density of the continuous Bernoulli law with logit raw."""
    near, z, far = _split(raw)
    series = (0.5 - target) * z + z * z * horner(z * z, _SERIES)
    # (1/2 - y) z + abs(z)/2 would cancel at y in {0, 1}; this is the same number.
    share = jnp.where(raw > 0, 1 - target, target)
    closed = share * far - jnp.log(far) + jnp.log1p(-jnp.exp(-far))
    return jnp.where(near, series, closed)


def continuous_mean(raw: jax.Array) -> jax.Array:
    """Read-out of the continuous Bernoulli law: its mean, not its parameter."""
    return mean_residual(raw, jnp.zeros_like(raw))


def matched_logit(raw: jax.Array) -> jax.Array:
    """Logit of the continuous Bernoulli law whose mean is sigmoid(raw).

    Newton's method on 1/mean, which is convex in the logit's absolute value a and lies
    between a and 2 + a/3: it comes down from the right without a search. Means are kept
    1e-9 away from 0 and 1.
    """
    p = jnp.maximum(sigmoid(-jnp.abs(raw)), 1e-9)

    def step(_: int, a: jax.Array) -> jax.Array:
        r = mean_residual(-a, p)
        return jnp.maximum(a + r * (r + p) / (p * continuous_variance(a)), 0)

    a = jax.lax.fori_loop(0, 6, step, jnp.minimum(1 / p, 3 * (1 / p - 2)))
    return jnp.where(raw > 0, a, -a)


def _logit_of_mean(mean: jax.Array) -> jax.Array:
    """Logit whose continuous Bernoulli mean is `mean` in (0, 1), by bisection."""
    bound = jnp.full_like(mean, 1e9)

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        # Half by value near 0, half by exponent far away.
        middle = jnp.sinh((jnp.arcsinh(low) + jnp.arcsinh(high)) / 2)
        below = mean_residual(middle, mean) < 0
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, 64, halve, (-bound, bound))
    return (low + high) / 2


def _continuous_floor(target: jax.Array) -> jax.Array:
    inside = (target > 0) & (target < 1)
    y = jnp.where(inside, target, 0.5)
    z = jax.lax.stop_gradient(_logit_of_mean(y))
    return jnp.where(inside, continuous_bernoulli(z, y), -jnp.inf)


BCE = row(
    "bce",
    bce,
    least=entropy,
    law="binary",
    unit="nats",
    formula="softplus(z) - y*z",
    source="Vincent, Larochelle, Lajoie, Bengio, Manzagol, Stacked denoising "
    "autoencoders, JMLR 11, 2010, section 2.2, on logits.",
    claims=Claims(
        gradient="r",
        floor="H(y)",
        elicits=MEAN,
        minimiser="y",
        curvature="y*(1-y)",
        saturation="0",
        convex="True",
        domain=EVERYWHERE,
        use="Images with much black and white, and any sigmoid output whose training "
        "should not stall. Its smallest value is the entropy of the target, not 0.",
    ),
)
EXCESS_BCE = row(
    "excess_bce",
    excess_bce,
    unit="nats",
    formula="xlogy(y, y/p) + xlogy(1 - y, (1 - y)/q)",
    source="bce minus its floor: Kullback, Leibler, On information and sufficiency, "
    "Annals of Mathematical Statistics 22(1), 1951.",
    claims=Claims(
        gradient="r",
        floor="0",
        elicits=MEAN,
        minimiser="y",
        curvature="y*(1-y)",
        saturation="0",
        convex="True",
        domain=EVERYWHERE,
        use="As bce, with the same gradients, when the value should read 0 for a "
        "perfect picture.",
    ),
)
CONTINUOUS_BERNOULLI = row(
    "continuous_bernoulli",
    continuous_bernoulli,
    link=continuous_mean,
    least=_continuous_floor,
    begin=langevin_inverse,
    law="density",
    unit="nats",
    formula="(1/2 - y)*z + abs(z)/2 - log(abs(z)) + log1p(-exp(-abs(z)))",
    source="Loaiza-Ganem, Cunningham, The continuous Bernoulli: fixing a pervasive "
    "error in variational autoencoders, NeurIPS 2019, in the logit. The read-out is "
    "the mean, not the parameter.",
    claims=Claims(
        gradient="mu(z) - y",
        floor="where((y > 0) & (y < 1), (1/2 - y)*mu_inverse(y) + "
        "abs(mu_inverse(y))/2 - log(abs(mu_inverse(y))) + "
        "log1p(-exp(-abs(mu_inverse(y)))), -inf)",
        elicits=MEAN,
        minimiser="y",
        curvature="mu_slope(mu_inverse(y))",
        saturation="0",
        convex="True",
        domain=EVERYWHERE,
        use="A likelihood of grey values in [0, 1], where bce is none. Unbounded "
        "below on exactly black or white pixels, which then rule the total.",
    ),
)
