"""The layers of a convolutional autoencoder, in two forms with the same parameters.

NATIVE is plain Flax: NHWC images and XLA's own convolutions, which are fast on GPU and
TPU. BATCH_LAST computes the same functions on (channels, height, width, batch) images
by matrix products, which is what a CPU is fast at; see `lossjax.models.batch_last`. A
parameter means the same in both, so that weights move freely between backends.
"""

import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from lossjax.models import batch_last

_HALVING = (2, 2), ((1, 1), (1, 1))  # strides and padding of a 4x4 convolution


@dataclass(frozen=True)
class Precision:
    """What a network computes in; its weights, its output and every loss stay float32.

    Attributes:
      dtype: of what its layers are given.
      algorithm: of their matrix products where it is not that of everything else, a
        DotAlgorithmPreset of jax; it says nothing of convolutions, so that layers take
        products over taps.
      backend: the only one that has it; empty where all have.
    """

    dtype: Any
    algorithm: batch_last.Algorithm = None
    backend: str = ""


PRECISIONS: Mapping[str, Precision] = types.MappingProxyType(
    {
        "float32": Precision(jnp.float32),
        "bfloat16": Precision(jnp.bfloat16),
        # Three products of numbers with 10 bits each on tensor cores: near float32.
        "tf32x3": Precision(jnp.float32, "TF32_TF32_F32_X3", "gpu"),
    }
)


class Halve(nnx.Conv):
    """A 4x4 convolution of stride 2: half as high and wide."""

    def __init__(
        self, inputs: int, features: int, *, precision: Precision, rngs: nnx.Rngs
    ) -> None:
        strides, padding = _HALVING
        super().__init__(
            inputs,
            features,
            (4, 4),
            strides=strides,
            padding=padding,
            dtype=precision.dtype,
            rngs=rngs,
        )
        self.algorithm = precision.algorithm


class Double(nnx.Module):
    """A 4x4 transposed convolution of stride 2: twice as high and wide.

    Its kernel, (2, 2, inputs, 4 * features), is that of the 2x2 convolution of padding
    1 whose output, depth to space and without its outermost pixels, is the result.
    """

    def __init__(
        self, inputs: int, features: int, *, precision: Precision, rngs: nnx.Rngs
    ) -> None:
        self.algorithm = precision.algorithm
        self.conv = nnx.Conv(
            inputs,
            4 * features,
            (2, 2),
            padding=1,
            use_bias=False,
            dtype=precision.dtype,
            rngs=rngs,
        )
        self.bias = nnx.Param(jnp.zeros((features,)))

    def __call__(self, images: jax.Array) -> jax.Array:
        blocks = self.conv(images)
        batch, height, width, outputs = blocks.shape
        pixels = blocks.reshape(batch, height, width, 2, 2, outputs // 4)
        pixels = pixels.transpose(0, 1, 3, 2, 4, 5)
        pixels = pixels.reshape(batch, 2 * height, 2 * width, outputs // 4)
        bias = self.bias[...].astype(pixels.dtype)
        return pixels[:, 1:-1, 1:-1] + bias.reshape(1, 1, 1, -1)


class Dense(nnx.Linear):
    """Numbers to numbers."""

    def __init__(
        self, inputs: int, features: int, *, precision: Precision, rngs: nnx.Rngs
    ) -> None:
        super().__init__(
            inputs,
            features,
            dtype=precision.dtype,
            precision=precision.algorithm,
            rngs=rngs,
        )
        self.algorithm = precision.algorithm


class Flatten(Dense):
    """Images, (height, width, channels) each, to a code."""

    def __init__(self, image: tuple[int, int, int], codes: int, **made: Any) -> None:
        super().__init__(math.prod(image), codes, **made)

    def __call__(self, images: jax.Array) -> jax.Array:  # type: ignore[override]
        return super().__call__(images.reshape(images.shape[0], -1))


class Unflatten(Dense):
    """A code to images, (height, width, channels) each."""

    def __init__(self, codes: int, image: tuple[int, int, int], **made: Any) -> None:
        super().__init__(codes, math.prod(image), **made)
        self.image = image

    def __call__(self, code: jax.Array) -> jax.Array:  # type: ignore[override]
        return super().__call__(code).reshape(-1, *self.image)


def _operands(
    layer: nnx.Conv | nnx.Linear, values: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What a layer is given, its kernel and its bias, in what it computes in."""
    assert layer.bias is not None
    whole = values, layer.kernel[...], layer.bias[...]
    return layer.promote_dtype(whole, dtype=layer.dtype)


class BatchLastHalve(Halve):
    """`Halve` of batch-last images."""

    def __call__(self, images: jax.Array) -> jax.Array:  # type: ignore[override]
        images, kernel, bias = _operands(self, images)
        halved = batch_last.convolve(images, kernel, *_HALVING, self.algorithm)
        return batch_last.add(halved, bias)


class BatchLastDouble(Double):
    """`Double` of batch-last images."""

    def __call__(self, images: jax.Array) -> jax.Array:
        kernel, bias = self.conv.kernel[...], self.bias[...]
        images, kernel, bias = self.conv.promote_dtype(
            (images, kernel, bias), dtype=self.conv.dtype
        )
        doubled = batch_last.double(images, kernel, self.algorithm)
        return batch_last.add(doubled, bias)


class BatchLastFlatten(Flatten):
    """`Flatten` of batch-last images."""

    def __call__(self, images: jax.Array) -> jax.Array:  # type: ignore[override]
        images, kernel, bias = _operands(self, images)
        code = batch_last.flatten(images, kernel, self.algorithm)
        return code + bias.reshape(1, -1)


class BatchLastUnflatten(Unflatten):
    """`Unflatten` to batch-last images."""

    def __call__(self, code: jax.Array) -> jax.Array:  # type: ignore[override]
        code, kernel, bias = _operands(self, code)
        return batch_last.unflatten(code, kernel, bias, self.image, self.algorithm)


@dataclass(frozen=True)
class Form:
    """The layers of one layout of images, and the way into it and out of it.

    Attributes:
      enter: float (batch, height, width, channels) -> images in the layout.
      leave: the inverse of `enter`.
      halve: the layers; all take and give images in the layout.
    """

    enter: Callable[[jax.Array], jax.Array]
    leave: Callable[[jax.Array], jax.Array]
    halve: type[Halve]
    double: type[Double]
    flatten: type[Flatten]
    unflatten: type[Unflatten]


def _unchanged(images: jax.Array) -> jax.Array:
    return images


NATIVE = Form(_unchanged, _unchanged, Halve, Double, Flatten, Unflatten)
BATCH_LAST = Form(
    batch_last.enter,
    batch_last.leave,
    BatchLastHalve,
    BatchLastDouble,
    BatchLastFlatten,
    BatchLastUnflatten,
)
