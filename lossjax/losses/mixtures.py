"""A weighted sum of two losses: `mix(mae, ssim, weight=0.2)` is 0.2 mae + 0.8 ssim.

Both are added as their cards state them, means over pixels, without any rescaling: the
weight is of their values, so that a loss whose values are ten times as large pulls ten
times as hard. They see one raw output, so that both must read out the same image of it.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.losses.checks import Parameter
from lossjax.losses.claims import UNSTATED
from lossjax.losses.loss import Loss, image_mean, row
from lossjax.syntax import MIX

WEIGHT = Parameter(
    "weight",
    0.5,
    0.001,
    0.999,
    "share of the first loss, the second has the rest; at 0 or 1 name one loss alone",
)

_SCALE = "The weight is of values, which are added as they are, without rescaling."
_ADDS = (
    "Both are lowest at the target, so the floor is the weighted sum of their floors."
)
_DIFFERS = (
    "Its floor is not defined: not both are lowest where the output is the target."
)


def mixed(first: Loss, second: Loss) -> Loss:
    """weight * first + (1 - weight) * second, at equal shares.

    Args:
      first: a row of LOSSES with its hyperparameters, which are part of the family: of
        a mix the weight alone is traced.
      second: likewise.

    Raises:
      ValueError: they cannot be trained together; one line.
    """
    name = f"{MIX}({first.name}, {second.name})"
    if first.name == second.name:
        raise ValueError(f"{name}: mixes a loss with itself; it is {first.name}")
    for one in (first, second):
        if one.scalars:
            raise ValueError(
                f"{name}: {one.name} has a scale that is trained with the network; a "
                "mix is of losses without one"
            )
    if first.link is not second.link or first.channels != second.channels:
        raise ValueError(
            f"{name}: {first.name} and {second.name} do not share an output layer: "
            "one raw output would be two images; see ./run.sh losses NAME"
        )
    return _made(_Key(first), _Key(second))


class _Key:
    """A loss by its name, so that losses of one name give the same program."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and self.loss.name == other.loss.name

    def __hash__(self) -> int:
        return hash(self.loss.name)


@functools.lru_cache(maxsize=256)
def _made(one: _Key, other: _Key) -> Loss:
    pair = first, second = one.loss, other.loss
    whole = first.whole or second.whole
    units = dict.fromkeys((first.unit, second.unit))
    # The lowest points add up only where one raw output is that of both.
    additive = all(each.claims.minimiser == "y" for each in pair)
    made = row(
        f"{MIX}({first.name}, {second.name})",
        _of_images(first, second) if whole else _of_pixels(first, second),
        WEIGHT,
        link=first.link,
        least=_least(first, second) if additive else _undefined,
        begin=lambda mean, **_: _start(first, mean),
        unit=" and ".join(units) + ("" if len(units) == 1 else ", mixed"),
        formula=f"weight*{first.name} + (1 - weight)*{second.name}",
        source=f"a weighted sum; see the cards of {first.family} and {second.family}",
        claims=dataclasses.replace(
            UNSTATED,
            domain="where both losses have theirs",
            use=f"{_SCALE} {_ADDS if additive else _DIFFERS}",
        ),
        channels=first.channels,
        whole=whole,
        own_gradient=any(each.own_gradient for each in pair),
        smallest=max(each.smallest for each in pair),
    )
    return dataclasses.replace(
        made,
        per_image=all(each.per_image for each in pair),
        tile_invariant=all(each.tile_invariant for each in pair),
    )


def _own(loss: Loss, dtype: Any) -> dict[str, jax.Array]:
    return {name: jnp.asarray(value, dtype) for name, value in loss.hyper.items()}


def _sum(weight: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    return weight * first + (1 - weight) * second


def _of_pixels(first: Loss, second: Loss) -> Callable[..., jax.Array]:
    """A kernel of single pixels."""

    def kernel(raw: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
        values = (x.kernel(raw, target, **_own(x, raw.dtype)) for x in (first, second))
        return _sum(weight, *values)

    return kernel


def _of_images(first: Loss, second: Loss) -> Callable[..., jax.Array]:
    """A kernel of whole images, for losses one of which is none of single pixels."""

    def value(
        loss: Loss, raw: jax.Array, target: jax.Array, weights: jax.Array | None
    ) -> jax.Array:
        own = _own(loss, raw.dtype)
        if loss.whole:
            return loss.kernel(raw, target, weights=weights, **own)
        return image_mean(loss.kernel(raw, target, **own), weights)

    def kernel(
        raw: jax.Array,
        target: jax.Array,
        weight: jax.Array,
        weights: jax.Array | None = None,
    ) -> jax.Array:
        values = (value(each, raw, target, weights) for each in (first, second))
        return _sum(weight, *values)

    return kernel


def _least(first: Loss, second: Loss) -> Callable[..., jax.Array]:
    def least(target: jax.Array, weight: jax.Array) -> jax.Array:
        values = (x.least(target, **_own(x, target.dtype)) for x in (first, second))
        return _sum(weight, *values)

    return least


def _undefined(target: jax.Array, **_: jax.Array) -> jax.Array:
    return jnp.full_like(target, jnp.nan)


def _start(loss: Loss, mean: np.ndarray) -> np.ndarray:
    hyper = {name: np.asarray(value) for name, value in loss.hyper.items()}
    return loss.begin(mean, **hyper)
