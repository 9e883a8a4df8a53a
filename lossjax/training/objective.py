"""What training minimises: a loss, and for a variational model the price of its code.

Everything is a mean over pixels and channels, as the losses are. A variational
objective is therefore (sum over pixels + beta KL) / D, D pixels times channels.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from lossjax.losses import LOSSES
from lossjax.losses.loss import Loss
from lossjax.losses.one_of import OneOf
from lossjax.models.contrast import warp
from lossjax.models.network import Network

Targets = Callable[[jax.Array], jax.Array]


def divergence(code: jax.Array) -> jax.Array:
    """KL in nats of each code unit's normal law from the standard one.

    Args:
      code: (batch, 2 * latent_dim), means then logarithms of variances.

    Returns:
      (batch, latent_dim), at least 0.
    """
    mean, log_variance = jnp.split(code, 2, axis=1)
    return (mean**2 + jnp.expm1(log_variance) - log_variance) / 2


def sample(key: jax.Array, code: jax.Array) -> jax.Array:
    """One draw (batch, latent_dim) of each image's code; see `divergence`."""
    mean, log_variance = jnp.split(code, 2, axis=1)
    noise = jax.random.normal(key, mean.shape, mean.dtype)
    return mean + jnp.exp(log_variance / 2) * noise


def dequantise(key: jax.Array, images: jax.Array, levels: int = 256) -> jax.Array:
    """(255 y + u) / 256 with u uniform on [0, 1): no pixel is a point mass.

    Of so many levels; without any (0) the images stay as they are.
    """
    if not levels:
        return images
    return ((levels - 1) * images + jax.random.uniform(key, images.shape)) / levels


def network_target(network: Network, images: jax.Array) -> jax.Array:
    """What stands for the images in input and target: they, or their warp."""
    if network.latent is None:
        return images
    return warp(images, network.latent.warp)


@functools.cache
def is_unbounded(family: str) -> bool:
    """Whether a loss falls without end at pixels of exactly 0 or 1."""
    if family not in LOSSES:
        return False
    with jax.ensure_compile_time_eval():
        ends = jnp.array([0.0, 1.0]).reshape(2, 1, 1, 1)
        return bool(jnp.any(LOSSES[family].floor(ends) == -jnp.inf))


def needs_dequantisation(network: Network, loss: Loss | OneOf) -> bool:
    """Whether this loss trains on dequantised pixels with this network.

    Where a variational model is told to, and where its density would be infinite: a
    model that draws its code has no other bound on it than the data's.
    """
    latent = network.latent
    if latent is None or not network.pixels.levels:
        return False
    assert isinstance(loss, Loss), "losses of a variational model share no program"
    return latent.dequantise or is_unbounded(loss.family)


def objective(
    network: Network,
    loss: Loss | OneOf,
    parameters: Any,
    scalars: Mapping[str, Any],
    images: jax.Array,
    key: jax.Array,
    *,
    targets: Targets | None = None,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Each image's share (batch,) in what training minimises; their mean is minimised.

    Args:
      network: with what it does to its input and how it pays for its code.
      loss: of its raw output.
      parameters: of the network.
      scalars: trained scalars of the loss.
      images: float (batch, height, width, channels) in [0, 1], nan where a pixel does
        not count.
      key: fixes corruption, draws of the code and dequantisation; not used by a plain
        autoencoder.
      targets: images -> targets where they are not the images themselves.
      weights: (batch,), 0 for images that do not count towards free bits.
    """
    given, aim = prepared(network, loss, images, key, targets)
    size = network.pixels.size(images)
    raw, price = forward(network, parameters, given, size, key, weights)
    value = loss.fn(raw, aim, scalars, weights=network.pixels.weights(images))
    return value if price is None else value + price


def prepared(
    network: Network,
    loss: Loss | OneOf,
    images: jax.Array,
    key: jax.Array,
    targets: Targets | None,
) -> tuple[jax.Array, jax.Array]:
    """What the network is given and what its output is compared with.

    Equal for all losses that dequantise alike. Takes what `objective` does.
    """
    level_key = jax.random.split(key, 3)[2]
    if needs_dequantisation(network, loss):
        images = dequantise(level_key, images, network.pixels.levels)
    images = network_target(network, images)
    aim = images if targets is None else targets(images)
    return network_input(network, key, images), aim


def forward(
    network: Network,
    parameters: Any,
    given: jax.Array,
    size: Any,
    key: jax.Array,
    weights: jax.Array | None = None,
    kl_share: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array | None]:
    """Raw output, and the price (batch,) of a variational model's codes.

    `size` is how many pixels of an image the price is shared by, see `Pixels.size`;
    `kl_share` the part of beta that counts, None where that is all of it.
    """
    if network.latent is None:
        return network.apply(parameters, given).raw, None
    code_key = jax.random.split(key, 3)[1]
    code = network.encode(parameters, given)
    raw = network.decode(parameters, sample(code_key, code))
    share = network.latent.beta / size
    if kl_share is not None:
        share = kl_share * share
    return raw, share * _price(network, code, weights)


def trained_forward(
    network: Network,
    parameters: Any,
    given: jax.Array,
    size: Any,
    key: jax.Array,
    kl_share: jax.Array | None,
) -> tuple[jax.Array, jax.Array | None, jax.Array | None]:
    """`forward` of a training step, and what it leaves in the place of `carried`."""
    if network.train is None:
        made = forward(network, parameters, given, size, key, kl_share=kl_share)
        return *made, None
    raw, carried = network.train(parameters, given, jax.random.split(key, 3)[1])
    return raw, None, carried


def network_input(network: Network, key: jax.Array, images: jax.Array) -> jax.Array:
    """What the network is given: the images, or what its noise makes of them."""
    images = network.pixels.filled(images)
    if network.corrupt is None:
        return images
    return network.corrupt(jax.random.split(key, 3)[0], images)


def probe_key(block: jax.Array | int) -> jax.Array:
    """The key of a block of images that are scored: no run's own, the same for all."""
    return jax.random.fold_in(jax.random.key(0), block)


def _price(network: Network, code: jax.Array, weights: jax.Array | None) -> jax.Array:
    """KL of each image in nats, no unit below its free bits on the batch's mean."""
    assert network.latent is not None
    each = divergence(code)
    if network.latent.free_bits == 0:
        return jnp.sum(each, axis=1)
    share = jnp.ones(len(each)) if weights is None else weights
    mean = share @ each / jnp.sum(share)
    total = jnp.sum(jnp.maximum(mean, network.latent.free_bits))
    return jnp.full(len(each), total)
