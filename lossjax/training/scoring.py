"""Scores trained replicas by every metric, whatever loss they were trained with."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lossjax.losses.loss import Loss
from lossjax.metrics.images import METRICS
from lossjax.models.network import Network
from lossjax.training.memory import peak_bytes
from lossjax.training.objective import network_input, network_target, probe_key
from lossjax.training.replicas import Layout, as_intensity, spread
from lossjax.training.weights import parameters_of, size_of


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
        self._network, self._mesh = network, mesh
        self._one = score = functools.partial(_score, network, tuple(links.values()))
        self._score = spread(score, mesh, layout, shared=2, idle=True)
        code = functools.partial(_code, network)
        self._code = spread(code, mesh, layout, shared=1, idle=True)

    def replica_bytes(self, images_u8: Any) -> int:
        """What one replica needs while a block is scored, as `peak_bytes` counts.

        Args:
          images_u8: the block, or its shape.
        """
        weights = jax.ShapeDtypeStruct((size_of(self._network),), jnp.float32)
        which = jax.ShapeDtypeStruct((), jnp.int32)
        backend = self._mesh.devices.flat[0].platform
        return peak_bytes(self._one, weights, which, images_u8, which, backend=backend)

    @property
    def coded(self) -> bool:
        """Whether the network has a code; a module of the user's own may have none."""
        return self._network.latent_dim > 0

    def codes(
        self, weights: jax.Array, active: np.ndarray, images_u8: jax.Array
    ) -> jax.Array:
        """Codes (slots, block, latent_dim) of clean images; see `scores`."""
        return self._code(active, weights, images_u8)

    def scores(
        self,
        weights: jax.Array,
        active: np.ndarray,
        losses: Sequence[Loss],
        images_u8: jax.Array,
        block: int = 0,
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Metrics {name: (slots, block)} and uint8 read-outs of a block.

        A denoising model is given corrupted images and judged against the clean ones.

        Args:
          weights: State.weights of `Program`.
          active: Replica.active; what an idle slot scores says nothing.
          losses: of every slot; any whose link was given at construction.
          images_u8: (block, height, width, channels), as `Pixels.kept` says.
          block: its place in the split, which fixes the noise.
        """
        which = np.array([self._links.index(loss.link) for loss in losses], np.int32)
        return self._score(active, weights, which, images_u8, np.int32(block))


def _score(
    network: Network,
    losses: tuple[Loss, ...],
    weights: jax.Array,
    which: jax.Array,
    images_u8: jax.Array,
    block: jax.Array,
) -> tuple[Mapping[str, jax.Array], jax.Array]:
    """Every metric of one replica's read-outs of one block."""
    pixels = as_intensity(images_u8)
    images, counted = network_target(network, pixels), network.pixels.counted(pixels)
    given = network_input(network, probe_key(block), images)
    raw = network.apply(parameters_of(network, weights), given).raw
    image = jax.lax.switch(which, [loss.read_out for loss in losses], raw)
    scores = {
        name: metric.fn(image, images, weights=counted)
        for name, metric in METRICS.items()
    }
    return scores, jnp.round(image * 255).astype(jnp.uint8)


def _code(network: Network, weights: jax.Array, images_u8: jax.Array) -> jax.Array:
    images = network_target(network, as_intensity(images_u8))
    given = network.pixels.filled(images)
    return network.apply(parameters_of(network, weights), given).code
