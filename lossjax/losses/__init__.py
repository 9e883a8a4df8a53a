"""LOSSES, the one table of losses, in display order, and resolve."""

from __future__ import annotations

import functools
import types
from collections.abc import Mapping

from lossjax.losses import (
    bernoulli,
    bounded,
    divergences,
    likelihoods,
    linear,
    power,
    residuals,
    structural,
)
from lossjax.losses.loss import Loss
from lossjax.losses.naming import parse

LOSSES: Mapping[str, Loss] = types.MappingProxyType(
    {
        row.family: row
        for row in (
            bernoulli.BCE,
            bernoulli.EXCESS_BCE,
            residuals.MSE,
            residuals.MAE,
            residuals.HUBER,
            residuals.LOG_COSH,
            residuals.CHARBONNIER,
            residuals.BARRON,
            power.POWER,
            divergences.BRIER,
            divergences.POISSON,
            divergences.ITAKURA_SAITO,
            divergences.BETA_DIVERGENCE,
            divergences.FOCAL,
            divergences.GCE,
            linear.MSE_LINEAR,
            linear.MAE_LINEAR,
            linear.HUBER_LINEAR,
            likelihoods.GAUSSIAN,
            likelihoods.GAUSSIAN_SHARED,
            likelihoods.GAUSSIAN_OPTIMAL,
            likelihoods.GAUSSIAN_PIXEL,
            likelihoods.LAPLACE_SHARED,
            likelihoods.STUDENT_T,
            bernoulli.CONTINUOUS_BERNOULLI,
            bounded.BETA_DENSITY,
            bounded.DISCRETIZED_LOGISTIC,
            bounded.CATEGORICAL,
            structural.SSIM,
            structural.MS_SSIM,
            structural.MS_SSIM_L1,
        )
    }
)


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
