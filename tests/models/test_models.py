"""Models: shapes for any image, stated sizes, starts that no loss changes."""

import re
from collections.abc import Callable, Iterator

import contributing
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from lossjax.models import autoencoders, bodies
from lossjax.models.autoencoders import (
    MODELS,
    PRECISIONS,
    Shape,
    autoencoder,
    build,
)
from lossjax.models.layers import BATCH_LAST, NATIVE, Form
from lossjax.models.variants import row as row_of

every_model = pytest.mark.parametrize("name", MODELS)
IMAGES = [(8, 8, 1), (28, 28, 1), (32, 32, 3), (7, 9, 1), (5, 2, 3)]


def start(shape: Shape) -> jax.Array:
    return jnp.arange(1.0, 1 + shape.blocks * shape.image[2])


@every_model
@pytest.mark.parametrize("image", IMAGES, ids=str)
@pytest.mark.parametrize("blocks", [1, 2])
def test_shapes_for_any_image(name: str, image: tuple, blocks: int) -> None:
    shape = Shape(image, blocks, latent_dim=5)
    network = build(name, shape)
    params = jax.eval_shape(network.init, jax.random.key(0), start(shape))
    out = jax.eval_shape(network.apply, params, jnp.zeros((3, *image)))
    assert out.raw.shape == (3, *image[:2], image[2] * blocks)
    assert out.code.shape == (3, 5)


@pytest.mark.parametrize(
    "name, size",
    [
        # 4x4x1x16+16, 4x4x16x32+32, 128x8+8, 8x128+128, 4x4x32x16+16, 4x4x16x1+1
        ("conv_ae", 272 + 8224 + 1032 + 1152 + 8208 + 257),
        ("mlp_ae", 64 * 128 + 128 + 128 * 8 + 8 + 8 * 128 + 128 + 128 * 64 + 64),
        ("linear_ae", 64 * 8 + 8 + 8 * 64 + 64),
    ],
)
def test_parameter_count(name: str, size: int) -> None:
    network = build(name, Shape((8, 8, 1)))
    params = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros(1))
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == size


@every_model
def test_start_does_not_depend_on_the_blocks(name: str) -> None:
    images = jax.random.uniform(jax.random.key(1), (4, 7, 9, 3))
    outs = []
    for blocks in (1, 3):
        shape = Shape((7, 9, 3), blocks, latent_dim=5)
        network = build(name, shape)
        params = jax.jit(network.init)(jax.random.key(0), start(shape))
        outs.append(network.apply(params, images))
    np.testing.assert_array_equal(outs[0].code, outs[1].code)
    np.testing.assert_allclose(outs[0].raw, outs[1].raw[..., :3], atol=1e-5)
    further = jnp.broadcast_to(jnp.arange(4.0, 10.0), (4, 7, 9, 6))
    np.testing.assert_array_equal(outs[1].raw[..., 3:], further)


@every_model
def test_kernels_start_at_unit_gain(name: str) -> None:
    """LeCun normal: the variance of a kernel is one over its fan-in."""
    network = build(name, Shape((28, 28, 1), latent_dim=64))
    params = jax.jit(network.init)(jax.random.key(0), jnp.zeros(1))
    flat = jax.tree_util.tree_flatten_with_path(params)[0]
    kernels = {jax.tree_util.keystr(path): leaf for path, leaf in flat if leaf.ndim > 1}
    assert len({float(leaf.reshape(-1)[0]) for leaf in kernels.values()}) == len(
        kernels
    )
    for path, leaf in kernels.items():
        if leaf.size > 2000:
            fan_in = np.prod(leaf.shape[:-1])
            assert float(leaf.std() * fan_in**0.5) == pytest.approx(1, abs=0.05), path
            assert abs(float(leaf.mean() * fan_in**0.5)) < 0.1, path


@pytest.mark.parametrize("form", [NATIVE, BATCH_LAST], ids=["native", "batch last"])
@pytest.mark.parametrize("name", [*sorted(set(MODELS) - {"res_ae"}), "vae(clip=0.2)"])
def test_a_model_is_a_flax_module_of_the_same_parameters(name: str, form: Form) -> None:
    shape = Shape((7, 9, 3), 2, latent_dim=5)
    network = build(name, shape)
    params = jax.jit(network.init)(jax.random.key(0), start(shape))
    module = autoencoder(name, shape, rngs=nnx.Rngs(1), form=form)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(
        jnp.shape, nnx.to_pure_dict(nnx.state(module))
    )
    nnx.update(module, params)
    images = jax.random.uniform(jax.random.key(1), (4, 7, 9, 3))
    found, expected = module(images), jax.jit(network.apply)(params, images)
    np.testing.assert_allclose(found.raw, expected.raw, rtol=1e-6, atol=2e-6)
    np.testing.assert_allclose(found.code, expected.code, rtol=1e-6, atol=2e-6)
    assert found.raw.shape == (4, 7, 9, 6) and found.code.shape == (4, 5)


def test_flax_prints_every_layer_with_its_shapes() -> None:
    module = autoencoder("conv_ae", Shape((28, 28, 1)), rngs=nnx.Rngs(0))
    table = nnx.tabulate(
        module, jnp.zeros((5, 28, 28, 1)), console_kwargs={"width": 200}
    )
    text = re.sub(r"\x1b\[[0-9;]*m", "", table)  # without its colours
    rows = [line.split() for line in text.splitlines() if "float32" in line]
    shapes = {row[1]: row[5:9:2] for row in rows if row[3] in ("Halve", "Double")}
    assert shapes["down/0"] == ["float32[5,28,28,1]", "float32[5,14,14,16]"]
    assert shapes["head"] == ["float32[5,14,14,16]", "float32[5,28,28,1]"]
    assert "Total Parameters: 43,625" in text


