"""A replica's trained numbers as one vector: the network's, then the loss's scalars."""

import functools
from collections.abc import Callable, Mapping
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


def named(network: Network, loss: Loss, weights: np.ndarray) -> dict[str, np.ndarray]:
    """Every number of a run by its path; the loss's trained scalars below `loss/`."""
    flat = jnp.asarray(weights)
    leaves, _ = jax.tree_util.tree_flatten_with_path(parameters_of(network, flat))
    found = {_path(path): np.asarray(leaf) for path, leaf in leaves}
    scalars = scalars_of(network, loss, flat)
    return found | {f"loss/{name}": np.asarray(one) for name, one in scalars.items()}


def unnamed(network: Network, arrays: Mapping[str, np.ndarray]) -> Any:
    """The network's parameters among what `named` gave.

    Raises:
      ValueError: one is missing, or of another shape.
    """
    form = parameters_of(network, jnp.zeros(size_of(network)))
    leaves, tree = jax.tree_util.tree_flatten_with_path(form)
    for path, leaf in leaves:
        held = arrays.get(_path(path))
        if held is None or held.shape != leaf.shape or held.dtype != leaf.dtype:
            shown = "missing" if held is None else f"{held.dtype} {held.shape}"
            raise ValueError(f"{_path(path)} is {shown}, not {leaf.dtype} {leaf.shape}")
    return jax.tree.unflatten(tree, [arrays[_path(path)] for path, _ in leaves])


def _path(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


@functools.lru_cache(maxsize=32)
def _form(network: Network) -> tuple[int, Callable[[jax.Array], Any]]:
    key, start = jax.random.key(0), jnp.zeros(network.outputs)
    parameters = jax.eval_shape(network.init, key, start)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), parameters)
    flat, unravel = ravel_pytree(zeros)
    return flat.size, unravel
