"""Losses of a probability or a rate behind a sigmoid: proper ones and two improper."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lossjax.losses.bernoulli import gap_of_log, xlogx
from lossjax.losses.checks import Parameter
from lossjax.losses.claims import (
    EVERYWHERE,
    MEAN,
    RAISED_MEAN,
    SHARPENED,
    SOFTENED,
    Claims,
)
from lossjax.losses.links import (
    fold,
    horner,
    over,
    residual,
    sigmoid,
    sigmoids,
    slope,
    softplus,
    softpluses,
    with_derivative,
)
from lossjax.losses.loss import row

# Half a grey level: below it a target is as good as black.
HALF_LEVEL = 1 / 510
_ORDER = 14


@with_derivative(lambda raw, target: 2 * residual(raw, target) * slope(raw))
def brier(raw: jax.Array, target: jax.Array) -> jax.Array:
    """Expected squared error of p against a black or white pixel of mean y."""
    return residual(raw, target) ** 2 + target * (1 - target)


@with_derivative(lambda raw, target: residual(raw, target) * sigmoid(-raw))
def poisson(raw: jax.Array, target: jax.Array) -> jax.Array:
    """p - y log p."""
    return sigmoid(raw) + target * softplus(-raw)


def _beta_factors(
    raw: jax.Array, target: jax.Array, b: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    y = _lifted(target, b)
    # Where y = 0 the residual is p, which underflows before p^b does.
    black = y == 0
    minus_log_q, minus_log_p = softpluses(raw)
    exponent = jnp.where(black, b, b - 1) * minus_log_p + minus_log_q
    return jnp.exp(-exponent), jnp.where(black, 1, residual(raw, y)), black


def _beta_bend(raw: jax.Array, target: jax.Array, b: jax.Array) -> jax.Array:
    outer, rest, black = _beta_factors(raw, target, b)
    p, q = sigmoid(raw), sigmoid(-raw)
    grey = p * q + rest * ((b - 1) * q - p)
    return outer * jnp.where(black, b * q - p, grey)


@with_derivative(_beta_bend)
def _beta_slope(raw: jax.Array, target: jax.Array, b: jax.Array) -> jax.Array:
    outer, rest, _ = _beta_factors(raw, target, b)
    return outer * rest


@with_derivative(_beta_slope)
def beta_divergence(raw: jax.Array, target: jax.Array, b: jax.Array) -> jax.Array:
    """Integral from y to p of (t - y) t^(b - 2) dt."""
    y = _lifted(target, b)
    positive = y > 0
    safe = jnp.where(positive, y, 1)
    log_p, log_y = -softpluses(raw)[1], jnp.log(safe)
    scale = jnp.exp(b * jnp.where(positive, log_y, log_p))
    # Near p = y the binomial series of the integral, at 1/4 exact to 1e-9: the closed
    # form would cancel.
    x = residual(raw, y) / safe
    near = (jnp.abs(x) < 0.25) & positive
    x = jnp.where(near, x, 0)
    k = jnp.arange(1, _ORDER, dtype=raw.dtype)
    binomial = jnp.concatenate(
        [jnp.ones((1,), raw.dtype), jnp.cumprod((b - 1 - k) / k)]
    )
    series = [binomial[i] / (i + 2) for i in range(_ORDER)]
    ratio = log_p - log_y
    grey = jnp.where(
        near, x * x * horner(x, series), over(b, ratio) - over(b - 1, ratio)
    )
    return scale * jnp.where(positive, grey, 1 / jnp.where(b == 0, 1, b))


def _lifted(target: jax.Array, b: jax.Array) -> jax.Array:
    """At b = 0 a black target is infinitely far from everything: half a level up."""
    return jnp.where(b == 0, jnp.maximum(target, HALF_LEVEL), target)


def _itakura_bend(raw: jax.Array, target: jax.Array) -> jax.Array:
    # The gradient is q - y' q / p, and its derivative y' q / p - p q.
    y = jnp.maximum(target, HALF_LEVEL)
    return y * jnp.exp(-raw) - slope(raw)


@with_derivative(_itakura_bend)
def _itakura_slope(raw: jax.Array, target: jax.Array) -> jax.Array:
    return residual(raw, jnp.maximum(target, HALF_LEVEL)) * jnp.exp(-raw)


@with_derivative(_itakura_slope)
def itakura_saito(raw: jax.Array, target: jax.Array) -> jax.Array:
    """y' / p - log(y' / p) - 1 with y' = max(y, 1/510)."""
    y = jnp.maximum(target, HALF_LEVEL)
    # y' / p = 1 + x, so the value is x - log1p(x).
    x = -residual(raw, y) * (1 + jnp.exp(-raw))
    far = y * (1 + jnp.exp(-raw)) - 1 - (jnp.log(y) + softplus(-raw))
    return jnp.where(jnp.abs(x) < 0.4, gap_of_log(x), far)


