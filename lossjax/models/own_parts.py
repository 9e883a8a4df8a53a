"""A module of the user's own taken apart: weights, what is carried, random streams.

What a module keeps besides weights is told from them by its type: random streams get
the key of the step, all else (running averages) is carried from step to step.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from lossjax.models.convolution import convolve
from lossjax.models.layers import PRECISIONS
from lossjax.models.network import Output, Shape
from lossjax.models.own_models import OwnModel
from lossjax.own_scope import in_words

NodePath = tuple[Any, ...]
Leaves = dict[NodePath, Any]
TRIED = 2  # images that a module is tried on


@dataclass(frozen=True)
class Parts:
    """A module taken apart: its graphs, as scored and in training, and its leaves.

    Attributes:
      model: what it is.
      shape: for which images.
      graphs: as it is scored, and as it is trained.
      weights: shapes of what an optimiser trains, by path.
      kept: of what is carried from step to step.
      streams: of keys and counters of random numbers.
    """

    model: OwnModel
    shape: Shape
    graphs: tuple[Any, Any]
    weights: Leaves
    kept: Leaves
    streams: Leaves

    @classmethod
    def of(cls, model: OwnModel, shape: Shape) -> "Parts":
        made = abstract(model, shape, shape.image[2] * shape.blocks)
        made.train()
        training = nnx.graphdef(made)
        made.eval()
        graph, *parts = nnx.split(made, nnx.Param, nnx.RngState, ...)
        weights, streams, kept = map(leaves_of, parts)
        for path, leaf in (weights | kept).items():
            if leaf.dtype != jnp.float32:
                raise ValueError(
                    f"{model.family}: {name_of(path)} is {leaf.dtype}; what a model "
                    "keeps must be float32 (random streams aside)"
                )
        if not weights:
            raise ValueError(f"{model.family}: has no weights (nnx.Param)")
        return cls(model, shape, (graph, training), weights, kept, streams)

    @property
    def outputs(self) -> int:
        """Channels of raw output."""
        return self.shape.image[2] * self.shape.blocks

    @property
    def carried(self) -> int:
        """How many numbers are carried from step to step."""
        return sum(math.prod(leaf.shape) for leaf in self.kept.values())

    def merged(self, training: bool, params: Any, key: jax.Array) -> Any:
        """The module with these params, its random streams made of the key."""
        held = {path: params["params"][name_of(path)] for path in self.weights}
        held |= {path: params["state"][name_of(path)] for path in self.kept}
        held |= self._fresh(key)
        return nnx.merge(self.graphs[training], _nested(held))

    def _fresh(self, key: jax.Array) -> Leaves:
        fresh: Leaves = {}
        for place, (path, leaf) in enumerate(self.streams.items()):
            if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
                own = jax.random.fold_in(key, place)
                fresh[path] = jax.random.split(own, leaf.shape) if leaf.shape else own
            else:
                fresh[path] = jnp.zeros(leaf.shape, leaf.dtype)
        return fresh

    def init(self, head: NodePath, key: jax.Array, start: jax.Array) -> Any:
        """Params; `start` is the head's bias, see `Network.init`."""
        made = _make(self.model, self.shape, self.outputs, key)
        _, *parts = nnx.split(made, nnx.Param, nnx.RngState, ...)
        weights, _, kept = map(leaves_of, parts)
        if self.shape.blocks > 1:
            made = _make(self.model, self.shape, self.shape.image[2], key)
            base = leaves_of(nnx.state(made, nnx.Param))
            for path, own in weights.items():
                weights[path] = self._paired(own, base.get(path), beside(path, head))
        for path, own in weights.items():
            if beside(path, head):
                weights[path] = own * self.shape.head_scale
        bias = weights[head]
        weights[head] = jnp.tile(start, bias.size // start.shape[0]).reshape(bias.shape)
        return {
            "params": {name_of(path): leaf for path, leaf in weights.items()},
            "state": {name_of(path): leaf for path, leaf in kept.items()},
        }

    def _paired(self, own: jax.Array, base: Any, last: bool) -> jax.Array:
        """The start of more outputs: that of fewer, and zeros in the last layer."""
        if not pairs(own, base, last):
            return own
        if own.shape == base.shape:
            paired: jax.Array = base
            return paired
        channels = self.shape.image[2]
        more = (own.size // base.size - 1) * channels
        first = base.reshape(-1, channels)
        return jnp.pad(first, ((0, 0), (0, more))).reshape(own.shape)

    def apply(self, params: Any, images: jax.Array) -> Output:
        """Raw output and code as they are scored."""
        raw = self.merged(False, params, jax.random.key(0))(images)
        return Output(raw.astype(jnp.float32), self.encode(params, images))

    def train(
        self, params: Any, images: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Raw output in training, and what is carried to the next step."""
        module = self.merged(True, params, key)
        raw = module(images)
        after = leaves_of(nnx.state(module))
        # The order of names, in which the weights lie in one vector.
        paths = sorted(self.kept, key=name_of)
        parts = [after[path].reshape(-1) for path in paths]
        numbers = jnp.concatenate(parts) if parts else jnp.zeros(0)
        return raw.astype(jnp.float32), jax.lax.stop_gradient(numbers)

    def encode(self, params: Any, images: jax.Array) -> jax.Array:
        """The code; of a module that says none it has no numbers."""
        if (method := self.model.method("encode")) is None:
            return jnp.zeros((len(images), 0))
        module = self.merged(False, params, jax.random.key(0))
        code: jax.Array = method(module, images)
        return code.astype(jnp.float32)

    def decode(self, params: Any, code: jax.Array) -> jax.Array:
        """Raw output of a code; ValueError where the module says nothing of it."""
        if (method := self.model.method("decode")) is None:
            raise ValueError(f"{self.model.family}: has no method decode(code)")
        raw: jax.Array = method(self.merged(False, params, jax.random.key(0)), code)
        return raw.astype(jnp.float32)

    @property
    def images(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((TRIED, *self.shape.image), jnp.float32)

    @property
    def params(self) -> Any:
        return {
            "params": {name_of(path): leaf for path, leaf in self.weights.items()},
            "state": {name_of(path): leaf for path, leaf in self.kept.items()},
        }


def _make(model: OwnModel, shape: Shape, outputs: int, key: Any) -> nnx.Module:
    """The module; its convolutions are those that a compiled loop is fast at."""
    dtype = PRECISIONS[shape.precision].dtype
    more = {"dtype": dtype} if model.takes_dtype else {}
    made = model.made(
        image_shape=shape.image,
        out_channels=outputs,
        latent_dim=shape.latent_dim,
        rngs=nnx.Rngs(key),
        **more,
        **dict(model.arguments),
    )
    for _, part in list(nnx.iter_graph(made)):
        native = getattr(part, "conv_general_dilated", None)
        if isinstance(part, nnx.Conv) and native is jax.lax.conv_general_dilated:
            part.conv_general_dilated = convolve
    return made


def abstract(model: OwnModel, shape: Shape, outputs: int) -> nnx.Module:
    """The module with shapes in the place of arrays; ValueError, one line."""
    what = (
        f"{model.family}: made with image_shape={shape.image}, out_channels={outputs}"
    )
    make: Callable[[], Any] = lambda: _make(model, shape, outputs, 0)  # noqa: E731
    return guarded(what, nnx.eval_shape, make)


def guarded(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """ValueError, one line, where anybody's code fails."""
    try:
        return function(*arguments)
    except jax.errors.JAXTypeError:
        raise ValueError(
            f"{what}: asks Python for the value of its input (an if, a float(), a "
            "numpy function): write jnp.where and jax.numpy"
        ) from None
    except (Exception, SystemExit) as error:
        raise ValueError(f"{what}: fails: {in_words(error)}") from None


def pairs(own: Any, base: Any, last: bool) -> bool:
    """Whether a start of more outputs can begin with that of fewer."""
    if base is None:
        return False
    return bool(own.shape == base.shape) or (
        last
        and own.shape[:-1] == base.shape[:-1]
        and own.shape[-1] % base.shape[-1] == 0
    )


def beside(path: NodePath, head: NodePath) -> bool:
    """Whether it is another weight of the head's layer."""
    return path != head and path[:-1] == head[:-1]


def leaves_of(state: Any) -> Leaves:
    return {
        path: one.get_value() if isinstance(one, nnx.Variable) else one
        for path, one in nnx.to_flat_state(state)
    }


def _nested(leaves: Leaves) -> dict[Any, Any]:
    nested: dict[Any, Any] = {}
    for path, leaf in leaves.items():
        inner = nested
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = leaf
    return nested


def name_of(path: NodePath) -> str:
    return "/".join(map(str, path))
