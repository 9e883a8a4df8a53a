"""Scores trained replicas by every metric, whatever loss they were trained with."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lossjax.loss import Loss
from lossjax.metrics import METRICS
from lossjax.models import Network
from lossjax.objective import pictured, probe_key, seen
from lossjax.replicas import Layout, as_intensity, spread
from lossjax.training import unravelling


class Scorer:
    """Scores replicas by every metric, whatever loss they were trained with.

    One program serves all losses whose raw output has the same channels; their links
    are the branches of a switch.
    """

    def __init__(
        self, network: Network, losses: list[Loss], layout: Layout, mesh: Mesh
    ) -> None:
        links = {loss.link: loss for loss in reversed(losses)}
        self._links = tuple(links)
        score = functools.partial(_score, network, tuple(links.values()))
        self._score = spread(_if_active(score), mesh, layout, shared=3)
        code = functools.partial(_code, network)
        self._code = spread(_if_active(code), mesh, layout, shared=1)

    def codes(
        self, weights: jax.Array, active: np.ndarray, images_u8: jax.Array
    ) -> jax.Array:
        """Codes (slots, block, latent_dim) of clean images; see `scores`."""
        return self._code(weights, active, images_u8)

    def scores(
        self,
        weights: jax.Array,
        active: np.ndarray,
        loss: Loss,
        images_u8: jax.Array,
        block: int = 0,
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Metrics {name: (slots, block)} and uint8 read-outs of a block.

        A denoising model is given corrupted images and judged against the clean ones.

        Args:
          weights: State.weights of `Program`.
          active: Replica.active; an idle slot costs nothing and scores 0.
          loss: any loss whose link was given at construction.
          images_u8: uint8 (block, height, width, channels).
          block: its place in the split, which fixes the noise.
        """
        which = np.int32(self._links.index(loss.link))
        return self._score(weights, active, which, images_u8, np.int32(block))


def _if_active(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` for an active replica, zeros of the same shapes for an idle slot."""

    def either(weights: jax.Array, active: jax.Array, *shared: jax.Array) -> Any:
        shapes = jax.eval_shape(function, weights, *shared)
        return jax.lax.cond(
            active,
            lambda: function(weights, *shared),
            lambda: jax.tree.map(
                lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes
            ),
        )

    return either


def _score(
    network: Network,
    losses: tuple[Loss, ...],
    weights: jax.Array,
    which: jax.Array,
    images_u8: jax.Array,
    block: jax.Array,
) -> tuple[Mapping[str, jax.Array], jax.Array]:
    """Every metric of one replica's read-outs of one block."""
    images = pictured(network, as_intensity(images_u8))
    size, unravel = unravelling(network)
    given = seen(network, probe_key(block), images)
    raw = network.apply(unravel(weights[:size]), given).raw
    image = jax.lax.switch(which, [loss.read_out for loss in losses], raw)
    scores = {name: metric.fn(image, images) for name, metric in METRICS.items()}
    return scores, jnp.round(image * 255).astype(jnp.uint8)


def _code(network: Network, weights: jax.Array, images_u8: jax.Array) -> jax.Array:
    size, unravel = unravelling(network)
    images = pictured(network, as_intensity(images_u8))
    return network.apply(unravel(weights[:size]), images).code
