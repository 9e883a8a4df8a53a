"""Autoencoders as two pure functions; no other module knows which Flax API is used."""

import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from lossjax.convolution import conv_general_dilated, depth_to_space

_scaled_normal = nnx.initializers.lecun_normal()


class Output(NamedTuple):
    """What a network says of a batch of images."""

    raw: jax.Array  # (batch, height, width, channels * blocks), before any link
    code: jax.Array  # (batch, latent_dim)


@dataclass(frozen=True)
class Shape:
    """What sizes a network: the image, the code, and the layers between.

    Attributes:
      image: (height, width, channels).
      blocks: channels of raw output for each image channel; a loss's `channels`.
      latent_dim: size of the code.
      width: channels of each stride-2 convolution (conv_ae).
      hidden: units of each hidden layer (mlp_ae).
    """

    image: tuple[int, int, int]
    blocks: int = 1
    latent_dim: int = 8
    width: tuple[int, ...] = (16, 32)
    hidden: tuple[int, ...] = (128,)


@dataclass(frozen=True)
class Network:
    """A model of a given shape.

    Attributes:
      init: (key, start) -> params. `start`, float (channels * blocks,), is the raw
        output of a constant image: the head's bias. For one key every layer but the
        head, and the head's first `channels` outputs, start alike for every `blocks`.
      apply: (params, images) -> Output; images float (batch, height, width, channels)
        in [0, 1].
    """

    init: Callable[[jax.Array, jax.Array], Any]
    apply: Callable[[Any, jax.Array], Output]


def _head_init(channels: int) -> Callable[..., jax.Array]:
    """Kernel initialiser of a head: further blocks start at 0, the first as ever."""

    def init(key: jax.Array, shape: tuple[int, ...], *_: Any, **__: Any) -> jax.Array:
        *inner, outputs, blocks = shape
        first = _scaled_normal(key, (*inner, outputs * channels), jnp.float32)
        first = first.reshape(*inner, outputs, channels)
        further = jnp.zeros((*inner, outputs, (blocks - 1) * channels))
        return jnp.concatenate([first, further], -1)

    return init


def _head_kernel(shape: Shape, outputs: int) -> Callable[..., jax.Array]:
    """`_head_init` for a layer whose features are `outputs` x blocks x channels."""
    channels = shape.image[2]

    def init(
        key: jax.Array, full: tuple[int, ...], *_: Any, **__: Any
    ) -> jax.Array:
        kernel = _head_init(channels)(key, (*full[:-1], outputs, shape.blocks))
        return kernel.reshape(full)

    return init


class _Upsample(nnx.Module):
    """A 4x4 stride-2 transposed convolution as 2x2 convolution + depth-to-space."""

    def __init__(
        self,
        inputs: int,
        features: int,
        *,
        kernel_init: Callable[..., jax.Array] = _scaled_normal,
        rngs: nnx.Rngs,
    ) -> None:
        self.conv = nnx.Conv(
            inputs,
            4 * features,
            (2, 2),
            padding=((1, 1), (1, 1)),
            use_bias=False,
            kernel_init=kernel_init,
            conv_general_dilated=conv_general_dilated,
            rngs=rngs,
        )
        self.bias = nnx.Param(jnp.zeros((features,)))

    def __call__(self, images: jax.Array) -> jax.Array:
        doubled = depth_to_space(self.conv(images), (2, 2))
        return doubled[:, 1:-1, 1:-1] + self.bias[...]


