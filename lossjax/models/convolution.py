"""A convolution for Flax layers that is fast in a compiled loop on every backend."""

from collections.abc import Sequence
from typing import Any

import jax

from lossjax.models import batch_last

_NHWC = jax.lax.ConvDimensionNumbers((0, 3, 1, 2), (3, 2, 0, 1), (0, 3, 1, 2))
_PLAIN: dict[str, Any] = {
    "lhs_dilation": (1, 1),
    "rhs_dilation": (1, 1),
    "feature_group_count": 1,
    "precision": None,
    "out_sharding": None,
}


def convolve(
    images: jax.Array,
    kernel: jax.Array,
    strides: Sequence[int],
    padding: str | batch_last.Padding,
    *,
    dimension_numbers: Any = _NHWC,
    **options: Any,
) -> jax.Array:
    """`jax.lax.conv_general_dilated`, on CPU by matrix products where it can be.

    That is for NHWC images, HWIO kernels, and `options` that ask for nothing special;
    all others get XLA's own convolution. `nnx.Conv(..., conv_general_dilated=convolve)`
    makes a layer's gradients fast in a loop.
    """

    def native(images: jax.Array, kernel: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            images,
            kernel,
            strides,
            padding,
            dimension_numbers=dimension_numbers,
            **options,
        )

    plain = all(value == _PLAIN.get(name) for name, value in options.items())
    if images.ndim != 4 or dimension_numbers != _NHWC or not plain:
        return native(images, kernel)
    if isinstance(padding, str):
        sides = images.shape[1:3], kernel.shape[:2]
        padding = jax.lax.padtype_to_pads(*sides, strides, padding)
    if min(min(pair) for pair in padding) < 0:
        return native(images, kernel)

    def products(images: jax.Array, kernel: jax.Array) -> jax.Array:
        inside = batch_last.enter(images)
        return batch_last.leave(batch_last.convolve(inside, kernel, strides, padding))

    return jax.lax.platform_dependent(images, kernel, cpu=products, default=native)
