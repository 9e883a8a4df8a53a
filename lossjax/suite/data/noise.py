"""Noise on training targets, drawn on the device; the one part of data that is jax."""

import types
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp

from lossjax.suite.data.dataset import Noise

_Law = Callable[[jax.Array, jax.Array, Noise], jax.Array]


def _gaussian(key: jax.Array, clean: jax.Array, noise: Noise) -> jax.Array:
    return clean + noise.scale * jax.random.normal(key, clean.shape)


def _laplace(key: jax.Array, clean: jax.Array, noise: Noise) -> jax.Array:
    return clean + noise.scale * jax.random.laplace(key, clean.shape)


def _cauchy(key: jax.Array, clean: jax.Array, noise: Noise) -> jax.Array:
    return clean + noise.scale * jax.random.cauchy(key, clean.shape)


def _bernoulli(key: jax.Array, clean: jax.Array, noise: Noise) -> jax.Array:
    return jax.random.bernoulli(key, clean).astype(jnp.float32)


def _poisson(key: jax.Array, clean: jax.Array, noise: Noise) -> jax.Array:
    counts = jax.random.poisson(key, clean / noise.scale)
    return noise.scale * counts.astype(jnp.float32)


def _variance(key: jax.Array, clean: jax.Array, noise: Noise) -> jax.Array:
    deviation = noise.scale * (clean * (1 - clean)) ** (noise.exponent / 2)
    return clean + deviation * jax.random.normal(key, clean.shape)


LAWS: Mapping[str, _Law] = types.MappingProxyType(
    {
        "gaussian": _gaussian,
        "laplace": _laplace,
        "cauchy": _cauchy,
        "bernoulli": _bernoulli,
        "poisson": _poisson,
        "variance": _variance,
    }
)


def noisy_targets(
    noise: Noise | None, key: jax.Array, clean: jax.Array, index: jax.Array
) -> jax.Array:
    """Targets of a batch: the clean images plus each image's own, fixed noise.

    Never clipped: clipping would move the mean that the law plants. Jittable.

    Args:
      noise: the dataset's law; None returns `clean`.
      key: one key for the whole run.
      clean: float32 (batch, height, width, channels), intensity in [0, 1].
      index: int (batch,), each image's place in the training split; the same place
        gets the same noise in whatever batch it stands.

    Returns:
      float32, shape of `clean`. gaussian, laplace, cauchy: clean + scale * standard
      noise. bernoulli: 0 or 1 with mean clean. poisson: scale * Poisson(clean / scale).
      variance: gaussian with variance scale^2 (clean (1 - clean))^exponent.
    """
    if noise is None:
        return clean
    law = LAWS[noise.law]
    return jax.vmap(
        lambda place, image: law(jax.random.fold_in(key, place), image, noise)
    )(index, clean)
