"""Losses whose gradient is cut: what of a loss makes the difference?

`mse[straight_through]` has the value of mse and another gradient in the raw output.
Cuts stand in the order in which they are applied, joined by +. Behind a sigmoid, with
p = sigmoid(z), bce has dL/dz = p - y and mse 2 (p - y) p (1 - p); that factor vanishes
where the output saturates, weighs grey pixels above black and white ones, and is small:
each cut takes one of the three away from mse or gives it to bce.
"""

from __future__ import annotations

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from lossjax.losses.links import residual, sigmoid, slope
from lossjax.losses.loss import Loss

WEIGHT_EDGE = 0.02  # of intensity: no pixel weighs less than this grey does
Cut = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def straight_through(gradient: jax.Array, z: jax.Array, y: jax.Array) -> jax.Array:
    """The sigmoid's derivative is taken as 1: mse then has 2 (p - y), twice bce's."""
    steep = slope(z)
    kept = steep > jnp.finfo(steep.dtype).tiny
    return jnp.where(kept, gradient / jnp.where(kept, steep, 1), 0)


def weight(y: jax.Array) -> jax.Array:
    """4 y (1 - y), y kept 0.02 from 0 and 1: what a right pixel's p (1 - p) is."""
    inside = jnp.clip(y, WEIGHT_EDGE, 1 - WEIGHT_EDGE)
    return 4 * inside * (1 - inside)


def weigh(gradient: jax.Array, z: jax.Array, y: jax.Array) -> jax.Array:
    """Grey pixels count more, by the target and not by the output: no saturation."""
    return gradient * weight(y)


def unweigh(gradient: jax.Array, z: jax.Array, y: jax.Array) -> jax.Array:
    """Every pixel counts the same where the output is right; saturation stays."""
    return gradient / weight(y)


def _norm(x: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(x * x))


def _as_long_as(reference: Cut, gradient: jax.Array, z: jax.Array, y: jax.Array) -> Any:
    own = _norm(gradient)
    return gradient * jnp.where(own > 0, _norm(reference(gradient, z, y)) / own, 0)


def bce_norm(gradient: jax.Array, z: jax.Array, y: jax.Array) -> jax.Array:
    """The batch's gradient in z gets the length that bce's has there."""
    return _as_long_as(lambda g, z, y: residual(z, y), gradient, z, y)


def mse_norm(gradient: jax.Array, z: jax.Array, y: jax.Array) -> jax.Array:
    """The batch's gradient in z gets the length that mse's has there."""
    return _as_long_as(lambda g, z, y: 2 * residual(z, y) * slope(z), gradient, z, y)


CUTS: Mapping[str, Cut] = types.MappingProxyType(
    {
        cut.__name__: cut
        for cut in (straight_through, weigh, unweigh, bce_norm, mse_norm)
    }
)


@functools.lru_cache(maxsize=256)
def operated(row: Loss, cuts: tuple[str, ...]) -> Loss:
    """The row with its value as it is and its gradient in raw output cut.

    Args:
      row: a row of LOSSES, with a sigmoid link, one block and no trained scalar.
      cuts: keys of CUTS, in the order in which they are applied.

    Raises:
      ValueError: the row cannot be cut.
    """
    if row.link is not sigmoid or row.channels > 1 or row.whole or row.scalars:
        raise ValueError(
            f"{row.family} cannot be cut: cuts are for losses of single pixels behind "
            "a sigmoid without a trained scalar"
        )
    kernel = row.kernel

    def cut(raw: jax.Array, target: jax.Array, **hyper: jax.Array) -> jax.Array:
        z = jax.lax.stop_gradient(raw)
        gradient = jax.grad(lambda z: jnp.sum(kernel(z, target, **hyper)))(z)
        for name in cuts:
            gradient = CUTS[name](gradient, z, target)
        # Adds 0, and has the gradient that was made.
        return kernel(z, target, **hyper) + gradient * (raw - z)

    return dataclasses.replace(
        row,
        family=f"{row.family}[{'+'.join(cuts)}]",
        kernel=cut,
        own_gradient=True,
        per_image=row.per_image and not {"bce_norm", "mse_norm"} & set(cuts),
    )
