"""Autoencoders as two pure functions; no other module knows which Flax API is used."""

import functools
import math
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from lossjax.losses.naming import read
from lossjax.models.convolution import Lowering, lowered
from lossjax.models.corruption import Corruption
from lossjax.models.variants import Latent, Model, row

# Standard deviation of a standard normal cut off at -2 and 2.
_TRUNCATED_DEVIATION = 0.87962566103423978


class Output(NamedTuple):
    """What a network says of a batch of images."""

    raw: jax.Array  # (batch, height, width, channels * blocks), before any link
    code: jax.Array  # (batch, latent_dim); of a variational model the mean


@dataclass(frozen=True)
class Shape:
    """What sizes a network: the image, the code, and the layers between.

    Attributes:
      image: (height, width, channels).
      blocks: channels of raw output for each image channel; a loss's `channels`.
      latent_dim: size of the code.
      width: channels of each stride-2 convolution (conv_ae).
      hidden: units of each hidden layer (mlp_ae).
      precision: what the network computes in, a key of PRECISIONS; weights stay float32
        and so does raw output.
      head_scale: factor on the last layer's initial kernel.
    """

    image: tuple[int, int, int]
    blocks: int = 1
    latent_dim: int = 8
    width: tuple[int, ...] = (16, 32)
    hidden: tuple[int, ...] = (128,)
    precision: str = "float32"
    head_scale: float = 1.0


@dataclass(frozen=True)
class Network:
    """A model of a given shape.

    Attributes:
      init: (key, start) -> params. `start`, float (channels * blocks,), is the raw
        output of a constant image: the head's bias. For one key every layer but the
        head, and the head's first `channels` outputs, start alike for every `blocks`.
      apply: (params, images) -> Output; images float (batch, height, width, channels)
        in [0, 1]. A variational model decodes the mean of its code.
      outputs: channels of raw output, channels * blocks.
      encode: (params, images) -> (batch, latent_dim), of a variational model
        (batch, 2 * latent_dim): means, then the logarithms of variances.
      decode: (params, code (batch, latent_dim)) -> raw.
      latent_dim: size of the code.
      corrupt: (key, images) -> what is encoded in training and when scored.
      latent: of a variational model how its code is paid for.
    """

    init: Callable[[jax.Array, jax.Array], Any]
    apply: Callable[[Any, jax.Array], Output]
    outputs: int
    encode: Callable[[Any, jax.Array], jax.Array]
    decode: Callable[[Any, jax.Array], jax.Array]
    latent_dim: int
    corrupt: Corruption | None = None
    latent: Latent | None = None


