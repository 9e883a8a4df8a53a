"""The lowering that is fast in a loop is the same function as XLA's own."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lossjax.models.convolution import BatchLast, Native, convolve

CASES = [
    (4, 2, (1, 1), 1, 28),
    (4, 2, (1, 1), 3, 7),
    (3, 1, (1, 1), 2, 5),
    (3, 2, (0, 1), 3, 8),
    (2, 1, (1, 1), 4, 2),
    (5, 3, (2, 1), 2, 11),
    (1, 2, (0, 0), 3, 9),
    (4, 2, (1, 1), 2, 9),
    (2, 2, (0, 0), 1, 7),
    (3, 1, (0, 2), 1, 3),
    (5, 2, (2, 2), 4, 13),
    (4, 3, (1, 0), 2, 10),
    (4, 1, (2, 1), 2, 6),
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


def both(operation, *operands) -> list:
    """Output and gradients of an operation in either lowering, images as NHWC."""
    found = []
    for lowering in (BatchLast(), Native()):

        def run(*operands, lowering=lowering):
            return operation(lowering, *operands)

        out, pullback = jax.vjp(run, *operands)
        found.append((out, *pullback(jnp.sin(out))))
    return found


def normal(*shape: int) -> jax.Array:
    values = np.random.default_rng(sum(shape)).normal(size=shape)
    return jnp.asarray(values, jnp.float32)


OPERATIONS = {
    "double": (
        lambda low, x, k: low.leave(low.double(low.enter(x), k)),
        normal(2, 5, 3, 4),
        normal(2, 2, 4, 12),
    ),
    "double one pixel": (
        lambda low, x, k: low.leave(low.double(low.enter(x), k)),
        normal(2, 1, 1, 3),
        normal(2, 2, 3, 4),
    ),
    "add": (
        lambda low, x, b: low.leave(low.add(low.enter(x), b)),
        normal(2, 3, 4, 5),
        normal(5),
    ),
    "encode": (
        lambda low, x, k: low.encode(low.enter(x), k),
        normal(2, 3, 4, 5),
        normal(60, 7),
    ),
    "decode": (
        lambda low, z, k, b: low.leave(low.decode(z, k, b, (3, 4, 5))),
        normal(2, 7),
        normal(7, 60),
        normal(60),
    ),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_both_lowerings_are_the_same_function(name: str) -> None:
    operation, *operands = OPERATIONS[name]
    ours, native = both(operation, *operands)
    for found, expected in zip(ours, native, strict=True):
        scale = jnp.max(jnp.abs(expected))
        np.testing.assert_allclose(found / scale, expected / scale, atol=1e-5)


def test_double_is_the_transposed_convolution() -> None:
    images, kernel = normal(2, 5, 3, 4), normal(2, 2, 4, 12)
    # Pixel 2 p + a of the 2x2 convolution's blocks reads input p + i - 1 by cell i: tap
    # 2 i + 1 - a of a kernel over an image spread with zeros is block a of cell i.
    blocks = kernel.reshape(2, 2, 4, 2, 2, 3)[:, :, :, ::-1, ::-1]
    taps = blocks.transpose(0, 3, 1, 4, 2, 5).reshape(4, 4, 4, 3)
    expected = jax.lax.conv_transpose(
        images,
        taps,
        (2, 2),
        ((2, 2), (2, 2)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    np.testing.assert_allclose(Native().double(images, kernel), expected, atol=1e-5)


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
