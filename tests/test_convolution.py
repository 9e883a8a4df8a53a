"""The lowering that is fast in a loop is the same function as XLA's own."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lossjax.convolution import (
    conv_general_dilated,
    convolve,
    depth_to_space,
    space_to_depth,
)

CASES = [
    (4, 2, (1, 1), 1, 28),
    (4, 2, (1, 1), 3, 7),
    (3, 1, (1, 1), 2, 5),
    (3, 2, (0, 1), 3, 8),
    (2, 1, (1, 1), 4, 2),
    (5, 3, (2, 1), 2, 11),
    (1, 2, (0, 0), 3, 9),
]


def pair(kernel: int, channels: int, size: int) -> tuple[jax.Array, jax.Array]:
    generator = np.random.default_rng(kernel * size)
    images = generator.normal(size=(2, size, size + 1, channels))
    weights = generator.normal(size=(kernel, kernel, channels, 3))
    return jnp.asarray(images, jnp.float32), jnp.asarray(weights, jnp.float32)


@pytest.mark.parametrize("kernel, stride, pad, channels, size", CASES)
def test_agrees_with_the_native_convolution(
    kernel, stride, pad, channels, size
) -> None:
    images, weights = pair(kernel, channels, size)

    def ours(images: jax.Array, weights: jax.Array) -> jax.Array:
        return convolve(images, weights, (stride, stride), (pad, pad))

    def native(images: jax.Array, weights: jax.Array) -> jax.Array:
        return jax.lax.conv_general_dilated(
            images,
            weights,
            (stride, stride),
            (pad, pad),
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
        )

    outputs = []
    for function in (ours, native):

        @jax.jit
        def run(images, weights, function=function):
            out, pullback = jax.vjp(function, images, weights)
            return out, *pullback(jnp.sin(out))

        outputs.append(run(images, weights))
    for found, expected in zip(*outputs, strict=True):
        scale = jnp.max(jnp.abs(expected))
        np.testing.assert_allclose(found / scale, expected / scale, atol=1e-5)


def test_rows_and_columns_have_their_own_stride_and_padding() -> None:
    images, weights = pair(3, 2, 8)
    strides, padding = (2, 1), ((1, 0), (0, 2))
    native = jax.lax.conv_general_dilated(
        images, weights, strides, padding, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    found = convolve(images, weights, strides, padding)
    np.testing.assert_allclose(found, native, atol=1e-4)


def test_depth_to_space_undoes_space_to_depth() -> None:
    images = jnp.arange(2 * 4 * 6 * 3.0).reshape(2, 4, 6, 3)
    folded = space_to_depth(images, (2, 3))
    assert folded.shape == (2, 2, 2, 18)
    np.testing.assert_array_equal(folded[0, 0, 0, :3], images[0, 0, 0])
    np.testing.assert_array_equal(depth_to_space(folded, (2, 3)), images)


def test_refuses_what_it_does_not_do() -> None:
    images, weights = pair(3, 2, 8)
    for options in (
        {"lhs_dilation": (2, 2)},
        {"rhs_dilation": (1, 2)},
        {"feature_group_count": 2},
    ):
        with pytest.raises(NotImplementedError, match=next(iter(options))):
            conv_general_dilated(images, weights, (1, 1), ((0, 0), (0, 0)), **options)


def test_every_platform_gets_its_own_form() -> None:
    images, weights = pair(4, 1, 8)
    lowered = {
        platform: jax.export.export(
            jax.jit(lambda x, k: convolve(x, k, (2, 2), ((1, 1), (1, 1)))),
            platforms=[platform],
        )(images, weights).mlir_module()
        for platform in ("cpu", "cuda", "tpu")
    }
    assert "stablehlo.convolution" not in lowered["cpu"]
    for platform, _ in itertools.product(("cuda", "tpu"), [0]):
        assert "stablehlo.convolution" in lowered[platform]
