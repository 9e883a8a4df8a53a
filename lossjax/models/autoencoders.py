"""MODELS, and the network of each: pure functions around a Flax module."""

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import nnx

from lossjax.losses.naming import read
from lossjax.models.bodies import BODIES, Autoencoder
from lossjax.models.initial_weights import initial_weights
from lossjax.models.layers import BATCH_LAST, NATIVE, PRECISIONS, Form
from lossjax.models.network import Network, Output, Shape
from lossjax.models.own_models import OwnModel, own_model
from lossjax.models.own_networks import known_network, own_network
from lossjax.models.residual import ResidualAutoencoder
from lossjax.models.variants import Model, row
from lossjax.own_code import place_of

__all__ = [
    "LOWERINGS",
    "MODELS",
    "PRECISIONS",
    "Network",
    "Output",
    "Shape",
    "autoencoder",
    "build",
    "lowering_of",
    "resolve",
    "takes",
]

_RESIDUAL = "residual"  # layers of two modes, which BODIES have not
MODELS: Mapping[str, Model] = types.MappingProxyType(
    {
        model.family: model
        for model in (
            *(row(f"{body}_ae", body=body) for body in BODIES),
            row("res_ae", body=_RESIDUAL),
            row("vae", body="conv", variational=True),
        )
    }
)


# How convolutions are computed: by XLA's own, or as matrix products over their taps.
LOWERINGS = ("native", "taps")


def resolve(text: str) -> Model | OwnModel:
    """The model that `name` or `name(keyword=value, ...)` describes.

    `FILE.py:name` is a module of the user's; see lossjax.models.own_models.

    Args:
      text: for example "conv_ae", 'mlp_ae(noise="masking", amount=0.5)' or
        'vae(body="mlp", beta=4)'; words may stand without quotes.

    Raises:
      ValueError: unknown name or argument, a value out of its range, or anything that
        is not of that form; one line with the valid names and the nearest one.

    >>> resolve("vae(beta=1, body=mlp)").name
    'vae(body="mlp")'
    """
    place = place_of(text)
    return _resolved(text) if place is None else own_model(text, place)


@functools.lru_cache(maxsize=1024)
def _resolved(text: str) -> Model:
    table = {model.family: model.parameters for model in MODELS.values()}
    family, values = read(text, "model", table)
    return MODELS[family].with_arguments(values)


def autoencoder(
    name: str, shape: Shape, *, rngs: nnx.Rngs, form: Form = NATIVE
) -> Autoencoder:
    """A model as a Flax module: `module(images)` is an `Output`.

    Args:
      name: what `resolve` reads.
      shape: its sizes.
      rngs: for Flax's own initial weights; `nnx.update(module, params)` puts trained
        ones there, params being those of `build(name, shape)`.
      form: of the layers; every one takes the same params.

    Raises:
      ValueError: no such model, a size is not positive, or the image is smaller than
        2x2.

    >>> import jax.numpy as jnp
    >>> module = autoencoder("conv_ae", Shape((28, 28, 1)), rngs=nnx.Rngs(0))
    >>> module(jnp.zeros((5, 28, 28, 1))).raw.shape
    (5, 28, 28, 1)
    """
    model = _resolved(name)
    _check_sizes(shape)
    if model.body == _RESIDUAL:
        raise ValueError(f"{name}: lossjax.models.residual has its module")
    return BODIES[model.body](shape, model.latent, form, rngs=rngs)


def lowering_of(precision: str) -> str:
    """The only key of LOWERINGS that has a precision; empty where all have."""
    return "taps" if PRECISIONS[precision].algorithm else ""


def takes(name: str, precision: str) -> bool:
    """Whether a model can compute in a precision.

    What is said of products alone would leave other convolutions than those of BODIES
    in a lower one than its name says.
    """
    model = resolve(name)
    plain = not isinstance(model, OwnModel) and model.body in BODIES
    return plain or not lowering_of(precision)


def _check_sizes(shape: Shape) -> None:
    sizes = (*shape.image, shape.blocks, shape.latent_dim, *shape.width, *shape.hidden)
    if min(sizes) < 1 or min(shape.image[:2]) < 2:
        raise ValueError(f"build: sizes must be positive, images 2x2 or more: {shape}")


def build(name: str, shape: Shape, lowering: str = "") -> Network:
    """The network of a model: its module in the form that the backend is fast in.

    Takes and raises what `autoencoder` does; `lowering` is a key of LOWERINGS where
    that form was measured to be another: a GPU's convolutions of many replicas at once
    may be slower than matrix products.
    """
    model = resolve(name)
    if not takes(name, shape.precision):
        raise ValueError(f"{name}: does not compute in {shape.precision}")
    if isinstance(model, OwnModel):
        return own_network(model, shape)
    if model.body == _RESIDUAL:
        _check_sizes(shape)
        widths = (("width", shape.width),)
        known = OwnModel(model.family, ResidualAutoencoder, widths, takes_dtype=True)
        return dataclasses.replace(known_network(known, shape), corrupt=model.corrupt)

    def split(form: Form) -> Any:
        make = functools.partial(autoencoder, name, shape, form=form)
        return nnx.split(nnx.eval_shape(lambda: make(rngs=nnx.Rngs(0))))

    (native, state), (batch_last, _) = split(NATIVE), split(BATCH_LAST)
    graphs = {"native": native, "taps": batch_last}
    lowering = lowering_of(shape.precision) or lowering

    def on_backend(
        method: Callable[[Any, jax.Array], jax.Array], params: Any, values: jax.Array
    ) -> jax.Array:
        def run(graph: Any, params: Any, values: jax.Array) -> jax.Array:
            return method(nnx.merge(graph, params), values)

        if native == batch_last or lowering:
            return run(graphs[lowering or "native"], params, values)
        return jax.lax.platform_dependent(
            params,
            values,
            cpu=functools.partial(run, batch_last),
            default=functools.partial(run, native),
        )

    encode = functools.partial(on_backend, Autoencoder.code_of)
    decode = functools.partial(on_backend, Autoencoder.raw_of)

    def apply(params: Any, images: jax.Array) -> Output:
        code = encode(params, images)[:, : shape.latent_dim]
        return Output(decode(params, code), code)

    return Network(
        functools.partial(initial_weights, nnx.to_pure_dict(state), shape),
        apply,
        shape.image[2] * shape.blocks,
        encode,
        decode,
        shape.latent_dim,
        model.corrupt,
        model.latent,
    )