def _focal_slope(raw: jax.Array, target: jax.Array, gamma: jax.Array) -> jax.Array:
    p, q = sigmoids(raw)
    down, up = softpluses(raw)
    return (1 - target) * jnp.exp(-gamma * up) * (p + gamma * q * down) - (
        target * jnp.exp(-gamma * down) * (q + gamma * p * up)
    )


@with_derivative(_focal_slope)
def focal(raw: jax.Array, target: jax.Array, gamma: jax.Array) -> jax.Array:
    """Cross-entropy whose terms are weighted by how wrong they are, to the gamma."""
    down, up = softpluses(raw)
    return target * jnp.exp(-gamma * down) * up + (1 - target) * (
        jnp.exp(-gamma * up) * down
    )


def _gce_slope(raw: jax.Array, target: jax.Array, q: jax.Array) -> jax.Array:
    down, up = softpluses(raw)
    # By one exponent: at q = 1 and y = 1/2 both terms are equal to the last bit.
    rising = (1 - target) * jnp.exp(-(q * down + up))
    return rising - target * jnp.exp(-(q * up + down))


@with_derivative(_gce_slope)
def gce(raw: jax.Array, target: jax.Array, q: jax.Array) -> jax.Array:
    """[y (1 - p^q) + (1 - y) (1 - (1 - p)^q)] / q."""
    down, up = softpluses(raw)
    return -(target * jnp.expm1(-q * up) + (1 - target) * jnp.expm1(-q * down)) / q


def _brier_floor(target: jax.Array) -> jax.Array:
    return target * (1 - target)


def _poisson_floor(target: jax.Array) -> jax.Array:
    return target - xlogx(target)


def _focal_floor(target: jax.Array, gamma: jax.Array) -> jax.Array:
    """Value at the root of the gradient, which is unique; by bisection."""
    _, y, _ = fold(target, target)
    bound = jnp.full_like(y, 200.0)

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = (low + high) / 2
        below = _focal_slope(middle, y, gamma) < 0
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = jax.lax.fori_loop(0, 40, halve, (-bound, bound * 0))
    return jnp.where(y > 0, focal((low + high) / 2, y, gamma), 0)


def _gce_floor(target: jax.Array, q: jax.Array) -> jax.Array:
    """Value where p / (1 - p) = (y / (1 - y))^(1 / (1 - q)); at q = 1 on an edge."""
    y = jnp.minimum(target, 1 - target)
    safe = jnp.where(y > 0, y, 0.5)
    logit = jnp.log(safe) - jnp.log1p(-safe)
    z = jnp.maximum(logit / jnp.maximum(1 - q, 1e-6), -1e6)
    return jnp.where(y > 0, gce(z, y, q), 0)


