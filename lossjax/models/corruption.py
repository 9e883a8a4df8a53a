"""Noise on the input of a denoising autoencoder; its target stays clean."""

import types
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

Corruption = Callable[[jax.Array, jax.Array], jax.Array]


def gaussian(key: jax.Array, images: jax.Array, amount: float) -> jax.Array:
    """Adds normal noise of standard deviation `amount`; not clipped to [0, 1]."""
    return images + amount * jax.random.normal(key, images.shape, images.dtype)


def masking(key: jax.Array, images: jax.Array, amount: float) -> jax.Array:
    """Turns a share `amount` of the values black."""
    return jnp.where(jax.random.bernoulli(key, amount, images.shape), 0, images)


def salt_and_pepper(key: jax.Array, images: jax.Array, amount: float) -> jax.Array:
    """Turns a share `amount` of the values black or white, by a fair coin."""
    where_key, coin_key = jax.random.split(key)
    hit = jax.random.bernoulli(where_key, amount, images.shape)
    coin = jax.random.bernoulli(coin_key, 0.5, images.shape).astype(images.dtype)
    return jnp.where(hit, coin, images)


# Vincent, Larochelle, Lajoie, Bengio, Manzagol, Stacked denoising autoencoders, JMLR
# 11, 2010, section 3.3. Each value of each channel is hit on its own.
CORRUPTIONS: Mapping[str, Callable[[jax.Array, jax.Array, float], jax.Array]] = (
    types.MappingProxyType(
        {
            "gaussian": gaussian,
            "masking": masking,
            "salt_and_pepper": salt_and_pepper,
        }
    )
)
