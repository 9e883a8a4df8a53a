"""LOSSES, the one table of losses, in display order, and resolve."""

from __future__ import annotations

import copyreg
import dataclasses
import functools
import types
from collections.abc import Mapping
from typing import Any

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
from lossjax.own_code import place_of

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
            likelihoods.BETA_NLL,
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


def resolve(text: str) -> Loss:
    """The loss that `name` or `name(keyword=number, ...)` describes.

    Args:
      text: for example "bce" or "huber(delta=0.05)"; arguments are plain numbers. Also
        "my_file.py:my_loss(tau=0.7)", a function of your own, whose file is run.

    Raises:
      TypeError: not a string.
      ValueError: unknown name or argument, a value out of its range, or anything that
        is not of that form; one line with the valid names and the nearest one.

    >>> resolve("huber(delta=0.1)").name
    'huber'
    >>> resolve("power(g=-0.25)").name
    'power(g=-0.25)'
    """
    if not isinstance(text, str):
        raise TypeError(
            f"resolve: a loss is named by a string such as 'huber(delta=0.05)', got "
            f"{type(text).__name__}"
        )
    # What a file says may change while a program runs.
    return _resolved(text) if place_of(text) is None else parse(text, LOSSES)


@functools.lru_cache(maxsize=4096)
def _resolved(text: str) -> Loss:
    return parse(text, LOSSES)


_VALUES = ("hyper", "scalars")


def _reduced(loss: Loss) -> Any:
    """Pickles and copies a row of the table by its name: its kernel is no data."""
    row = _row(loss.family)
    same = row is not None and all(
        getattr(row, field.name) == getattr(loss, field.name)
        for field in dataclasses.fields(Loss)
        if field.name not in _VALUES
    )
    if same:
        return restored, (loss.family, *(getattr(loss, name) for name in _VALUES))
    return object.__reduce_ex__(loss, 2)


def _row(family: str) -> Loss | None:
    try:
        return resolve(family)
    except ValueError:
        return None


def restored(family: str, hyper: dict[str, Any], scalars: dict[str, Any]) -> Loss:
    """What a pickled Loss is made from: the row of this version with these values."""
    return dataclasses.replace(resolve(family), hyper=hyper, scalars=scalars)


copyreg.pickle(Loss, _reduced)
