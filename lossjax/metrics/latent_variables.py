"""LATENT_METRICS: yardsticks that only a variational model has.

What cannot be compared between losses (a bound in each loss's own unit) or has no good
direction (how much the code says) is measured and not ranked: its direction is "none".
"""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from lossjax.metrics.images import Margin, Yardstick

IW_SAMPLES = 32  # draws of the importance-weighted bound
ACTIVE = 0.01  # variance of a unit's mean over images from which it counts
_LAWS = ("density", "levels", "binary")


class Terms(NamedTuple):
    """What is measured of each image, float32 (batch,) but for `mean`.

    One draw of the code serves all but `bound`. Totals over an image are in nats.

    Attributes:
      value: the loss summed over pixels, on the pixels it trains on.
      density: the same on dequantised pixels.
      continuous: minus the log-density of the continuous Bernoulli law whose logit is
        raw, of dequantised pixels; nan where raw is not one logit a channel.
      matched: the same of the law whose *mean* is the read-out.
      divergence: KL of the code's law from the prior, summed over its units.
      bound: minus the importance-weighted bound on the log-likelihood; nan without
        samples.
      error: mean squared difference of the read-out and the dequantised pixels.
      slope, pull: squared length of the slope of half the squared error in raw, and
        its product with the slope of the loss: their ratio is the variance of the
        Gaussian that would pull at the residual as the loss does.
      mean: (batch, latent_dim), mean of the code.
    """

    value: Any
    density: Any
    continuous: Any
    matched: Any
    divergence: Any
    bound: Any
    error: Any
    slope: Any
    pull: Any
    mean: Any


@dataclasses.dataclass(frozen=True)
class Facts:
    """What the terms of a split come from.

    Attributes:
      law: Loss.law.
      stretch: Loss.stretch.
      beta: weight of KL in training.
      dimension: pixels times channels that count of an image, (images,) where they
        differ.
      noise: (slots,) root mean squared difference of read-outs and dequantised
        *validation* images, codes drawn: the one scale of a calibrated Gaussian.
      warped: pixels are no grey levels: the model warps them.
      levels: of how many a pixel has one; 0: it is any number, and takes no bits.
    """

    law: str
    stretch: float
    beta: float
    dimension: int | np.ndarray
    noise: np.ndarray
    warped: bool = False
    levels: int = 256


@dataclasses.dataclass(frozen=True)
class LatentMetric(Yardstick):
    """`fn(terms, facts) -> (slots, images) or (slots,)`, float64, nan where undefined.

    Terms hold numpy arrays with one row a slot. `direction` is "lower", "higher" or
    "none"; `partial`: only some losses have it, so that it is no part of a regret.
    """

    name: str
    fn: Callable[[Terms, Facts], np.ndarray]
    direction: str
    unit: str
    margin: Margin
    note: str = ""
    partial: bool = False


def elbo(terms: Terms, facts: Facts) -> np.ndarray:
    """Evidence lower bound in nats per image, for losses that are likelihoods."""
    return _if_law(facts, -(_wide(terms.value) + _wide(terms.divergence)))


def elbo_cb(terms: Terms, facts: Facts) -> np.ndarray:
    """The bound where the decoder's logit is that of a continuous Bernoulli law."""
    return -(_wide(terms.continuous) + _wide(terms.divergence))


def elbo_cb_mean(terms: Terms, facts: Facts) -> np.ndarray:
    """The bound where the read-out is the mean of a continuous Bernoulli law."""
    return -(_wide(terms.matched) + _wide(terms.divergence))


def bound(terms: Terms, facts: Facts) -> np.ndarray:
    """Importance-weighted bound in nats per image, for the same losses."""
    return _if_law(facts, -_wide(terms.bound))


def kl(terms: Terms, facts: Facts) -> np.ndarray:
    """Divergence of the code's law from the prior, nats per image."""
    return _wide(terms.divergence)


def active_units(terms: Terms, facts: Facts) -> np.ndarray:
    """Units whose mean moves with the image: variance over images above 0.01."""
    spread = _wide(terms.mean).var(axis=1)
    count = np.count_nonzero(spread > ACTIVE, axis=1).astype(float)
    return np.where(np.isfinite(spread).all(axis=1), count, np.nan)