class _ConvAutoencoder(nnx.Module):
    """Stride-2 4x4 convolutions to a code and back.

    An image whose sides are no multiple of 2^len(width) is padded with its edge on the
    way in and cropped on the way out.
    """

    def __init__(self, shape: Shape, *, rngs: nnx.Rngs) -> None:
        factor = 2 ** len(shape.width)
        height, width, channels = shape.image
        self.image = (height, width)
        self.coarse = (-(-height // factor), -(-width // factor), shape.width[-1])
        inputs = (channels, *shape.width[:-1])
        self.down = nnx.List(
            nnx.Conv(
                before,
                after,
                (4, 4),
                strides=(2, 2),
                padding=((1, 1), (1, 1)),
                conv_general_dilated=conv_general_dilated,
                rngs=rngs,
            )
            for before, after in zip(inputs, shape.width, strict=True)
        )
        size = math.prod(self.coarse)
        self.encode = nnx.Linear(size, shape.latent_dim, rngs=rngs)
        self.decode = nnx.Linear(shape.latent_dim, size, rngs=rngs)
        back = shape.width[::-1]
        self.up = nnx.List(
            _Upsample(before, after, rngs=rngs)
            for before, after in zip(back[:-1], back[1:], strict=True)
        )
        self.head = _Upsample(
            back[-1],
            channels * shape.blocks,
            kernel_init=_head_kernel(shape, 4),
            rngs=rngs,
        )

    def __call__(self, images: jax.Array) -> Output:
        height, width = self.image
        factor = 2 ** len(self.down)
        bottom, right = -height % factor, -width % factor
        hidden = images
        if bottom or right:
            hidden = jnp.pad(images, ((0, 0), (0, bottom), (0, right), (0, 0)), "edge")
        for layer in self.down:
            hidden = jax.nn.relu(layer(hidden))
        code = self.encode(hidden.reshape(hidden.shape[0], -1))
        hidden = jax.nn.relu(self.decode(code)).reshape(-1, *self.coarse)
        for layer in self.up:
            hidden = jax.nn.relu(layer(hidden))
        return Output(self.head(hidden)[:, :height, :width], code)


class _DenseAutoencoder(nnx.Module):
    """Fully connected layers to a code and back; no hidden layer makes it linear."""

    def __init__(
        self, shape: Shape, hidden: tuple[int, ...], *, rngs: nnx.Rngs
    ) -> None:
        self.image = shape.image
        pixels = math.prod(shape.image)
        sizes = (pixels, *hidden, shape.latent_dim)
        self.down = nnx.List(
            nnx.Linear(before, after, rngs=rngs)
            for before, after in zip(sizes[:-1], sizes[1:], strict=True)
        )
        back = (shape.latent_dim, *hidden[::-1])
        self.up = nnx.List(
            nnx.Linear(before, after, rngs=rngs)
            for before, after in zip(back[:-1], back[1:], strict=True)
        )
        positions = shape.image[0] * shape.image[1]
        self.head = nnx.Linear(
            back[-1],
            pixels * shape.blocks,
            use_bias=False,
            kernel_init=_head_kernel(shape, positions),
            rngs=rngs,
        )
        self.bias = nnx.Param(jnp.zeros((pixels * shape.blocks,)))

    def __call__(self, images: jax.Array) -> Output:
        height, width, _ = self.image
        hidden = images.reshape(images.shape[0], -1)
        for layer in self.down[:-1]:
            hidden = jax.nn.relu(layer(hidden))
        code = self.down[-1](hidden)
        hidden = code
        for layer in self.up:
            hidden = jax.nn.relu(layer(hidden))
        raw = self.head(hidden) + self.bias[...]
        return Output(raw.reshape(-1, height, width, raw.shape[1] // (height * width)), code)


def _conv(shape: Shape, rngs: nnx.Rngs, start: jax.Array) -> nnx.Module:
    module = _ConvAutoencoder(shape, rngs=rngs)
    module.head.bias[...] = start
    return module


def _dense(shape: Shape, rngs: nnx.Rngs, start: jax.Array) -> nnx.Module:
    module = _DenseAutoencoder(shape, shape.hidden, rngs=rngs)
    module.bias[...] = jnp.tile(start, module.bias.shape[0] // start.shape[0])
    return module


def _linear(shape: Shape, rngs: nnx.Rngs, start: jax.Array) -> nnx.Module:
    module = _DenseAutoencoder(shape, (), rngs=rngs)
    module.bias[...] = jnp.tile(start, module.bias.shape[0] // start.shape[0])
    return module


MODELS: Mapping[str, Callable[[Shape, nnx.Rngs, jax.Array], nnx.Module]] = (
    types.MappingProxyType({"conv_ae": _conv, "mlp_ae": _dense, "linear_ae": _linear})
)


def build(name: str, shape: Shape) -> Network:
    """The network of a row of MODELS.

    Args:
      name: a key of MODELS.
      shape: its sizes.

    Raises:
      KeyError: no such model.
      ValueError: a size is not positive, or the image is smaller than 2x2.
    """
    make = MODELS[name]
    sizes = (*shape.image, shape.blocks, shape.latent_dim, *shape.width, *shape.hidden)
    if min(sizes) < 1 or min(shape.image[:2]) < 2:
        raise ValueError(f"build: sizes must be positive and images 2x2 or more: {shape}")
    outputs = shape.image[2] * shape.blocks

    def init(key: jax.Array, start: jax.Array) -> Any:
        return nnx.split(make(shape, nnx.Rngs(key), start))[1]

    graph = nnx.split(
        nnx.eval_shape(lambda: make(shape, nnx.Rngs(0), jnp.zeros(outputs)))
    )[0]

    def apply(params: Any, images: jax.Array) -> Output:
        return nnx.merge(graph, params)(images)

    return Network(init, apply)
