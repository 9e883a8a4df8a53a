"""Convolutions by matrix products on images that lie batch last, fast on a CPU.

XLA's native convolution gradients fall back to a naive path on CPU inside a compiled
loop: 10 to 200 times slower. Here images are (channels, height, width, batch), and a
convolution is `_window`, which lays the taps of a kernel below one another, and one
matrix product. Its adjoint `_fold` adds taps back to pixels, so that a transposed
convolution is one matrix product and `_fold`, and each is the other's gradient. With
the batch last every slice, shift and sum runs over contiguous memory. Kernels are HWIO
and features in NHWC order, as everywhere.
"""

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

Padding = Sequence[tuple[int, int]]
Algorithm = str | None  # of a product, a DotAlgorithmPreset; None: as everywhere


def enter(images: jax.Array) -> jax.Array:
    """(batch, height, width, channels) images into the layout."""
    return images.transpose(3, 1, 2, 0)


def leave(images: jax.Array) -> jax.Array:
    """The inverse of `enter`."""
    return images.transpose(3, 1, 2, 0)


def convolve(
    images: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: Padding,
    algorithm: Algorithm = None,
) -> jax.Array:
    """Cross-correlation with a kernel (height, width, channels_in, channels_out).

    Args:
      images: float (channels_in, height, width, batch).
      kernel: float.
      strides: pixels between outputs, along height and width.
      padding: zeros (before, after) along height and width; none is negative.
      algorithm: of the products, here and below.
    """
    taps = _Taps.of(kernel.shape[:2], strides, padding, images.shape[1:3])
    return product(_matrix(taps, kernel), _window(taps, images), algorithm)


def double(
    images: jax.Array, kernel: jax.Array, algorithm: Algorithm = None
) -> jax.Array:
    """The transposed convolution of `lossjax.models.layers.Double`, without its bias.

    Args:
      images: float (inputs, height, width, batch).
      kernel: float (2, 2, inputs, 4 * features).
    """
    _, height, width, _ = images.shape
    size = (2 * height, 2 * width)
    taps = _Taps.of((4, 4), (2, 2), ((1, 1), (1, 1)), size)
    # The 2x2 convolution reads what is before, fold writes to what is behind.
    inputs, outputs = kernel.shape[2], kernel.shape[3] // 4
    kernel = kernel[::-1, ::-1].reshape(2, 2, inputs, 2, 2, outputs)
    kernel = kernel.transpose(2, 0, 1, 3, 4, 5).reshape(inputs, -1)
    return _fold(taps, product(kernel, images, algorithm))


def flatten(
    images: jax.Array, kernel: jax.Array, algorithm: Algorithm = None
) -> jax.Array:
    """Images times a kernel (height * width * channels, features).

    Returns:
      float (batch, features).
    """
    channels, height, width, batch = images.shape
    kernel = kernel.reshape(height, width, channels, -1).transpose(2, 0, 1, 3)
    kernel = kernel.reshape(channels * height * width, -1)
    code = product(kernel, images.reshape(-1, 1, 1, batch), algorithm)
    return jax.lax.optimization_barrier(code.reshape(-1, batch)).T


def unflatten(
    code: jax.Array,
    kernel: jax.Array,
    bias: jax.Array,
    image: tuple[int, int, int],
    algorithm: Algorithm = None,
) -> jax.Array:
    """A code (batch, features) times a kernel (features, pixels), plus a bias.

    Returns:
      images in the layout, `image` is the (height, width, channels) of each.
    """
    height, width, channels = image

    def channels_first(weights: jax.Array) -> jax.Array:
        weights = weights.reshape(-1, height, width, channels)
        return weights.transpose(0, 3, 1, 2).reshape(weights.shape[0], -1)

    code = jax.lax.optimization_barrier(code.T)
    code = code.reshape(*code.shape[:1], 1, 1, -1)
    laid = product(channels_first(kernel), code, algorithm)
    biased = add(laid, channels_first(bias)[0])
    return biased.reshape(channels, height, width, -1)


@jax.custom_vjp
def add(images: jax.Array, bias: jax.Array) -> jax.Array:
    """Add a bias (channels,) to every pixel."""
    return images + bias.reshape(-1, 1, 1, 1)


def _add_gradient(_: None, cotangent: jax.Array) -> tuple[jax.Array, jax.Array]:
    # A product with ones: XLA's reduction over a long axis is half as fast on CPU.
    flat = cotangent.reshape(cotangent.shape[0], -1)
    return cotangent, flat @ jnp.ones(flat.shape[1], flat.dtype)


add.defvjp(lambda images, bias: (add(images, bias), None), _add_gradient)


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


def product(
    kernel: jax.Array, images: jax.Array, algorithm: Algorithm = None
) -> jax.Array:
    """(inputs, outputs) kernel over the channels of batch-last images."""
    product = weighted(kernel, images.reshape(images.shape[0], -1), algorithm)
    return product.reshape(-1, *images.shape[1:])


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def weighted(
    kernel: jax.Array, columns: jax.Array, algorithm: Algorithm = None
) -> jax.Array:
    """kernel.T @ columns, every product in the form that XLA multiplies fastest.

    That is: the first operand as (rows, contracted), the longer side as rows.
    """
    rows = jax.lax.optimization_barrier(kernel.T)
    return jnp.matmul(rows, columns, precision=algorithm)


def _slopes(
    algorithm: Algorithm, saved: tuple[jax.Array, jax.Array], cotangent: jax.Array
) -> tuple[jax.Array, jax.Array]:
    kernel, columns = saved
    matmul = functools.partial(jnp.matmul, precision=algorithm)
    if kernel.shape[0] < kernel.shape[1]:
        slope = jax.lax.optimization_barrier(matmul(cotangent, columns.T)).T
    else:
        slope = matmul(columns, cotangent.T)
    return slope, matmul(kernel, cotangent)


weighted.defvjp(
    lambda *operands: (weighted(*operands), operands[:2]),
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