def implied_sigma(terms: Terms, facts: Facts) -> np.ndarray:
    """Scale of the Gaussian decoder that would weigh residuals as the loss does.

    sqrt(beta / (2 c)) for c times the squared error summed over pixels; for any other
    loss c is its pull along the residuals of these images.
    """
    pull = _wide(terms.pull).sum(axis=1)
    ratio = _wide(terms.slope).sum(axis=1) / np.where(pull > 0, pull, np.nan)
    return np.sqrt(facts.beta * ratio)


def bits_per_dim(terms: Terms, facts: Facts) -> np.ndarray:
    """Bits that a pixel of 256 grey levels takes under the loss's own likelihood."""
    if facts.warped or not facts.levels:
        return np.full_like(_wide(terms.value), np.nan)
    if facts.law == "levels":
        nats = _wide(terms.value) + _wide(terms.divergence)
        return nats / facts.dimension / math.log(2)
    nats = (_wide(terms.density) + _wide(terms.divergence)) / facts.dimension
    bits = (nats - math.log(facts.stretch)) / math.log(2) + math.log2(facts.levels)
    return bits if facts.law == "density" else np.full_like(bits, np.nan)


def bits_gaussian(terms: Terms, facts: Facts) -> np.ndarray:
    """The same under a Gaussian around the read-out, its one scale set afterwards."""
    if facts.warped or not facts.levels:
        return np.full_like(_wide(terms.error), np.nan)
    variance = facts.noise[:, None] ** 2
    nats = _wide(terms.error) / (2 * variance) + np.log(2 * np.pi * variance) / 2
    nats = nats + _wide(terms.divergence) / facts.dimension
    return nats / math.log(2) + math.log2(facts.levels)


def _wide(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, np.float64)


def _if_law(facts: Facts, values: np.ndarray) -> np.ndarray:
    return values if facts.law in _LAWS else np.full_like(values, np.nan)


_UNRANKED = Margin(0.0, relative=False)
_HUNDREDTH = Margin(0.01, relative=False)
LATENT_METRICS: Mapping[str, LatentMetric] = types.MappingProxyType(
    {
        metric.name: metric
        for metric in (
            LatentMetric(
                "bits_gaussian",
                bits_gaussian,
                "lower",
                "bits/dim",
                _HUNDREDTH,
                "on dequantised pixels, of a Gaussian around the read-out whose one "
                "scale is the best on validation images",
            ),
            LatentMetric(
                "bits_per_dim",
                bits_per_dim,
                "lower",
                "bits/dim",
                _HUNDREDTH,
                "of the loss's own likelihood; densities on dequantised pixels",
                partial=True,
            ),
            LatentMetric(
                "elbo",
                elbo,
                "none",
                "nats/image",
                _UNRANKED,
                "of likelihoods, each of its own kind of pixel",
            ),
            LatentMetric(
                "iw_bound",
                bound,
                "none",
                "nats/image",
                _UNRANKED,
                f"as elbo, importance-weighted with {IW_SAMPLES} draws; test images",
            ),
            LatentMetric(
                "elbo_cb",
                elbo_cb,
                "none",
                "nats/image",
                _UNRANKED,
                "of the continuous Bernoulli law whose logit is raw output, on "
                "dequantised pixels; of losses behind a sigmoid, and of that law's own",
                partial=True,
            ),
            LatentMetric(
                "elbo_cb_mean",
                elbo_cb_mean,
                "none",
                "nats/image",
                _UNRANKED,
                "as elbo_cb, of the law whose mean is the read-out",
                partial=True,
            ),
            LatentMetric("kl", kl, "none", "nats/image", _UNRANKED),
            LatentMetric(
                "active_units",
                active_units,
                "none",
                "units",
                _UNRANKED,
                f"of the code, whose mean varies by more than {ACTIVE} over images",
            ),
            LatentMetric(
                "implied_sigma",
                implied_sigma,
                "none",
                "intensity",
                _UNRANKED,
                "scale of the Gaussian decoder that would pull at the residuals as "
                "the loss does; sqrt(beta / (2 c)) for c times the squared error",
            ),
        )
    }
)
