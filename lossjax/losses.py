"""LOSSES, the one table of losses, in display order, and resolve."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lossjax import bernoulli, power, residuals, structural
from lossjax.links import clip01, sigmoid
from lossjax.loss import Loss, Parameter, parse


def _zero(target: jax.Array, **_: jax.Array) -> jax.Array:
    return jnp.zeros_like(target)


def _entropy(target: jax.Array) -> jax.Array:
    return bernoulli.entropy(target)


def _continuous_floor(target: jax.Array) -> jax.Array:
    inside = (target > 0) & (target < 1)
    y = jnp.where(inside, target, 0.5)
    logit = jax.lax.stop_gradient(bernoulli.logit_of_mean(y))
    return jnp.where(inside, bernoulli.continuous_bernoulli(logit, y), -jnp.inf)


def _logit(mean: np.ndarray, **_: Any) -> np.ndarray:
    return np.log(mean) - np.log1p(-mean)


def _same(mean: np.ndarray, **_: Any) -> np.ndarray:
    return mean


def _continuous_logit(mean: np.ndarray) -> np.ndarray:
    return bernoulli.continuous_logit(mean)


def _row(
    family: str,
    kernel: Callable[..., jax.Array],
    *parameters: Parameter,
    link: Callable[[jax.Array], jax.Array] = sigmoid,
    least: Callable[..., jax.Array] = _zero,
    begin: Callable[..., np.ndarray] = _logit,
    **fields: Any,
) -> Loss:
    """A row: sigmoid link and floor 0 unless said otherwise; hyper from defaults."""
    hyper = {p.name: p.default for p in parameters}
    return Loss(
        family,
        kernel,
        link,
        least,
        begin,
        parameters=parameters,
        hyper=hyper,
        **fields,
    )


_ROWS = (
    _row(
        "bce",
        bernoulli.bce,
        least=_entropy,
        unit="nats",
        formula="softplus(z) - y z",
        source="Vincent, Larochelle, Lajoie, Bengio, Manzagol, Stacked denoising "
        "autoencoders, JMLR 11 2010, section 2.2.",
    ),
    _row(
        "mse",
        residuals.behind_sigmoid(residuals.square),
        unit="intensity squared",
        formula="(p - y)^2",
        source="Rumelhart, Hinton, Williams, Learning representations by "
        "back-propagating errors, Nature 323 1986; without its half.",
    ),
    _row(
        "mae",
        residuals.behind_sigmoid(residuals.absolute),
        unit="intensity",
        formula="abs(p - y)",
        source="Zhao, Gallo, Frosio, Kautz, Loss functions for image restoration with "
        "neural networks, IEEE TCI 3(1) 2017, section III.B.",
    ),
    _row(
        "huber",
        residuals.behind_sigmoid(residuals.huber),
        Parameter("delta", 0.1, 1e-4, 10.0, "residual where the square ends"),
        unit="intensity squared",
        formula="r^2 / 2 up to delta, then delta (abs(r) - delta / 2)",
        source="Huber, Robust estimation of a location parameter, "
        "Annals of Mathematical Statistics 35(1) 1964.",
    ),
    _row(
        "log_cosh",
        residuals.behind_sigmoid(residuals.log_cosh),
        Parameter("scale", 1.0, 1e-3, 100.0, "residual where the square ends"),
        unit="intensity squared",
        formula="scale^2 log cosh(r / scale)",
        source="Chen, Chen, Lin, Liu, Ma, Log hyperbolic cosine loss improves "
        "variational auto-encoder, 2018; scale is the inverse of its a, squared in "
        "front so that the curvature at 0 is 1 for every scale.",
    ),
    _row(
        "charbonnier",
        residuals.behind_sigmoid(residuals.charbonnier),
        Parameter("epsilon", 1e-3, 1e-6, 10.0, "half-width of the quadratic region"),
        unit="intensity",
        formula="sqrt(r^2 + epsilon^2) - epsilon",
        source="Charbonnier, Blanc-Feraud, Aubert, Barlaud, Two deterministic "
        "half-quadratic regularization algorithms, ICIP 1994; shifted by epsilon so "
        "that a perfect reconstruction scores zero.",
    ),
    _row(
        "mse_linear",
        residuals.linear(residuals.square),
        link=clip01,
        begin=_same,
        unit="intensity squared",
        formula="(z - y)^2",
        source="Bourlard, Kamp, Auto-association by multilayer perceptrons and "
        "singular value decomposition, Biological Cybernetics 59 1988.",
    ),
    _row(
        "power",
        power.kernel,
        Parameter("g", 0.5, -0.75, 3.0, "exponent of p (1 - p) in the gradient"),
        unit="nats at g = 0, intensity squared at g = 1",
        formula="integral from y to p of (t - y) [t (1 - t)]^(g - 1) dt",
        source="Buja, Stuetzle, Shen, Loss functions for binary class probability "
        "estimation and classification, 2005, the symmetric beta family a = b = g.",
    ),
    _row(
        "continuous_bernoulli",
        bernoulli.continuous_bernoulli,
        link=bernoulli.continuous_mean,
        least=_continuous_floor,
        begin=_continuous_logit,
        unit="nats",
        formula="(1/2 - y) z + log(sinh(z/2) / (z/2))",
        source="Loaiza-Ganem, Cunningham, The continuous Bernoulli: fixing a pervasive "
        "error in variational autoencoders, NeurIPS 2019, equation 3 in the logit; "
        "the read-out is the mean, equation 8.",
    ),
    _row(
        "ssim",
        structural.ssim_loss,
        unit="1 - index",
        formula="1 - mean over windows of the structural similarity",
        source="Wang, Bovik, Sheikh, Simoncelli, Image quality assessment: from error "
        "visibility to structural similarity, IEEE TIP 13(4) 2004; window rule below "
        "20 pixels in lossjax.structural.",
        whole=True,
        tile_invariant=False,
    ),
)

LOSSES: Mapping[str, Loss] = types.MappingProxyType({row.family: row for row in _ROWS})


@functools.lru_cache(maxsize=4096)
def resolve(text: str) -> Loss:
    """The loss that `name` or `name(keyword=number, ...)` describes.

    Args:
      text: for example "bce" or "huber(delta=0.05)"; arguments are plain numbers.

    Raises:
      ValueError: unknown name or argument, a value out of its range, or anything that
        is not of that form; one line with the valid names and the nearest one.

    >>> resolve("huber(delta=0.1)").name
    'huber'
    >>> resolve("power(g=-0.25)").name
    'power(g=-0.25)'
    """
    return parse(text, LOSSES)
