"""A convolutional autoencoder of the usual pieces: 3x3, batch norm, residual blocks.

It has what a module of the user's own has, see `lossjax.models.own_models`: batch norm
computes otherwise in training than as it is scored.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

_MOMENTUM = 0.9  # averages that follow within a hundred steps


class ConvNorm(nnx.Module):
    """A 3x3 convolution and batch norm, which needs no bias before it."""

    def __init__(
        self, inputs: int, features: int, strides: int, *, dtype: Any, rngs: nnx.Rngs
    ) -> None:
        made: Any = {"use_bias": False, "dtype": dtype, "rngs": rngs}
        self.conv = nnx.Conv(inputs, features, (3, 3), strides=strides, **made)
        self.norm = nnx.BatchNorm(features, momentum=_MOMENTUM, dtype=dtype, rngs=rngs)

    def __call__(self, images: jax.Array) -> jax.Array:
        return self.norm(self.conv(images))


class ResidualStage(nnx.Module):
    """A convolution to other sizes, then a residual block of two."""

    def __init__(
        self, inputs: int, features: int, strides: int, *, dtype: Any, rngs: nnx.Rngs
    ) -> None:
        made: Any = {"dtype": dtype, "rngs": rngs}
        self.enter = ConvNorm(inputs, features, strides, **made)
        self.first = ConvNorm(features, features, 1, **made)
        self.second = ConvNorm(features, features, 1, **made)

    def __call__(self, images: jax.Array) -> jax.Array:
        images = nnx.relu(self.enter(images))
        return nnx.relu(images + self.second(nnx.relu(self.first(images))))


class ResidualAutoencoder(nnx.Module):
    """A stage for each width, half as high and wide each, to a code and back.

    An image whose sides are no multiple of 2^len(width) is padded with its edge on the
    way in and cropped on the way out.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        out_channels: int,
        latent_dim: int,
        *,
        rngs: nnx.Rngs,
        width: tuple[int, ...],
        dtype: Any,
    ) -> None:
        self.height, self.wide, channels = image_shape
        self.dtype, factor = dtype, 2 ** len(width)
        self.coarse = (-(-self.height // factor), -(-self.wide // factor), width[-1])
        made: Any = {"dtype": dtype, "rngs": rngs}
        inputs, back = (channels, *width[:-1]), width[::-1]
        numbers = self.coarse[0] * self.coarse[1] * self.coarse[2]
        self.down = nnx.List(
            ResidualStage(before, after, 2, **made)
            for before, after in zip(inputs, width, strict=True)
        )
        self.code = nnx.Linear(numbers, latent_dim, **made)
        self.open = nnx.Linear(latent_dim, numbers, **made)
        self.up = nnx.List(
            ResidualStage(before, after, 1, **made)
            for before, after in zip(back, (*back[1:], back[-1]), strict=True)
        )
        self.head = nnx.Conv(back[-1], out_channels, (3, 3), **made)

    def encode(self, images: jax.Array) -> jax.Array:
        factor = 2 ** len(self.down)
        edges = (-self.height % factor, -self.wide % factor)
        if any(edges):
            sides = ((0, 0), (0, edges[0]), (0, edges[1]), (0, 0))
            images = jnp.pad(images, sides, "edge")
        for stage in self.down:
            images = stage(images)
        return self.code(images.reshape(len(images), -1))

    def decode(self, code: jax.Array) -> jax.Array:
        images = nnx.relu(self.open(code)).reshape(-1, *self.coarse)
        for stage in self.up:
            images = stage(jnp.repeat(jnp.repeat(images, 2, axis=1), 2, axis=2))
        return self.head(images)[:, : self.height, : self.wide]

    def __call__(self, images: jax.Array) -> jax.Array:
        return self.decode(self.encode(images))
