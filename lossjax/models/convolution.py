"""Convolutions that are fast where they run; images are NHWC, kernels HWIO everywhere.

On CPU, XLA's native convolution gradients fall back to a naive path inside a compiled
loop: 10 to 200 times slower. There images lie batch last, and a convolution is
`window`, which lays the taps of a kernel below one another, and one matrix product. Its
adjoint `fold` adds taps back to pixels, so that a transposed convolution is one matrix
product and `fold`, and each is the other's gradient. With the batch last every slice,
shift and sum runs over contiguous memory. On GPU and TPU the native operation on NHWC
images is the fast one. A parameter means the same on every backend.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp

Padding = Sequence[tuple[int, int]]


class Lowering(Protocol):
    """Images on their way through a network, in the layout of one backend."""

    def enter(self, images: jax.Array) -> jax.Array:
        """Take images, float (batch, height, width, channels), into the layout."""

    def leave(self, images: jax.Array) -> jax.Array:
        """The inverse of `enter`."""

    def convolve(
        self, images: jax.Array, kernel: jax.Array, strides: Any, padding: Padding
    ) -> jax.Array:
        """Cross-correlation with a kernel (height, width, channels_in, channels_out).

        Args:
          images: in the layout.
          kernel: float.
          strides: pixels between outputs, along height and width.
          padding: zeros (before, after) along height and width; none is negative.
        """

    def double(self, images: jax.Array, kernel: jax.Array) -> jax.Array:
        """Transposed 4x4 convolution of stride 2: twice as high and wide.

        The kernel, (2, 2, channels_in, 4 * channels_out), is that of the 2x2
        convolution of padding 1 whose output, depth to space and without its outermost
        pixels, is the result.
        """

    def add(self, images: jax.Array, bias: jax.Array) -> jax.Array:
        """Add a bias (channels,) to every pixel."""

    def encode(self, images: jax.Array, kernel: jax.Array) -> jax.Array:
        """Images times a kernel (height * width * channels, features), NHWC order.

        Returns:
          float (batch, features).
        """

    def decode(
        self,
        code: jax.Array,
        kernel: jax.Array,
        bias: jax.Array,
        image: tuple[int, int, int],
    ) -> jax.Array:
        """A code (batch, features) times a kernel (features, pixels), plus a bias.

        Returns:
          images of shape `image`, (height, width, channels), in the layout.
        """


def lowered(function: Callable[..., Any], *operands: Any) -> Any:
    """`function(lowering, *operands)` with the lowering of the backend that runs it."""
    return jax.lax.platform_dependent(
        *operands,
        cpu=functools.partial(function, BatchLast()),
        default=functools.partial(function, Native()),
    )


def convolve(
    images: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Padding
) -> jax.Array:
    """Cross-correlation of NHWC images with an HWIO kernel, lowered per backend.

    Args:
      images: float (batch, height, width, channels_in).
      kernel: float (kernel_height, kernel_width, channels_in, channels_out).
      strides: pixels between outputs, along height and width.
      padding: zeros (before, after) along height and width; none is negative.

    Returns:
      float (batch, out_height, out_width, channels_out).
    """

    def run(lowering: Lowering, images: jax.Array, kernel: jax.Array) -> jax.Array:
        inside = lowering.enter(images)
        return lowering.leave(lowering.convolve(inside, kernel, strides, padding))

    return lowered(run, images, kernel)


class Native:
    """NHWC images and XLA's own convolution."""

    def enter(self, images: jax.Array) -> jax.Array:
        return images

    def leave(self, images: jax.Array) -> jax.Array:
        return images

    def convolve(
        self, images: jax.Array, kernel: jax.Array, strides: Any, padding: Padding
    ) -> jax.Array:
        return jax.lax.conv_general_dilated(
            images, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    def double(self, images: jax.Array, kernel: jax.Array) -> jax.Array:
        blocks = self.convolve(images, kernel, (1, 1), ((1, 1), (1, 1)))
        batch, height, width, outputs = blocks.shape
        pixels = blocks.reshape(batch, height, width, 2, 2, outputs // 4)
        pixels = pixels.transpose(0, 1, 3, 2, 4, 5)
        pixels = pixels.reshape(batch, 2 * height, 2 * width, outputs // 4)
        return pixels[:, 1:-1, 1:-1]

    def add(self, images: jax.Array, bias: jax.Array) -> jax.Array:
        return images + bias.reshape(1, 1, 1, -1)

    def encode(self, images: jax.Array, kernel: jax.Array) -> jax.Array:
        return images.reshape(images.shape[0], -1) @ kernel

    def decode(
        self,
        code: jax.Array,
        kernel: jax.Array,
        bias: jax.Array,
        image: tuple[int, int, int],
    ) -> jax.Array:
        return (code @ kernel + bias.reshape(1, -1)).reshape(-1, *image)


class BatchLast:
    """(channels, height, width, batch) images, and matrix products over their taps."""

    def enter(self, images: jax.Array) -> jax.Array:
        return images.transpose(3, 1, 2, 0)

    def leave(self, images: jax.Array) -> jax.Array:
        return images.transpose(3, 1, 2, 0)

    def convolve(
        self, images: jax.Array, kernel: jax.Array, strides: Any, padding: Padding
    ) -> jax.Array:
        taps = _Taps.of(kernel.shape[:2], strides, padding, images.shape[1:3])
        laid = _window(taps, images)
        return _product(_matrix(taps, kernel), laid)

    def double(self, images: jax.Array, kernel: jax.Array) -> jax.Array:
        _, height, width, _ = images.shape
        size = (2 * height, 2 * width)
        taps = _Taps.of((4, 4), (2, 2), ((1, 1), (1, 1)), size)
        # The 2x2 convolution reads what is before, fold writes to what is behind.
        inputs, outputs = kernel.shape[2], kernel.shape[3] // 4
        kernel = kernel[::-1, ::-1].reshape(2, 2, inputs, 2, 2, outputs)
        kernel = kernel.transpose(2, 0, 1, 3, 4, 5).reshape(inputs, -1)
        return _fold(taps, _product(kernel, images))

    def add(self, images: jax.Array, bias: jax.Array) -> jax.Array:
        return _biased(images, bias)

    def encode(self, images: jax.Array, kernel: jax.Array) -> jax.Array:
        channels, height, width, batch = images.shape
        kernel = kernel.reshape(height, width, channels, -1).transpose(2, 0, 1, 3)
        kernel = kernel.reshape(channels * height * width, -1)
        code = _product(kernel, images.reshape(-1, 1, 1, batch)).reshape(-1, batch)
        return jax.lax.optimization_barrier(code).T

    def decode(
        self,
        code: jax.Array,
        kernel: jax.Array,
        bias: jax.Array,
        image: tuple[int, int, int],
    ) -> jax.Array:
        height, width, channels = image

        def channels_first(weights: jax.Array) -> jax.Array:
            weights = weights.reshape(-1, height, width, channels)
            return weights.transpose(0, 3, 1, 2).reshape(weights.shape[0], -1)

        code = jax.lax.optimization_barrier(code.T)
        laid = _product(channels_first(kernel), code.reshape(*code.shape[:1], 1, 1, -1))
        biased = _biased(laid, channels_first(bias)[0])
        return biased.reshape(channels, height, width, -1)


@dataclasses.dataclass(frozen=True)
class _Taps:
    """How a kernel lies on an image, along height and along width.

    A kernel rounded up to whole strides is a dense one of `cells` cells on the coarse
    grid of stride x stride blocks of pixels.

    Attributes:
      image: pixels.
      strides: pixels between outputs.
      cells: of the coarse kernel.
      before: zeros before the image.
      outputs: places of the kernel.
    """

    image: tuple[int, ...]
    strides: tuple[int, ...]
    cells: tuple[int, ...]
    before: tuple[int, ...]
    outputs: tuple[int, ...]

    @classmethod
    def of(
        cls,
        kernel: Sequence[int],
        strides: Sequence[int],
        padding: Padding,
        image: Sequence[int],
    ) -> "_Taps":
        sides = list(zip(kernel, strides, padding, image, strict=True))
        return cls(
            image=tuple(image),
            strides=tuple(strides),
            cells=tuple(-(-k // s) for k, s, _, _ in sides),
            before=tuple(before for _, _, (before, _), _ in sides),
            outputs=tuple(
                (size + before + after - k) // s + 1
                for k, s, (before, after), size in sides
            ),
        )


def _matrix(taps: _Taps, kernel: jax.Array) -> jax.Array:
    """An HWIO kernel as (taps * inputs, outputs), in the order of `_window`."""
    (rows, columns), (sh, sw) = taps.cells, taps.strides
    height, width, inputs, outputs = kernel.shape
    missing = (0, rows * sh - height), (0, columns * sw - width), (0, 0), (0, 0)
    kernel = jnp.pad(kernel, missing)
    kernel = kernel.reshape(rows, sh, columns, sw, inputs, outputs)
    return kernel.transpose(0, 2, 1, 3, 4, 5).reshape(-1, outputs)


def _product(kernel: jax.Array, images: jax.Array) -> jax.Array:
    """(inputs, outputs) kernel over the channels of batch-last images."""
    product = weighted(kernel, images.reshape(images.shape[0], -1))
    return product.reshape(-1, *images.shape[1:])


@jax.custom_vjp
def weighted(kernel: jax.Array, columns: jax.Array) -> jax.Array:
    """kernel.T @ columns, every product in the form that XLA multiplies fastest.

    That is: the first operand as (rows, contracted), the longer side as rows.
    """
    return jax.lax.optimization_barrier(kernel.T) @ columns


def _slopes(
    saved: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    kernel, columns = saved
    if kernel.shape[0] < kernel.shape[1]:
        slope = jax.lax.optimization_barrier(cotangent @ columns.T).T
    else:
        slope = columns @ cotangent.T
    return slope, kernel @ cotangent


weighted.defvjp(
    lambda kernel, columns: (weighted(kernel, columns), (kernel, columns)),
    _slopes,
)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _window(taps: _Taps, images: jax.Array) -> jax.Array:
    """(channels, *taps.image, batch) -> (taps * channels, *taps.outputs, batch)."""
    channels, batch = images.shape[0], images.shape[3]
    (rows, columns), (sh, sw) = taps.cells, taps.strides
    (height, width), (top, left) = taps.outputs, taps.before
    tall, wide = height + rows - 1, width + columns - 1
    # The coarse grid may need fewer or more pixels at the far edge than the padding.
    bottom, right = (
        cells * stride - before - size
        for cells, stride, before, size in zip(
            (tall, wide), taps.strides, taps.before, taps.image, strict=True
        )
    )
    zero = jnp.zeros((), images.dtype)
    edges = ((0, 0, 0), (top, bottom, 0), (left, right, 0), (0, 0, 0))
    coarse = jax.lax.pad(images, zero, edges)
    coarse = coarse.reshape(channels, tall, sh, wide, sw, batch)
    coarse = coarse.transpose(2, 4, 0, 1, 3, 5).reshape(-1, tall, wide, batch)
    cells = [
        coarse[:, i : i + height, j : j + width]
        for i in range(rows)
        for j in range(columns)
    ]
    return jnp.concatenate(cells) if len(cells) > 1 else cells[0]


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _fold(taps: _Taps, laid: jax.Array) -> jax.Array:
    """The adjoint of `_window`: every pixel is the sum of the taps that read it."""
    (rows, columns), (sh, sw) = taps.cells, taps.strides
    (top, left), (height, width) = taps.before, taps.image
    batch = laid.shape[3]
    laid = laid.reshape(rows, columns, sh, sw, -1, *taps.outputs, batch)
    tall, wide = -(-height // sh), -(-width // sw)

    def pixels(r: int, c: int) -> jax.Array:
        """Those of rows r, r + sh, ... and columns c, c + sw, ..."""
        down, a = divmod(r + top, sh)
        across, b = divmod(c + left, sw)
        # A sum of shifted taps; XLA makes one loop of it, over contiguous memory.
        return sum(
            (
                _shifted(laid[i, j, a, b], (down - i, across - j), (tall, wide))
                for i in range(rows)
                for j in range(columns)
            ),
            start=jnp.zeros((), laid.dtype),
        )

    whole = jnp.stack(
        [jnp.stack([pixels(r, c) for c in range(sw)], 3) for r in range(sh)], 2
    )
    return whole.reshape(-1, tall * sh, wide * sw, batch)[:, :height, :width]


def _shifted(
    images: jax.Array, by: tuple[int, int], size: tuple[int, int]
) -> jax.Array:
    """Pixel p of the result, of the given size, is pixel p + by; 0 beyond the edge."""
    zero = jnp.zeros((), images.dtype)
    (down, across), (tall, wide) = by, size
    edges = (
        (0, 0, 0),
        (-down, tall + down - images.shape[1], 0),
        (-across, wide + across - images.shape[2], 0),
        (0, 0, 0),
    )
    return jax.lax.pad(images, zero, edges)


_window.defvjp(
    lambda taps, images: (_window(taps, images), None),
    lambda taps, _, cotangent: (_fold(taps, cotangent),),
)
_fold.defvjp(
    lambda taps, laid: (_fold(taps, laid), None),
    lambda taps, _, cotangent: (_window(taps, cotangent),),
)


@jax.custom_vjp
def _biased(images: jax.Array, bias: jax.Array) -> jax.Array:
    return images + bias.reshape(-1, 1, 1, 1)


def _biased_gradient(_: None, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    # A product with ones: XLA's reduction over a long axis is half as fast on CPU.
    flat = cotangent.reshape(cotangent.shape[0], -1)
    return cotangent, flat @ jnp.ones(flat.shape[1], flat.dtype)


_biased.defvjp(lambda images, bias: (_biased(images, bias), None), _biased_gradient)