BRIER = row(
    "brier",
    brier,
    least=_brier_floor,
    unit="intensity squared",
    formula="r**2 + y*(1 - y)",
    source="Brier, Verification of forecasts expressed in terms of probability, "
    "Monthly Weather Review 78(1), 1950, expected over a two-outcome pixel of mean y.",
    claims=Claims(
        gradient="2*r*s",
        floor="y*(1 - y)",
        elicits=MEAN,
        minimiser="y",
        curvature="2*(y*(1-y))**2",
        saturation="1",
        convex="False",
        domain=EVERYWHERE,
        use="mse with a floor, as bce has one: the gradients are those of mse, so "
        "every difference to it is in reading the number.",
    ),
)
POISSON = row(
    "poisson",
    poisson,
    least=_poisson_floor,
    unit="nats",
    formula="p - xlogy(y, p)",
    source="Csiszar, Why least squares and maximum entropy?, Annals of Statistics "
    "19(4), 1991: generalised Kullback-Leibler divergence without the terms in y "
    "alone.",
    claims=Claims(
        gradient="r*q",
        floor="y - xlogy(y, y)",
        elicits=MEAN,
        minimiser="y",
        curvature="y*(1-y)**2",
        saturation="1",
        convex="False",
        domain=EVERYWHERE,
        use="Counts and photon noise, whose variance grows with the mean. Does not "
        "saturate on the dark side, does on the bright one.",
    ),
)
ITAKURA_SAITO = row(
    "itakura_saito",
    itakura_saito,
    unit="1",
    formula="maximum(y, 1/510)/p - log(maximum(y, 1/510)/p) - 1",
    source="Fevotte, Bertin, Durrieu, Nonnegative matrix factorization with the "
    "Itakura-Saito divergence, Neural Computation 21(3), 2009; targets at least half "
    "a grey level.",
    claims=Claims(
        gradient="(p - maximum(y, 1/510))*q/p",
        floor="0",
        elicits=RAISED_MEAN,
        minimiser="maximum(y, 1/510)",
        curvature="(1 - maximum(y, 1/510))**2",
        saturation="1",
        convex="False",
        domain="z > -80; below, 1 / p does not fit float32",
        use="Multiplicative noise, where a factor counts alike in dark and bright. "
        "Its gradient explodes where a bright pixel is drawn black.",
    ),
)
BETA_DIVERGENCE = row(
    "beta_divergence",
    beta_divergence,
    Parameter(
        "b", 0.5, 0.0, 3.0, "2 half of mse, 1 excess of poisson, 0 Itakura-Saito"
    ),
    unit="intensity to the b",
    formula="(y**b + (b - 1)*p**b - b*y*p**(b - 1))/(b*(b - 1))",
    source="Fevotte, Idier, Algorithms for nonnegative matrix factorization with the "
    "beta-divergence, Neural Computation 23(9), 2011, with its limits at b = 0 "
    "(targets at least half a grey level) and 1.",
    claims=Claims(
        gradient="p**(b - 1)*q*where(b == 0, p - maximum(y, 1/510), r)",
        floor="0",
        elicits=MEAN,
        minimiser="where(b == 0, maximum(y, 1/510), y)",
        curvature="y**b*(1-y)**2",
        saturation="1",
        convex="False",
        domain="(1 - b) z > -80, else p^(b - 1) does not fit float32",
        use="Noise whose variance is the mean to the power 2 - b.",
    ),
)
FOCAL = row(
    "focal",
    focal,
    Parameter(
        "gamma", 2.0, 0.0, 10.0, "how strongly easy pixels are ignored; 0 is bce"
    ),
    least=_focal_floor,
    unit="nats",
    formula="y*q**gamma*softplus(-z) + (1 - y)*p**gamma*softplus(z)",
    source="Lin, Goyal, Girshick, He, Dollar, Focal loss for dense object detection, "
    "ICCV 2017, equation 4, extended linearly to grey targets.",
    claims=Claims(
        gradient="y*q**gamma*(-gamma*p*softplus(-z) - q) + (1 - y)*p**gamma*(p + "
        "gamma*q*softplus(z))",
        floor="",
        elicits=f"{MEAN} if gamma == 0, else {SOFTENED}",
        minimiser="",
        curvature="",
        saturation="0",
        convex="",
        domain=EVERYWHERE,
        use="Not for pictures: improper, it sends every grey target towards mid-grey. "
        "Here to show that, and for targets that are 0 or 1.",
    ),
)
GCE = row(
    "gce",
    gce,
    Parameter("q", 0.7, 0.01, 1.0, "0 is bce, 1 is the soft-label absolute error"),
    least=_gce_floor,
    unit="1",
    formula="(y*(1 - p**q_) + (1 - y)*(1 - q**q_))/q_",
    source="Zhang, Sabuncu, Generalized cross entropy loss for training deep neural "
    "networks with noisy labels, NeurIPS 2018, equation 6, extended linearly to grey "
    "targets.",
    claims=Claims(
        gradient="(1 - y)*q**q_*p - y*p**q_*q",
        floor="",
        elicits=SHARPENED,
        minimiser="where((q_ == 1) & (y == 1/2), nan, sigmoid(logit(y)/(1 - q_)))",
        curvature="",
        saturation="q_",
        convex="False",
        domain=EVERYWHERE,
        use="Not for pictures: improper, it pushes grey targets to black and white. "
        "For 0-and-1 targets with wrong labels among them.",
    ),
)
