"""Losses of the residual r = image - target, one value per pixel.

Each is a function of r alone, so that the same function serves the sigmoid link here
(r = sigmoid(z) - y) and the linear one (r = z - y) in lossjax.losses.linear.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lossjax.losses.checks import Parameter
from lossjax.losses.claims import (
    EVERYWHERE,
    LOCATION,
    MEAN,
    MEDIAN,
    MIDRANGE,
    REDESCENDING,
    Claims,
)
from lossjax.losses.links import magnitude, residual, with_derivative
from lossjax.losses.loss import row

_LOG_2 = 0.6931471805599453


def behind_sigmoid(of_residual: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Kernel of a loss on sigmoid(raw) - target."""

    def kernel(raw: jax.Array, target: jax.Array, **hyper: jax.Array) -> jax.Array:
        return of_residual(residual(raw, target), **hyper)

    return kernel


@with_derivative(lambda r: 2 * r)
def square(r: jax.Array) -> jax.Array:
    """r^2, without the half."""
    return r * r


def _clipped(r: jax.Array, delta: jax.Array) -> jax.Array:
    return jnp.clip(r, -delta, delta)


@with_derivative(_clipped)
def huber(r: jax.Array, delta: jax.Array) -> jax.Array:
    """r^2 / 2 up to delta, then delta (abs(r) - delta / 2)."""
    inner = _clipped(r, delta)
    return inner * (r - inner / 2)


@with_derivative(lambda r, scale: scale * jnp.tanh(r / scale))
def log_cosh(r: jax.Array, scale: jax.Array) -> jax.Array:
    """scale^2 log cosh(r / scale): r^2 / 2 near 0, scale abs(r) far away."""
    a = jnp.abs(r / scale)
    e = jnp.expm1(-a)
    near = a < 1
    # cosh a - 1 = e^2 / (2 (1 + e)) keeps small arguments, where the textbook form
    # a + log1p(exp(-2 a)) - log 2 loses every digit; the latter serves large ones.
    inside = jnp.where(near, e * e / (2 * jnp.where(near, 1 + e, 1)), (1 + e) ** 2)
    return scale * scale * (jnp.log1p(inside) + jnp.where(near, 0, a - _LOG_2))


def _unit_pull(r: jax.Array, epsilon: jax.Array) -> jax.Array:
    return r / jnp.sqrt(r * r + epsilon * epsilon)


@with_derivative(_unit_pull)
def charbonnier(r: jax.Array, epsilon: jax.Array) -> jax.Array:
    """sqrt(r^2 + epsilon^2) - epsilon."""
    # r^2 / (root + epsilon), not root - epsilon: the difference cancels at small r.
    return r * r / (jnp.sqrt(r * r + epsilon * epsilon) + epsilon)


