"""What only a variational model has: the terms of its bound, and pictures it draws."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lossjax.losses import LOSSES
from lossjax.losses.bernoulli import matched_logit
from lossjax.losses.links import sigmoid
from lossjax.losses.loss import Loss, image_mean
from lossjax.metrics.latent_variables import Terms
from lossjax.models.network import Network
from lossjax.training.objective import (
    dequantise,
    divergence,
    needs_dequantisation,
    network_input,
    network_target,
    probe_key,
    sample,
)
from lossjax.training.replicas import Layout, Replica, as_intensity, spread
from lossjax.training.weights import parameters_of, scalars_of


class VariationalScorer:
    """Terms and pictures of replicas of one loss family."""

    def __init__(self, network: Network, layout: Layout, mesh: Mesh) -> None:
        terms = functools.partial(_terms, network)
        self._terms = spread(terms, mesh, layout, shared=3, idle=True)
        pictures = functools.partial(_pictures, network)
        self._pictures = spread(pictures, mesh, layout, shared=0)

    def terms(
        self,
        replicas: Replica,
        weights: jax.Array,
        images_u8: jax.Array,
        block: int,
        samples: int,
    ) -> Terms:
        """Terms of a block of images, each leaf with one row a slot.

        Args:
          replicas: what was trained.
          weights: State.weights of `Program`.
          images_u8: uint8 (block, height, width, channels).
          block: its place in the split, which fixes every draw.
          samples: of the importance-weighted bound; 0 leaves it out.
        """
        counts = np.int32(block), np.int32(samples)
        return self._terms(replicas.active, replicas.loss, weights, images_u8, *counts)

    def pictures(
        self, replicas: Replica, weights: jax.Array, codes: np.ndarray
    ) -> jax.Array:
        """uint8 read-outs (slots, n, ...) of codes (slots, n, latent_dim)."""
        return self._pictures(replicas, weights, codes)


def _terms(
    network: Network,
    loss: Loss,
    weights: jax.Array,
    images_u8: jax.Array,
    block: jax.Array,
    samples: jax.Array,
) -> Terms:
    parameters = parameters_of(network, weights)
    scalars = scalars_of(network, loss, weights)
    key = probe_key(block)
    _, code_key, level_key = jax.random.split(key, 3)
    pixels = as_intensity(images_u8)
    counted, size = network.pixels.counted(pixels), network.pixels.size(pixels)
    images, smooth = pixels, dequantise(level_key, pixels, network.pixels.levels)
    if needs_dequantisation(network, loss):
        images = smooth
    images, smooth = network_target(network, images), network_target(network, smooth)
    code = network.encode(parameters, network_input(network, key, images))

    def value_of(raw: jax.Array, aim: jax.Array) -> jax.Array:
        return size * loss.fn(raw, aim, scalars, weights=counted)

    raw = network.decode(parameters, sample(code_key, code))
    value, back = jax.vjp(lambda raw: value_of(raw, images), raw)
    (force,) = back(jnp.ones_like(value))
    image, back = jax.vjp(loss.read_out, raw)
    gap = image - images
    (slope,) = back(gap if counted is None else jnp.where(counted > 0, gap, 0))
    axes = (1, 2, 3)
    return Terms(
        value,
        value_of(raw, smooth),
        *_continuous(network, loss, raw, smooth, counted, size),
        jnp.sum(divergence(code), axis=1),
        _bound(network, parameters, code, images, value_of, code_key, samples),
        image_mean((image - smooth) ** 2, counted),
        jnp.sum(slope * slope, axis=axes),
        jnp.sum(force * slope, axis=axes),
        jnp.split(code, 2, axis=1)[0],
    )


def _continuous(
    network: Network,
    loss: Loss,
    raw: jax.Array,
    images: jax.Array,
    counted: jax.Array | None,
    size: Any,
) -> tuple[jax.Array, jax.Array]:
    """Values of `Terms.continuous` and `Terms.matched`."""
    law = LOSSES["continuous_bernoulli"]
    if loss.link is law.link:
        matched = raw
    elif loss.link is sigmoid and loss.channels == 1:
        matched = matched_logit(raw)
    else:
        none = jnp.full(raw.shape[0], jnp.nan)
        return none, none
    assert network.latent is not None
    # As the decoder's own, where that is held in bounds.
    matched = jnp.clip(matched, -network.latent.bound, network.latent.bound)
    first, second = (law.fn(x, images, weights=counted) for x in (raw, matched))
    return size * first, size * second


def _bound(
    network: Network,
    parameters: Any,
    code: jax.Array,
    images: jax.Array,
    value_of: Any,
    key: jax.Array,
    samples: jax.Array,
) -> jax.Array:
    """-log of the mean of p(x, z) / q(z) over draws of z (Burda and others 2016, 8)."""
    mean, log_variance = jnp.split(code, 2, axis=1)

    def add(index: jax.Array, total: jax.Array) -> jax.Array:
        z = sample(jax.random.fold_in(key, index), code)
        value = value_of(network.decode(parameters, z), images)
        unit = (z - mean) * jnp.exp(-log_variance / 2)
        # log prior - log posterior: the constants and halves of both cancel.
        ratio = jnp.sum(unit**2 + log_variance - z**2, axis=1) / 2
        return jnp.logaddexp(total, ratio - value)

    start = jnp.full(code.shape[0], -jnp.inf)
    total = jax.lax.fori_loop(0, samples, add, start)
    return jnp.where(samples > 0, jnp.log(samples.astype(total.dtype)) - total, jnp.nan)


def _pictures(
    network: Network, replica: Replica, weights: jax.Array, codes: jax.Array
) -> jax.Array:
    raw = network.decode(parameters_of(network, weights), codes)
    return jnp.round(replica.loss.read_out(raw) * 255).astype(jnp.uint8)