def test_seeds_differ() -> None:
    network = build("conv_ae", Shape((8, 8, 1)))
    a, b = (network.init(jax.random.key(seed), jnp.zeros(1)) for seed in (0, 1))
    assert not np.allclose(a["encode"]["kernel"], b["encode"]["kernel"])


def test_linear_ae_is_linear() -> None:
    shape = Shape((4, 4, 1), latent_dim=3)
    network = build("linear_ae", shape)
    params = network.init(jax.random.key(0), jnp.full(1, 0.3))
    x, y = jax.random.uniform(jax.random.key(1), (2, 1, 4, 4, 1))
    f = lambda images: network.apply(params, images).raw - 0.3  # noqa: E731
    np.testing.assert_allclose(f(x + y), f(x) + f(y), atol=1e-5)


def test_refuses_sizes_that_make_no_network() -> None:
    for shape in (Shape((1, 8, 1)), Shape((8, 8, 1), latent_dim=0)):
        with pytest.raises(ValueError, match="sizes must be positive"):
            build("conv_ae", shape)
    with pytest.raises(ValueError, match="unknown model 'conv': did you mean conv_ae"):
        build("conv", Shape((8, 8, 1)))


@pytest.mark.slow
def test_bfloat16_computes_otherwise_and_keeps_float32_weights_and_output() -> None:
    images = jnp.asarray(np.random.default_rng(0).uniform(size=(4, 8, 8, 1)), "float32")
    raws = []
    for precision in ("float32", "bfloat16"):
        network = build("conv_ae", Shape((8, 8, 1), width=(4, 8), precision=precision))
        params = jax.jit(network.init)(jax.random.key(0), jnp.zeros(1))
        assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.float32.dtype}
        raw, code = jax.jit(network.apply)(params, images)
        assert raw.dtype == code.dtype == jnp.float32
        raws.append(raw)
    error = jnp.max(jnp.abs(raws[0] - raws[1])) / jnp.max(jnp.abs(raws[0]))
    assert 1e-4 < error < 3e-2


@pytest.mark.parametrize("name", ["conv_ae", "mlp_ae"])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_precision_is_of_every_product_on_a_gpu(name: str, precision: str) -> None:
    """Of the gradient's too; a convolution would be computed in a lower one."""
    network = build(name, Shape((8, 8, 1), width=(4, 8), precision=precision))
    params = jax.eval_shape(network.init, jax.random.key(0), jnp.zeros(1))
    images = jax.ShapeDtypeStruct((16, 8, 8, 1), jnp.float32)
    slope = jax.jit(jax.grad(lambda p, x: jnp.sum(network.apply(p, x).raw ** 2)))
    text = slope.trace(params, images).lower(lowering_platforms=("cuda",)).as_text()
    lines = text.splitlines()
    # A bias's gradient is a product with ones, which no algorithm makes faster.
    products = [
        line
        for line in lines
        if "stablehlo.dot_general" in line
        and not re.search(r"tensor<\d+xf32>\) ->", line)
    ]
    threefold = [line for line in products if "num_primitive_operations = 3" in line]
    halved = [line for line in products if "bf16" in line]
    native = [line for line in lines if "stablehlo.convolution" in line]
    assert len(threefold) == (len(products) if precision == "tf32x3" else 0)
    assert len(halved) == (len(products) if precision == "bfloat16" else 0)
    assert len(products) >= (11 if native == [] else 5)
    assert bool(native) == (name == "conv_ae" and precision != "tf32x3")


@pytest.fixture
def another(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], str]]:
    """Adds a body to the table, as its file and its row say; the model's name."""

    def add(code: str, row: str) -> str:
        names = vars(bodies) | {"__name__": "another"}
        exec(code, names)
        ((body, kind),) = eval(f"{{{row}}}", names).items()
        monkeypatch.setattr(autoencoders, "BODIES", dict(bodies.BODIES) | {body: kind})
        model = row_of(f"{body}_ae", body=body)
        monkeypatch.setattr(autoencoders, "MODELS", {model.family: model})
        autoencoders._resolved.cache_clear()
        return model.family

    yield add
    autoencoders._resolved.cache_clear()


def test_the_example_for_contributors_is_a_whole_model(
    another: Callable[[str, str], str],
) -> None:
    name = another(*contributing.example("A model"))
    test_shapes_for_any_image(name, (5, 2, 3), 2)
    test_a_model_is_a_flax_module_of_the_same_parameters(name, NATIVE)
    params = jax.eval_shape(
        build(name, Shape((8, 8, 1))).init, jax.random.key(0), jnp.zeros(1)
    )
    size = 64 * 8 + 8 + 8 * 128 + 128 + 128 * 64 + 64
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == size


def test_a_body_without_a_head_is_told_the_step(
    another: Callable[[str, str], str],
) -> None:
    code, row = contributing.example("A model")
    name = another(f"{code}        del self.head\n", row)
    network = build(name, Shape((8, 8, 1)))
    with pytest.raises(ValueError, match=r"layers are: down, up .*A model, step 1"):
        jax.eval_shape(network.init, jax.random.key(0), jnp.zeros(1))
