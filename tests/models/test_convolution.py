"""The lowering that is fast in a loop is the same function as XLA's own."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lossjax.models.convolution import convolve
from lossjax.models.layers import BATCH_LAST, NATIVE, PRECISIONS

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


LATE = [pytest.param(*case, marks=pytest.mark.slow) for case in CASES[5:]]


@pytest.mark.parametrize("kernel, stride, pad, channels, size", CASES[:5] + LATE)
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


def normal(*shape: int) -> jax.Array:
    values = np.random.default_rng(sum(shape)).normal(size=shape)
    return jnp.asarray(values, jnp.float32)


# A layer of a form, and what it is given: images, but for `unflatten`.
LAYERS: dict[str, tuple[Callable[..., nnx.Module], jax.Array]] = {
    "halve": (lambda form, **k: form.halve(3, 5, **k), normal(2, 6, 4, 3)),
    "double": (lambda form, **k: form.double(4, 3, **k), normal(2, 5, 3, 4)),
    "double one pixel": (lambda form, **k: form.double(3, 1, **k), normal(2, 1, 1, 3)),
    "flatten": (lambda form, **k: form.flatten((3, 4, 5), 7, **k), normal(2, 3, 4, 5)),
    "unflatten": (lambda form, **k: form.unflatten(7, (3, 4, 5), **k), normal(2, 7)),
}


@pytest.mark.parametrize(
    "dtype, tolerance",
    [
        ("float32", 1e-5),
        pytest.param("bfloat16", 6e-2, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("name", LAYERS)
def test_both_forms_of_a_layer_are_one_function_of_one_set_of_parameters(
    name: str, dtype: str, tolerance: float
) -> None:
    make, given = LAYERS[name]
    params = None
    outputs = []
    for form in (NATIVE, BATCH_LAST):
        layer = make(form, precision=PRECISIONS[dtype], rngs=nnx.Rngs(0))
        graph, state = nnx.split(layer)
        if params is None:  # every number its own, biases too
            params = jax.tree.map(lambda x: normal(*x.shape), nnx.to_pure_dict(state))

        def layer_of(params, given, graph=graph, form=form):
            inside = form.enter(given) if given.ndim == 4 else given
            out = nnx.merge(graph, params)(inside)
            return form.leave(out) if out.ndim == 4 else out

        @jax.jit
        def run(params, given, layer_of=layer_of):
            out, pullback = jax.vjp(layer_of, params, given)
            return out, pullback(jnp.sin(out))

        outputs.append(run(params, given))
        assert outputs[-1][0].dtype == dtype
    for found, expected in zip(*map(jax.tree.leaves, outputs), strict=True):
        scale = jnp.max(jnp.abs(expected))
        np.testing.assert_allclose(
            (found / scale).astype("float32"),
            (expected / scale).astype("float32"),
            atol=tolerance,
        )


def test_double_is_the_transposed_convolution() -> None:
    double = NATIVE.double(4, 3, precision=PRECISIONS["float32"], rngs=nnx.Rngs(0))
    images, kernel = normal(2, 5, 3, 4), double.conv.kernel[...]
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
    np.testing.assert_allclose(double(images), expected, atol=1e-5)


def platform_text(layer: nnx.Module, images: jax.Array, platform: str) -> str:
    run = jax.jit(lambda images: layer(images))
    return jax.export.export(run, platforms=[platform])(images).mlir_module()


def test_a_flax_layer_takes_the_convolution() -> None:
    """As its `conv_general_dilated`: the same numbers, products on CPU alone."""
    images = normal(2, 8, 7, 3)
    for how in ({"strides": 2}, {"padding": ((1, 0), (2, 2))}, {"padding": "VALID"}):
        own, plain = (
            nnx.Conv(3, 4, (3, 3), rngs=nnx.Rngs(0), **how, **injected)
            for injected in ({"conv_general_dilated": convolve}, {})
        )
        np.testing.assert_allclose(own(images), plain(images), atol=1e-5)
        assert "stablehlo.convolution" not in platform_text(own, images, "cpu")
        assert "stablehlo.convolution" in platform_text(own, images, "cuda")


def test_what_is_no_plain_convolution_is_left_to_xla() -> None:
    images = normal(2, 8, 7, 4)
    for how in ({"kernel_dilation": 2}, {"feature_group_count": 2}):
        own, plain = (
            nnx.Conv(4, 4, (3, 3), rngs=nnx.Rngs(0), **how, **injected)
            for injected in ({"conv_general_dilated": convolve}, {})
        )
        np.testing.assert_array_equal(own(images), plain(images))
        assert "stablehlo.convolution" in platform_text(own, images, "cpu")


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
    for platform in ("cuda", "tpu"):
        assert "stablehlo.convolution" in lowered[platform]
