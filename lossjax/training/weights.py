"""A replica's trained numbers as one vector: the network's, then the loss's scalars."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from lossjax.losses.loss import Loss
from lossjax.losses.one_of import OneOf
from lossjax.models.network import Network


def size_of(network: Network) -> int:
    """How many parameters a network has."""
    return _form(network)[0]


def parameters_of(network: Network, weights: jax.Array) -> Any:
    """The network's parameters in their shapes."""
    size, unravel = _form(network)
    return unravel(weights[:size])


def scalars_of(
    network: Network, loss: Loss | OneOf, weights: jax.Array
) -> dict[str, jax.Array]:
    """The loss's trained scalars, which follow the network's parameters.

    Where losses share a program, one that has fewer than another leaves the last ones.
    """
    tail = weights[size_of(network) :]
    return dict(zip(sorted(loss.scalars), tail, strict=False))


@functools.lru_cache(maxsize=32)
def _form(network: Network) -> tuple[int, Callable[[jax.Array], Any]]:
    key, start = jax.random.key(0), jnp.zeros(network.outputs)
    parameters = jax.eval_shape(network.init, key, start)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), parameters)
    flat, unravel = ravel_pytree(zeros)
    return flat.size, unravel
