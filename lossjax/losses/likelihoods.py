"""Negative log-densities with a scale: Gaussian, Laplace and Student-t pixels."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.losses.checks import Parameter
from lossjax.losses.claims import (
    EVERYWHERE,
    LOCATION,
    MEAN,
    MEDIAN,
    REDESCENDING,
    Claims,
)
from lossjax.losses.links import (
    Named,
    horner,
    magnitude,
    residual,
    sigmoid,
    softplus,
)
from lossjax.losses.loss import logit, row

# No scale falls below half a grey level: 8-bit pixels cannot tell.
LOG_LEAST = -float(np.log(510))
LOG_2PI = float(np.log(2 * np.pi))
_START = -2.0
_DEGREES = Parameter("nu", 3.0, 0.1, 1000.0, "degrees of freedom; 1 is Cauchy")


def softly_above(x: jax.Array, least: float) -> jax.Array:
    """x far above least, least far below it, smooth between."""
    return least + softplus(x - least)


def _gaussian(r: jax.Array, log_scale: jax.Array) -> jax.Array:
    return (r * jnp.exp(-log_scale)) ** 2 / 2 + log_scale + LOG_2PI / 2


def gaussian(raw: jax.Array, target: jax.Array, *, sigma: jax.Array) -> jax.Array:
    """Gaussian of fixed standard deviation sigma around sigmoid(raw)."""
    return _gaussian(residual(raw, target), jnp.log(sigma))


def gaussian_shared(
    raw: jax.Array, target: jax.Array, *, log_scale: jax.Array
) -> jax.Array:
    """Gaussian whose one standard deviation is trained with the network."""
    return _gaussian(residual(raw, target), softly_above(log_scale, LOG_LEAST))


def gaussian_optimal(
    raw: jax.Array, target: jax.Array, *, weights: jax.Array | None
) -> jax.Array:
    """Gaussian whose variance is the mean squared residual of the batch, (batch,)."""
    r2 = residual(raw, target) ** 2
    share = jnp.ones_like(r2) if weights is None else weights
    counted = jnp.where(share > 0, r2, 0) * share
    total = jnp.sum(share)
    error = jnp.sum(counted) / jnp.where(total > 0, total, 1)
    variance = jnp.maximum(error, jnp.exp(jnp.asarray(2 * LOG_LEAST, r2.dtype)))
    each = jnp.sum(share, axis=(1, 2, 3))
    own = jnp.sum(counted, axis=(1, 2, 3)) / jnp.where(each > 0, each, 1)
    value = own / (2 * variance) + (jnp.log(variance) + LOG_2PI) / 2
    return jnp.where(each > 0, value, 0)


def gaussian_pixel(raw: jax.Array, target: jax.Array) -> jax.Array:
    """Gaussian whose log standard deviation is the second block of raw."""
    return _gaussian(residual(raw[0], target), softly_above(raw[1], LOG_LEAST))


@Named
def _weighted(r: jax.Array, log_scale: jax.Array, beta: jax.Array) -> jax.Array:
    """_gaussian, its gradient times scale^(2 beta): the weight is held constant."""
    return _gaussian(r, log_scale)


@_weighted.defjvp
def _weighted_rule(primals: Any, tangents: Any) -> Any:
    r, log_scale, beta = primals
    held = beta * jax.lax.stop_gradient(log_scale)
    # Powers in one exp: the weight may overflow where its product with 1/scale^2 fits.
    pull = r * jnp.exp(-2 * (log_scale - held))
    spread = jnp.exp(2 * held) - r * pull
    return _weighted(*primals), pull * tangents[0] + spread * tangents[1]


def beta_nll(raw: jax.Array, target: jax.Array, *, beta: jax.Array) -> jax.Array:
    """gaussian_pixel, the gradient of each pixel times its variance^beta."""
    r, log_scale = residual(raw[0], target), softly_above(raw[1], LOG_LEAST)
    return _weighted(r, log_scale, beta)


def laplace_shared(
    raw: jax.Array, target: jax.Array, *, log_scale: jax.Array
) -> jax.Array:
    """Laplace law whose one scale is trained with the network."""
    scale = softly_above(log_scale, LOG_LEAST)
    return magnitude(residual(raw, target)) * jnp.exp(-scale) + scale + jnp.log(2.0)


def student_t(
    raw: jax.Array, target: jax.Array, *, nu: jax.Array, log_scale: jax.Array
) -> jax.Array:
    """Student-t law of nu degrees whose one scale is trained with the network."""
    scale = softly_above(log_scale, LOG_LEAST)
    x = residual(raw, target) * jnp.exp(-scale)
    return (nu + 1) / 2 * jnp.log1p(x * x / nu) + scale + _student_constant(nu)


# log Gamma(a + 1/2) - log Gamma(a) - log(a) / 2 in odd powers of 1/a: 1e-12 at a = 8.
_HALF_STEP = (-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432)
_SHIFT = 8


def _student_constant(nu: jax.Array) -> jax.Array:
    """lgamma(nu/2) - lgamma((nu + 1)/2) + log(nu pi)/2.

    Not from lgamma itself: at nu = 1000 both are 2600 and their difference is 3. By the
    recurrence of Gamma the difference is taken where its asymptotic series serves.
    """
    a = nu / 2
    far = a + _SHIFT
    series = horner(1 / far**2, _HALF_STEP) / far
    steps = sum(jnp.log1p(0.5 / (a + k)) for k in range(_SHIFT))
    return steps + jnp.log(nu / far * jnp.pi) / 2 - series


def _gaussian_floor(target: jax.Array, sigma: jax.Array) -> jax.Array:
    return jnp.zeros_like(target) + jnp.log(sigma) + LOG_2PI / 2


def _least_gaussian(target: jax.Array, **_: jax.Array) -> jax.Array:
    return jnp.full_like(target, LOG_LEAST + LOG_2PI / 2)


def _least_laplace(target: jax.Array) -> jax.Array:
    return jnp.full_like(target, LOG_LEAST + float(np.log(2)))


def _least_student(target: jax.Array, nu: jax.Array) -> jax.Array:
    return jnp.zeros_like(target) + LOG_LEAST + _student_constant(nu)


def _first(raw: jax.Array) -> jax.Array:
    return sigmoid(raw[0])


def _with_scale(mean: np.ndarray, **_: Any) -> np.ndarray:
    return np.stack([logit(mean), np.full_like(mean, _START)])


_KINGMA = (
    "Kingma, Welling, Auto-encoding variational Bayes, ICLR 2014, appendix C.2, with a "
    "sigmoid mean"
)
_RYBKIN = (
    "Rybkin, Daniilidis, Levine, Simple and effective VAE training with calibrated "
    "decoders, ICML 2021"
)

GAUSSIAN = row(
    "gaussian",
    gaussian,
    Parameter("sigma", 1.0, 1e-3, 100.0, "standard deviation in intensity"),
    least=_gaussian_floor,
    law="density",
    unit="nats",
    formula="(r/sigma)**2/2 + log(2*pi*sigma**2)/2",
    source=_KINGMA + " and a fixed scale.",
    claims=Claims(
        gradient="r*s/sigma**2",
        floor="log(2*pi*sigma**2)/2",
        elicits=MEAN,
        minimiser="y",
        curvature="(y*(1-y))**2/sigma**2",
        saturation="1",
        convex="False",
        domain=EVERYWHERE,
        use="mse in nats, so that sigma sets its weight against a prior term. Without "
        "one, sigma only rescales the learning rate.",
    ),
)
GAUSSIAN_SHARED = row(
    "gaussian_shared",
    gaussian_shared,
    least=_least_gaussian,
    law="density",
    unit="nats",
    formula="(r/scale)**2/2 + log(2*pi*scale**2)/2",
    source=_RYBKIN + ", the shared sigma; kept softly above half a grey level.",
    scalars={"log_scale": _START},
    claims=Claims(
        gradient="r*s/scale**2",
        floor="log(1/510) + log(2*pi)/2",
        elicits=MEAN,
        minimiser="y",
        curvature="(y*(1-y))**2/scale**2",
        saturation="1",
        convex="False",
        domain=EVERYWHERE,
        use="A VAE with squared error, where the weight against the prior is learnt "
        "and not guessed.",
    ),
)
GAUSSIAN_OPTIMAL = row(
    "gaussian_optimal",
    gaussian_optimal,
    least=_least_gaussian,
    law="density",
    unit="nats",
    formula="r**2/(2*v) + log(2*pi*v)/2, v the mean of r**2 over the batch",
    source=_RYBKIN
    + ", the optimal sigma; variance at least half a grey level squared.",
    whole=True,
    per_image=False,
    claims=Claims(
        gradient="r*s/maximum(r**2, 1/510**2)",
        floor="log(1/510) + log(2*pi)/2",
        elicits=MEAN,
        minimiser="y",
        curvature="(y*(1-y))**2*510**2",
        saturation="1",
        convex="False",
        domain=EVERYWHERE,
        use="As gaussian_shared, without a scalar to train. An image's score depends "
        "on its batch.",
    ),
)
GAUSSIAN_PIXEL = row(
    "gaussian_pixel",
    gaussian_pixel,
    link=_first,
    least=_least_gaussian,
    begin=_with_scale,
    channels=2,
    law="density",
    unit="nats",
    formula="(r/sigma)**2/2 + log(2*pi*sigma**2)/2, sigma a second block of raw",
    source="Nix, Weigend, Estimating the mean and variance of the target probability "
    "distribution, ICNN 1994; log scale kept softly above half a grey level.",
    claims=Claims(
        gradient="",
        floor="log(1/510) + log(2*pi)/2",
        elicits=MEAN,
        minimiser="y",
        curvature="",
        saturation="1",
        convex="",
        domain="second block above -80, whose square of exp fits float32",
        use="When some pixels can be predicted better than others and it should show; "
        "constant pixels take most of the likelihood.",
    ),
)
BETA_NLL = row(
    "beta_nll",
    beta_nll,
    Parameter("beta", 0.5, 0.0, 1.0, "exponent of the variance in a pixel's weight"),
    link=_first,
    least=_least_gaussian,
    begin=_with_scale,
    channels=2,
    law="density",
    own_gradient=True,
    unit="nats",
    formula="(r/sigma)**2/2 + log(2*pi*sigma**2)/2, its gradient times "
    "sigma**(2*beta), sigma a second block of raw",
    source="Seitzer, Tavakoli, Antic, Martius, On the pitfalls of heteroscedastic "
    "uncertainty estimation with probabilistic neural networks, ICLR 2022. The value "
    "is the likelihood itself, by which the source too stops and judges, and not its "
    "product with the weight; log scale kept softly above half a grey level.",
    claims=Claims(
        gradient="",
        floor="log(1/510) + log(2*pi)/2",
        elicits=MEAN,
        minimiser="y",
        curvature="",
        saturation="1",
        convex="",
        domain="second block above -80, whose square of exp fits float32",
        use="gaussian_pixel where badly fitted pixels should not be given up. Unless "
        "beta = 0 the gradient is not that of the value, nor of any function.",
    ),
)
LAPLACE_SHARED = row(
    "laplace_shared",
    laplace_shared,
    least=_least_laplace,
    law="density",
    unit="nats",
    formula="abs(r)/scale + log(2*scale)",
    source="Laplace's first law, with " + _RYBKIN + " for the shared scale.",
    scalars={"log_scale": _START},
    claims=Claims(
        gradient="sign(r)*s/scale",
        floor="log(2/510)",
        elicits=MEDIAN,
        minimiser="y",
        curvature="",
        saturation="1",
        convex="False",
        domain=EVERYWHERE,
        use="mae in nats with a learnt weight.",
    ),
)
STUDENT_T = row(
    "student_t",
    student_t,
    _DEGREES,
    least=_least_student,
    law="density",
    unit="nats",
    formula="(nu + 1)/2*log1p((r/scale)**2/nu) + log(scale) + lgamma(nu/2)"
    " - lgamma((nu + 1)/2) + log(nu*pi)/2",
    source="Lange, Little, Taylor, Robust statistical modeling using the t "
    "distribution, JASA 84, 1989; one trained scale kept softly above half a grey "
    "level.",
    scalars={"log_scale": _START},
    claims=Claims(
        gradient="(nu + 1)*r*s/(nu*scale**2 + r**2)",
        floor="log(1/510) + lgamma(nu/2) - lgamma((nu + 1)/2) + log(nu*pi)/2",
        elicits=f"{REDESCENDING} if nu*scale**2 < 1, else {LOCATION}",
        minimiser="y",
        curvature="(y*(1-y))**2*(nu + 1)/(nu*scale**2)",
        saturation="1",
        convex="False",
        domain=EVERYWHERE,
        use="Likelihood with outliers; large residuals pull less than middling ones.",
    ),
)