def _barron_terms(
    r: jax.Array, alpha: jax.Array, scale: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    x2 = (r / scale) ** 2
    width = jnp.abs(alpha - 2)
    quadratic = width == 0
    return x2, jnp.where(quadratic, 1, width), quadratic


def _barron_slope(r: jax.Array, alpha: jax.Array, scale: jax.Array) -> jax.Array:
    x2, width, quadratic = _barron_terms(r, alpha, scale)
    damping = jnp.exp((alpha / 2 - 1) * jnp.log1p(x2 / width))
    return r / scale / scale * jnp.where(quadratic, 1, damping)


@with_derivative(_barron_slope)
def barron(r: jax.Array, alpha: jax.Array, scale: jax.Array) -> jax.Array:
    """The general robust loss of x = r / scale; a square at alpha = 2."""
    x2, width, quadratic = _barron_terms(r, alpha, scale)
    inner = jnp.log1p(x2 / width)
    cauchy = alpha == 0
    safe = jnp.where(cauchy, 1, alpha)
    # expm1(alpha inner / 2) / alpha is inner / 2 at alpha = 0; at 2 the limit is x^2/2.
    grown = jnp.where(cauchy, inner / 2, jnp.expm1(safe / 2 * inner) / safe)
    return jnp.where(quadratic, x2 / 2, width * grown)


MSE = row(
    "mse",
    behind_sigmoid(square),
    unit="intensity squared",
    formula="r**2",
    source="Rumelhart, Hinton, Williams, Learning representations by back-propagating "
    "errors, Nature 323, 1986; mean, without its half.",
    claims=Claims(
        gradient="2*r*s",
        floor="0",
        elicits=MEAN,
        minimiser="y",
        curvature="2*(y*(1-y))**2",
        saturation="1",
        convex="False",
        domain=EVERYWHERE,
        use="Noise of one size at every intensity. Its gradient fades where the "
        "sigmoid saturates, so black and white backgrounds are learned late.",
    ),
)
MAE = row(
    "mae",
    behind_sigmoid(magnitude),
    unit="intensity",
    formula="abs(r)",
    source="Zhao, Gallo, Frosio, Kautz, Loss functions for image restoration with "
    "neural networks, IEEE TCI 3(1), 2017, section III.B.",
    claims=Claims(
        gradient="sign(r)*s",
        floor="0",
        elicits=MEDIAN,
        minimiser="y",
        curvature="",
        saturation="1",
        convex="False",
        domain=EVERYWHERE,
        use="Targets with outliers. It aims at the median, so a pixel that is black "
        "more than half of the time becomes black.",
    ),
)
HUBER = row(
    "huber",
    behind_sigmoid(huber),
    Parameter("delta", 0.1, 1e-4, 10.0, "residual where the square ends"),
    unit="intensity squared",
    formula="where(abs(r) < delta, r**2/2, delta*(abs(r) - delta/2))",
    source="Huber, Robust estimation of a location parameter, Annals of Mathematical "
    "Statistics 35(1), 1964.",
    claims=Claims(
        gradient="clip(r, -delta, delta)*s",
        floor="0",
        elicits=f"{MEAN} if delta >= 1, else {LOCATION}",
        minimiser="y",
        curvature="(y*(1-y))**2",
        saturation="1",
        convex="False",
        domain=EVERYWHERE,
        use="Mostly Gaussian noise with some outliers; delta is the residual beyond "
        "which a pixel counts as one. delta >= 1 is half of mse.",
    ),
)
LOG_COSH = row(
    "log_cosh",
    behind_sigmoid(log_cosh),
    Parameter("scale", 1.0, 1e-3, 100.0, "residual where the square ends"),
    unit="intensity squared",
    formula="scale**2*(abs(r/scale) + log1p(exp(-2*abs(r/scale))) - log(2))",
    source="Chen, Chen, Lin, Liu, Ma, Log hyperbolic cosine loss improves variational "
    "auto-encoder, 2018; scale is 1/a there, squared in front so that the curvature "
    "at r = 0 is 1 for every scale.",
    claims=Claims(
        gradient="scale*tanh(r/scale)*s",
        floor="0",
        elicits=LOCATION,
        minimiser="y",
        curvature="(y*(1-y))**2",
        saturation="1",
        convex="False",
        domain=EVERYWHERE,
        use="A smooth huber. At its usual scale of 1 it is nearly half of mse, since "
        "residuals of images do not exceed 1: choose scale near the noise.",
    ),
)
CHARBONNIER = row(
    "charbonnier",
    behind_sigmoid(charbonnier),
    Parameter("epsilon", 1e-3, 1e-6, 10.0, "half-width of the quadratic region"),
    unit="intensity",
    formula="sqrt(r**2 + epsilon**2) - epsilon",
    source="Charbonnier, Blanc-Feraud, Aubert, Barlaud, Two deterministic "
    "half-quadratic regularization algorithms for computed imaging, ICIP 1994; "
    "shifted by epsilon so that a perfect reconstruction scores zero.",
    claims=Claims(
        gradient="r*s/sqrt(r**2 + epsilon**2)",
        floor="0",
        elicits=LOCATION,
        minimiser="y",
        curvature="(y*(1-y))**2/epsilon",
        saturation="1",
        convex="False",
        domain=EVERYWHERE,
        use="mae without its kink, as in super-resolution. Close to the median.",
    ),
)
BARRON = row(
    "barron",
    behind_sigmoid(barron),
    Parameter("alpha", 1.0, -1000.0, 4.0, "shape: 2 square, 1 charbonnier, 0 Cauchy"),
    Parameter("scale", 0.1, 1e-4, 100.0, "residual where the square ends"),
    unit="residual over scale, squared",
    formula="abs(alpha - 2)/alpha*(((r/scale)**2/abs(alpha - 2) + 1)**(alpha/2) - 1)",
    source="Barron, A general and adaptive robust loss function, CVPR 2019, equation "
    "8 with its limits at alpha = 0 and 2; without the partition term.",
    claims=Claims(
        gradient="r/scale**2*((r/scale)**2/abs(alpha - 2) + 1)**(alpha/2 - 1)*s",
        floor="0",
        elicits=f"{MEAN} if alpha == 2, else {MIDRANGE} if alpha > 2, else "
        f"{REDESCENDING} if scale**2*(2 - alpha) < 1 - alpha, else {LOCATION}",
        minimiser="y",
        curvature="(y*(1-y))**2/scale**2",
        saturation="1",
        convex="False",
        domain=EVERYWHERE,
        use="To ask how robust a loss should be: alpha runs from the mean (2) by the "
        "median (1) towards the mode (below 0).",
    ),
)
