"""Losses of a probability or a rate behind a sigmoid: proper ones and two improper."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lossjax.bernoulli import xlogx
from lossjax.checks import Parameter
from lossjax.claims import EVERYWHERE, MEAN, SHARPENED, SOFTENED, Claims
from lossjax.links import (
    fold,
    gauss_rule,
    over,
    residual,
    sigmoid,
    slope,
    softplus,
    with_derivative,
)
from lossjax.loss import row

# Half a grey level: below it a target cannot be told from black.
HALF_LEVEL = 1 / 510
_NODES, _WEIGHTS = gauss_rule(6)


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
    exponent = jnp.where(black, b, b - 1) * -softplus(-raw)
    rest = jnp.where(black, 1, residual(raw, y))
    return jnp.exp(exponent - softplus(raw)), rest, black


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
    r = residual(raw, y)
    near = (r >= -y / 2) & (r <= y) & (y > 0)
    safe = jnp.where(y > 0, y, 1)
    # Near p = y a Gauss rule of the integral itself: the closed form would cancel.
    total = jnp.zeros_like(r)
    middle = jnp.where(near, r, 0)
    for node, weight in zip(_NODES, _WEIGHTS, strict=True):
        t = safe + middle * float(node)
        total += float(weight) * jnp.exp((b - 2) * jnp.log(t))
    log_p = -softplus(-raw)
    ratio = log_p - jnp.log(safe)
    far = jnp.exp(b * jnp.log(safe)) * (over(b, ratio) - over(b - 1, ratio))
    black = jnp.exp(b * log_p) / jnp.where(b == 0, 1, b)
    return jnp.where(near, r * r * total, jnp.where(y > 0, far, black))


def _lifted(target: jax.Array, b: jax.Array) -> jax.Array:
    """At b = 0 a black target is infinitely far from everything: half a level up."""
    return jnp.where(b == 0, jnp.maximum(target, HALF_LEVEL), target)


def itakura_saito(raw: jax.Array, target: jax.Array) -> jax.Array:
    """y' / p - log(y' / p) - 1 with y' = max(y, 1/510): beta_divergence at b = 0."""
    return beta_divergence(raw, target, jnp.zeros((), raw.dtype))


def _focal_slope(raw: jax.Array, target: jax.Array, gamma: jax.Array) -> jax.Array:
    p, q = sigmoid(raw), sigmoid(-raw)
    log_p, log_q = -softplus(-raw), -softplus(raw)
    up = jnp.exp(gamma * log_q) * (gamma * p * log_p - q)
    down = jnp.exp(gamma * log_p) * (p - gamma * q * log_q)
    return target * up + (1 - target) * down


@with_derivative(_focal_slope)
def focal(raw: jax.Array, target: jax.Array, gamma: jax.Array) -> jax.Array:
    """Cross-entropy whose terms are weighted by how wrong they are, to the gamma."""
    lower, upper = softplus(raw), softplus(-raw)
    return (
        target * jnp.exp(-gamma * lower) * upper
        + (1 - target) * jnp.exp(-gamma * upper) * lower
    )


def _gce_slope(raw: jax.Array, target: jax.Array, q: jax.Array) -> jax.Array:
    up = jnp.exp(-q * softplus(-raw)) * sigmoid(-raw)
    down = jnp.exp(-q * softplus(raw)) * sigmoid(raw)
    return (1 - target) * down - target * up


@with_derivative(_gce_slope)
def gce(raw: jax.Array, target: jax.Array, q: jax.Array) -> jax.Array:
    """[y (1 - p^q) + (1 - y) (1 - (1 - p)^q)] / q."""
    up = -jnp.expm1(-q * softplus(-raw))
    down = -jnp.expm1(-q * softplus(raw))
    return (target * up + (1 - target) * down) / q


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
        elicits=MEAN,
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
        gradient="p**(b - 1)*q*r",
        floor="0",
        elicits=MEAN,
        minimiser="y",
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
        elicits=SOFTENED,
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
        minimiser="sigmoid(logit(y)/maximum(1 - q_, 1e-6))",
        curvature="",
        saturation="q_",
        convex="False",
        domain=EVERYWHERE,
        use="Not for pictures: improper, it pushes grey targets to black and white. "
        "For 0-and-1 targets with wrong labels among them.",
    ),
)
