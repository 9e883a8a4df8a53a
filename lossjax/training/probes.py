"""How a replica does on validation images, between steps of its training."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lossjax.losses.loss import Loss
from lossjax.losses.one_of import OneOf
from lossjax.metrics.images import METRICS
from lossjax.models.network import Network
from lossjax.training.objective import (
    network_input,
    network_target,
    objective,
    probe_key,
)
from lossjax.training.replicas import Blocks, as_intensity
from lossjax.training.weights import parameters_of, scalars_of

PROBE_BLOCKS = 2  # blocks of the validation split that a learning curve looks at


class Progress(NamedTuple):
    """How a replica does on validation images, one number each, float32.

    The probe is the first blocks of the validation split, the same at every look;
    `validation_loss` is over as much of the split as was asked for. Losses are in the
    loss's own unit; what was not asked for is nan.
    """

    probe_loss: Any
    probe_mse: Any
    validation_loss: Any


def progress_of(
    network: Network,
    loss: Loss | OneOf,
    weights: jax.Array,
    validation: Blocks,
    blocks: jax.Array,
) -> Progress:
    """Mean loss and mse over the probe blocks, mean loss over the first `blocks`."""
    images_u8, shares = validation
    parameters = parameters_of(network, weights)
    scalars = scalars_of(network, loss, weights)
    probe = min(PROBE_BLOCKS, images_u8.shape[0])

    def block(index: jax.Array, sums: jax.Array) -> jax.Array:
        images, share = as_intensity(images_u8[index]), shares[index]
        # The same for every run, whatever its seed: all are compared on one noise.
        key = probe_key(index)
        target = network_target(network, images)
        raw = network.apply(parameters, network_input(network, key, target)).raw
        pixels = network.pixels
        if network.latent is None:
            value = loss.fn(raw, images, scalars, weights=pixels.weights(images))
        else:
            value = objective(
                network, loss, parameters, scalars, images, key, weights=share
            )
        counted = pixels.counted(images)
        error = METRICS["mse"].fn(loss.read_out(raw), target, weights=counted)
        scores = jnp.stack([share @ value, share @ error, jnp.sum(share)])
        probed = jnp.where(index < probe, scores, 0)
        return sums + jnp.concatenate([probed, scores])

    sums = jax.lax.fori_loop(0, blocks, block, jnp.zeros(6))
    return Progress(sums[0] / sums[2], sums[1] / sums[2], sums[3] / sums[5])
