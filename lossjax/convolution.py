"""Convolutions that are fast where they run.

On CPU, XLA's native convolution gradients fall back to a naive path inside a compiled
loop: 10 to 200 times slower. There a convolution is written as shifted slices of a
space-to-depth image and one matrix product, exact and with gradients of the same form.
On GPU and TPU the native operation is the fast one. Images are NHWC, kernels HWIO, so a
parameter means the same on every backend.
"""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

Padding = Sequence[tuple[int, int]]


def convolve(
    images: jax.Array, kernel: jax.Array, strides: Sequence[int], padding: Padding
) -> jax.Array:
    """Cross-correlation of NHWC images with an HWIO kernel, lowered per backend.

    Args:
      images: float (batch, height, width, channels_in).
      kernel: float (kernel_height, kernel_width, channels_in, channels_out).
      strides: pixels between outputs, along height and width.
      padding: zeros (before, after) along height and width.

    Returns:
      float (batch, out_height, out_width, channels_out).
    """
    strides = tuple(strides)
    padding = tuple((before, after) for before, after in padding)
    return jax.lax.platform_dependent(
        images,
        kernel,
        cpu=functools.partial(_as_product, strides=strides, padding=padding),
        default=functools.partial(_native, strides=strides, padding=padding),
    )


def conv_general_dilated(
    lhs: jax.Array,
    rhs: jax.Array,
    window_strides: Sequence[int],
    padding: Padding,
    **options: Any,
) -> jax.Array:
    """`convolve` with the signature that flax layers inject; NHWC and HWIO only.

    Raises:
      NotImplementedError: dilation or feature groups, which this suite does not use.
    """
    for name in ("lhs_dilation", "rhs_dilation"):
        if any(factor != 1 for factor in options.get(name) or ()):
            raise NotImplementedError(f"conv_general_dilated: {name}")
    if options.get("feature_group_count", 1) != 1:
        raise NotImplementedError("conv_general_dilated: feature_group_count")
    return convolve(lhs, rhs, window_strides, padding)


def space_to_depth(images: jax.Array, factor: tuple[int, int]) -> jax.Array:
    """Fold each factor[0] x factor[1] block of pixels into channels, block-major.

    (batch, h * fh, w * fw, c) -> (batch, h, w, fh * fw * c).
    """
    batch, height, width, channels = images.shape
    fh, fw = factor
    blocks = images.reshape(batch, height // fh, fh, width // fw, fw, channels)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(
        batch, height // fh, width // fw, fh * fw * channels
    )


def depth_to_space(images: jax.Array, factor: tuple[int, int]) -> jax.Array:
    """The inverse of `space_to_depth`."""
    batch, height, width, channels = images.shape
    fh, fw = factor
    blocks = images.reshape(batch, height, width, fh, fw, channels // (fh * fw))
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(
        batch, height * fh, width * fw, channels // (fh * fw)
    )


def _native(
    images: jax.Array,
    kernel: jax.Array,
    *,
    strides: tuple[int, ...],
    padding: Padding,
) -> jax.Array:
    return jax.lax.conv_general_dilated(
        images, kernel, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _as_product(
    images: jax.Array,
    kernel: jax.Array,
    *,
    strides: tuple[int, ...],
    padding: Padding,
) -> jax.Array:
    sh, sw = strides
    kh, kw, channels, features = kernel.shape
    # A kernel rounded up to whole strides turns into a dense one on the coarse grid.
    rows, columns = -(-kh // sh), -(-kw // sw)
    (top, bottom), (left, right) = padding
    height = (images.shape[1] + top + bottom - kh) // sh + 1
    width = (images.shape[2] + left + right - kw) // sw + 1
    tall, wide = (height + rows - 1) * sh, (width + columns - 1) * sw
    # The coarse grid may need fewer or more pixels at the far edge than the padding.
    images = jax.lax.pad(
        images,
        jnp.zeros((), images.dtype),
        (
            (0, 0, 0),
            (top, tall - top - images.shape[1], 0),
            (left, wide - left - images.shape[2], 0),
            (0, 0, 0),
        ),
    )
    images = space_to_depth(images, (sh, sw))
    kernel = jnp.pad(
        kernel, ((0, rows * sh - kh), (0, columns * sw - kw), (0, 0), (0, 0))
    )
    kernel = kernel.reshape(rows, sh, columns, sw, channels, features)
    kernel = kernel.transpose(0, 2, 1, 3, 4, 5).reshape(-1, features)
    windows = [
        images[:, i : i + height, j : j + width]
        for i in range(rows)
        for j in range(columns)
    ]
    patches = jnp.concatenate(windows, axis=-1) if len(windows) > 1 else windows[0]
    product = patches.reshape(-1, patches.shape[-1]) @ kernel
    return product.reshape(*patches.shape[:3], features)