class _Upsample(nnx.Module):
    """A 4x4 stride-2 transposed convolution, its kernel that of a 2x2 convolution."""

    def __init__(self, inputs: int, features: int, *, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(inputs, 4 * features, (2, 2), use_bias=False, rngs=rngs)
        self.bias = nnx.Param(jnp.zeros((features,)))

    def __call__(self, lowering: Lowering, images: jax.Array) -> jax.Array:
        doubled = lowering.double(images, self.conv.kernel[...])
        return lowering.add(doubled, self.bias[...])


def _weights(layer: nnx.Conv | nnx.Linear) -> tuple[jax.Array, jax.Array]:
    """Kernel and bias of a layer that has both."""
    assert layer.bias is not None
    return layer.kernel[...], layer.bias[...]


class _ConvAutoencoder(nnx.Module):
    """Stride-2 4x4 convolutions to a code and back.

    An image whose sides are no multiple of 2^len(width) is padded with its edge on the
    way in and cropped on the way out.
    """

    def __init__(self, shape: Shape, codes: int, *, rngs: nnx.Rngs) -> None:
        factor = 2 ** len(shape.width)
        height, width, channels = shape.image
        self.image = (height, width)
        self.coarse = (-(-height // factor), -(-width // factor), shape.width[-1])
        inputs = (channels, *shape.width[:-1])
        self.down = nnx.List(
            nnx.Conv(before, after, (4, 4), strides=(2, 2), rngs=rngs)
            for before, after in zip(inputs, shape.width, strict=True)
        )
        size = math.prod(self.coarse)
        self.encode = nnx.Linear(size, codes, rngs=rngs)
        self.decode = nnx.Linear(shape.latent_dim, size, rngs=rngs)
        back = shape.width[::-1]
        self.up = nnx.List(
            _Upsample(before, after, rngs=rngs)
            for before, after in zip(back[:-1], back[1:], strict=True)
        )
        self.head = _Upsample(back[-1], channels * shape.blocks, rngs=rngs)

    def code_of(self, images: jax.Array) -> jax.Array:
        height, width = self.image
        factor = 2 ** len(self.down)
        bottom, right = -height % factor, -width % factor
        if bottom or right:
            images = jnp.pad(images, ((0, 0), (0, bottom), (0, right), (0, 0)), "edge")
        return lowered(self._code, images)

    def raw_of(self, code: jax.Array) -> jax.Array:
        height, width = self.image
        return lowered(self._raw, code)[:, :height, :width]

    def _code(self, lowering: Lowering, images: jax.Array) -> jax.Array:
        hidden = lowering.enter(images)
        for conv in self.down:
            kernel, bias = _weights(conv)
            halved = lowering.convolve(hidden, kernel, (2, 2), ((1, 1), (1, 1)))
            hidden = jax.nn.relu(lowering.add(halved, bias))
        kernel, bias = _weights(self.encode)
        return lowering.encode(hidden, kernel) + bias.reshape(1, -1)

    def _raw(self, lowering: Lowering, code: jax.Array) -> jax.Array:
        kernel, bias = _weights(self.decode)
        hidden = jax.nn.relu(lowering.decode(code, kernel, bias, self.coarse))
        for double in self.up:
            hidden = jax.nn.relu(double(lowering, hidden))
        return lowering.leave(self.head(lowering, hidden))


class _DenseAutoencoder(nnx.Module):
    """Fully connected layers to a code and back; no hidden layer makes it linear."""

    def __init__(
        self, shape: Shape, codes: int, hidden: tuple[int, ...], *, rngs: nnx.Rngs
    ) -> None:
        self.image = shape.image
        pixels = math.prod(shape.image)
        sizes = (pixels, *hidden, codes)
        self.down = nnx.List(
            nnx.Linear(before, after, rngs=rngs)
            for before, after in zip(sizes[:-1], sizes[1:], strict=True)
        )
        back = (shape.latent_dim, *hidden[::-1])
        self.up = nnx.List(
            nnx.Linear(before, after, rngs=rngs)
            for before, after in zip(back[:-1], back[1:], strict=True)
        )
        self.head = nnx.Linear(back[-1], pixels * shape.blocks, rngs=rngs)

    def code_of(self, images: jax.Array) -> jax.Array:
        hidden = images.reshape(images.shape[0], -1)
        for layer in self.down[:-1]:
            hidden = jax.nn.relu(layer(hidden))
        return self.down[-1](hidden)

    def raw_of(self, code: jax.Array) -> jax.Array:
        height, width, _ = self.image
        hidden = code
        for layer in self.up:
            hidden = jax.nn.relu(layer(hidden))
        raw = self.head(hidden)
        outputs = raw.shape[1] // (height * width)
        return raw.reshape(-1, height, width, outputs)


def _dense(shape: Shape, codes: int, *, rngs: nnx.Rngs) -> nnx.Module:
    return _DenseAutoencoder(shape, codes, shape.hidden, rngs=rngs)


def _linear(shape: Shape, codes: int, *, rngs: nnx.Rngs) -> nnx.Module:
    return _DenseAutoencoder(shape, codes, (), rngs=rngs)


# What a network computes in; its weights, its output and every loss stay float32.
PRECISIONS: Mapping[str, Any] = types.MappingProxyType(
    {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
)

# A body's last layer is its attribute `head`: see `_initial`.
_BODIES: Mapping[str, Callable[..., Any]] = types.MappingProxyType(
    {"conv": _ConvAutoencoder, "mlp": _dense, "linear": _linear}
)
MODELS: Mapping[str, Model] = types.MappingProxyType(
    {
        model.family: model
        for model in (
            row("conv_ae", body="conv"),
            row("mlp_ae", body="mlp"),
            row("linear_ae", body="linear"),
            row("vae", body="conv", variational=True),
        )
    }
)


@functools.lru_cache(maxsize=1024)
def resolve(text: str) -> Model:
    """The model that `name` or `name(keyword=value, ...)` describes.

    Args:
      text: for example "conv_ae", 'mlp_ae(noise="masking", amount=0.5)' or
        'vae(body="mlp", beta=4)'; words may stand without quotes.

    Raises:
      ValueError: unknown name or argument, a value out of its range, or anything that
        is not of that form; one line with the valid names and the nearest one.

    >>> resolve("vae(beta=1, body=mlp)").name
    'vae(body="mlp")'
    """
    table = {model.family: model.parameters for model in MODELS.values()}
    family, values = read(text, "model", table)
    return MODELS[family].with_arguments(values)


def build(name: str, shape: Shape) -> Network:
    """The network of a model.

    Args:
      name: what `resolve` reads.
      shape: its sizes.

    Raises:
      ValueError: no such model, a size is not positive, or the image is smaller than
        2x2.
    """
    model = resolve(name)
    sizes = (*shape.image, shape.blocks, shape.latent_dim, *shape.width, *shape.hidden)
    if min(sizes) < 1 or min(shape.image[:2]) < 2:
        raise ValueError(f"build: sizes must be positive, images 2x2 or more: {shape}")
    codes = shape.latent_dim * (1 if model.latent is None else 2)
    make = functools.partial(_BODIES[model.body], shape, codes)
    graph, state = nnx.split(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0))))
    weights = nnx.to_pure_dict(state)

    compute = PRECISIONS[shape.precision]

    def inside(params: Any, values: jax.Array) -> tuple[Any, jax.Array]:
        """The network and what it is given, in what it computes in."""
        cast = jax.tree.map(lambda leaf: leaf.astype(compute), params)
        return nnx.merge(graph, cast), values.astype(compute)

    def encode(params: Any, images: jax.Array) -> jax.Array:
        network, images = inside(params, images)
        return network.code_of(images).astype(jnp.float32)

    def decode(params: Any, code: jax.Array) -> jax.Array:
        network, code = inside(params, code)
        raw = network.raw_of(code).astype(jnp.float32)
        if model.latent is None or model.latent.clip == 0:
            return raw
        return jnp.clip(raw, -model.latent.bound, model.latent.bound)

    def apply(params: Any, images: jax.Array) -> Output:
        code = encode(params, images)
        if model.variational:
            code = code[:, : shape.latent_dim]
        return Output(decode(params, code), code)

    return Network(
        functools.partial(_initial, weights, shape),
        apply,
        shape.image[2] * shape.blocks,
        encode,
        decode,
        shape.latent_dim,
        model.corrupt,
        model.latent,
    )


def _initial(weights: Any, shape: Shape, key: jax.Array, start: jax.Array) -> Any:
    """Initial values of all weights: LeCun normal kernels, zero biases, `start`.

    One draw serves all kernels (compiled random numbers are dear), the head's last and
    only for its first block, so that nothing depends on the number of blocks. The
    head's further blocks start at zero: constants, given by `start`.
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(weights)
    paths = [
        jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves
    ]
    shapes = [leaf.shape for _, leaf in leaves]
    kernels = [i for i, path in enumerate(paths) if path.endswith("kernel")]
    kernels.sort(key=lambda i: (paths[i].startswith("head"), i))
    sizes = [
        math.prod(shapes[i]) // (shape.blocks if paths[i].startswith("head") else 1)
        for i in kernels
    ]
    draws = jax.random.truncated_normal(key, -2, 2, (sum(sizes),), jnp.float32)
    values = [jnp.zeros(s, jnp.float32) for s in shapes]
    parts = jnp.split(draws, np.cumsum(sizes)[:-1])
    for i, part in zip(kernels, parts, strict=True):
        fan_in = math.prod(shapes[i][:-1])
        part = part / (_TRUNCATED_DEVIATION * math.sqrt(fan_in))
        if paths[i].startswith("head"):
            part = part.reshape(-1, shape.image[2]) * shape.head_scale
            further = (shape.blocks - 1) * shape.image[2]
            part = jnp.pad(part, ((0, 0), (0, further)))
        values[i] = part.reshape(shapes[i])
    bias = paths.index("head/bias")
    values[bias] = jnp.tile(start, shapes[bias][0] // start.shape[0])
    return jax.tree.unflatten(tree, values)
