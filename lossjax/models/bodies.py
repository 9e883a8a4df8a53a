"""The bodies of autoencoders: Flax modules, `body(images)` gives raw output and code.

Attribute names are the paths of parameters; `initial_weights` draws in their order and
takes `head` for the last layer.
"""

import dataclasses
import math
import types
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from lossjax.models.layers import PRECISIONS, Dense, Form
from lossjax.models.network import Latent, Output, Shape


class Autoencoder(nnx.Module):
    """Images to a code and back.

    `code_of` gives all that the encoder says of images, for a variational model means
    and then logarithms of variances; `raw_of` decodes a code.
    """

    def __init__(
        self, shape: Shape, latent: Latent | None, form: Form, *, rngs: nnx.Rngs
    ) -> None:
        self.shape, self.latent = shape, latent
        self.precision = PRECISIONS[shape.precision]

    @property
    def codes(self) -> int:
        """Numbers that the encoder gives for an image."""
        return self.shape.latent_dim * (1 if self.latent is None else 2)

    def __call__(self, images: jax.Array) -> Output:
        code = self.code_of(images)[:, : self.shape.latent_dim]
        return Output(self.raw_of(code), code)

    def code_of(self, images: jax.Array) -> jax.Array:
        return self._encoded(images).astype(jnp.float32)

    def raw_of(self, code: jax.Array) -> jax.Array:
        raw = self._decoded(code).astype(jnp.float32)
        if self.latent is None or self.latent.clip == 0:
            return raw
        return jnp.clip(raw, -self.latent.bound, self.latent.bound)

    def _encoded(self, images: jax.Array) -> jax.Array:
        raise NotImplementedError

    def _decoded(self, code: jax.Array) -> jax.Array:
        raise NotImplementedError


class ConvAutoencoder(Autoencoder):
    """Stride-2 4x4 convolutions to a code and back.

    An image whose sides are no multiple of 2^len(width) is padded with its edge on the
    way in and cropped on the way out.
    """

    def __init__(
        self, shape: Shape, latent: Latent | None, form: Form, *, rngs: nnx.Rngs
    ) -> None:
        super().__init__(shape, latent, form, rngs=rngs)
        self.form = form
        height, width, channels = shape.image
        factor = 2 ** len(shape.width)
        coarse = (-(-height // factor), -(-width // factor), shape.width[-1])
        made: Any = {"precision": self.precision, "rngs": rngs}
        inputs, back = (channels, *shape.width[:-1]), shape.width[::-1]
        self.down = nnx.List(
            form.halve(before, after, **made)
            for before, after in zip(inputs, shape.width, strict=True)
        )
        self.encode = form.flatten(coarse, self.codes, **made)
        self.decode = form.unflatten(shape.latent_dim, coarse, **made)
        self.up = nnx.List(
            form.double(before, after, **made)
            for before, after in zip(back[:-1], back[1:], strict=True)
        )
        self.head = form.double(back[-1], channels * shape.blocks, **made)

    def _encoded(self, images: jax.Array) -> jax.Array:
        height, width, _ = self.shape.image
        factor = 2 ** len(self.down)
        bottom, right = -height % factor, -width % factor
        if bottom or right:
            images = jnp.pad(images, ((0, 0), (0, bottom), (0, right), (0, 0)), "edge")
        hidden = self.form.enter(images)
        for halve in self.down:
            hidden = jax.nn.relu(halve(hidden))
        return self.encode(hidden)

    def _decoded(self, code: jax.Array) -> jax.Array:
        height, width, _ = self.shape.image
        hidden = jax.nn.relu(self.decode(code))
        for double in self.up:
            hidden = jax.nn.relu(double(hidden))
        return self.form.leave(self.head(hidden))[:, :height, :width]


class DenseAutoencoder(Autoencoder):
    """Fully connected layers to a code and back, the same in every form."""

    def __init__(
        self, shape: Shape, latent: Latent | None, form: Form, *, rngs: nnx.Rngs
    ) -> None:
        super().__init__(shape, latent, form, rngs=rngs)
        hidden = shape.hidden
        pixels = math.prod(shape.image)

        def linear(before: int, after: int) -> Dense:
            return Dense(before, after, precision=self.precision, rngs=rngs)

        sizes, back = (pixels, *hidden, self.codes), (shape.latent_dim, *hidden[::-1])
        self.down = nnx.List(map(linear, sizes[:-1], sizes[1:]))
        self.up = nnx.List(map(linear, back[:-1], back[1:]))
        self.head = linear(back[-1], pixels * shape.blocks)

    def _encoded(self, images: jax.Array) -> jax.Array:
        hidden = images.reshape(images.shape[0], -1)
        for layer in self.down[:-1]:
            hidden = jax.nn.relu(layer(hidden))
        return self.down[-1](hidden)

    def _decoded(self, code: jax.Array) -> jax.Array:
        height, width, channels = self.shape.image
        hidden = code
        for layer in self.up:
            hidden = jax.nn.relu(layer(hidden))
        return self.head(hidden).reshape(
            -1, height, width, channels * self.shape.blocks
        )


class LinearAutoencoder(DenseAutoencoder):
    """No hidden layer."""

    def __init__(
        self, shape: Shape, latent: Latent | None, form: Form, *, rngs: nnx.Rngs
    ) -> None:
        alone = dataclasses.replace(shape, hidden=())
        super().__init__(alone, latent, form, rngs=rngs)


BODIES: Mapping[str, type[Autoencoder]] = types.MappingProxyType(
    {"conv": ConvAutoencoder, "mlp": DenseAutoencoder, "linear": LinearAutoencoder}
)
