"""The network of a module of the user's own, and why it is none that can be trained.

A module is traced before it is trained, in training and as it is scored, and refused
where a score would not be a function of weights and image alone.
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.extend.core import Jaxpr, Var

from lossjax.models.initial_weights import initial_weights
from lossjax.models.network import Network, Shape
from lossjax.models.own_models import OwnModel
from lossjax.models.own_parts import (
    TRIED,
    NodePath,
    Parts,
    abstract,
    beside,
    guarded,
    leaves_of,
    name_of,
    pairs,
)

_ONES = ("norm/scale", "norm/var")  # of batch norm


def own_network(model: OwnModel, shape: Shape) -> Network:
    """The network of a module for images of that shape.

    Raises:
      ValueError: it cannot be made, called, or trained as it should; one line.
    """
    if shape.precision != "float32" and not model.takes_dtype:
        raise ValueError(
            f"{model.family}: config.precision={shape.precision} needs an __init__ "
            "that takes dtype=; this one computes in float32"
        )
    own = Parts.of(model, shape)
    scored = called(own, False)
    refuse_changes(own, scored, "while images are scored")
    check_raw(own, scored.result)
    trained = called(own, True)
    check_raw(own, trained.result)
    plain = own.graphs[0] == own.graphs[1] and not own.kept and not trained.drawn
    codes = check_code(own)
    head = head_of(own)
    note = note_of(own, trained, head)
    init = functools.partial(own.init, head)
    return _network(own, init, codes, None if plain else own.train, note)


def known_network(model: OwnModel, shape: Shape) -> Network:
    """As `own_network`, of a module of this package: its tests have tried it.

    Its weights are drawn at once, as `initial_weights` does: a draw for each kernel
    would compile for half a minute.
    """
    own = Parts.of(model, shape)

    def init(key: jax.Array, start: jax.Array) -> Any:
        weights = initial_weights(own.params["params"], shape, key, start)
        begun = {"params": weights, "state": own.params["state"]}
        return {
            kind: {
                name: jnp.ones(leaf.shape) if name.endswith(_ONES) else leaf
                for name, leaf in leaves.items()
            }
            for kind, leaves in jax.tree.map(_array, begun).items()
        }

    return _network(own, init, shape.latent_dim, own.train, "")


def _array(leaf: Any) -> jax.Array:
    """What has but a shape begins at 0."""
    return leaf if isinstance(leaf, jax.Array) else jnp.zeros(leaf.shape)


def _network(own: Parts, init: Any, codes: int, train: Any, note: str) -> Network:
    return Network(
        init,
        own.apply,
        own.outputs,
        own.encode,
        own.decode,
        codes,
        train=train,
        carried=own.carried,
        note=note,
    )


@dataclass(frozen=True)
class TracedCall:
    """What a call of the module made of abstract images, and did to the module."""

    result: Any
    changed: tuple[NodePath, ...]  # of what is kept
    drawn: bool  # whether the result depends on the key
    grown: tuple[NodePath, ...]  # what was not there before


def called(own: Parts, training: bool, method: str = "__call__") -> TracedCall:
    """What a method does on abstract images."""
    seen: dict[str, tuple[NodePath, ...]] = {}
    key = jax.random.key(0)

    def call(params: Any, key: jax.Array, images: jax.Array) -> Any:
        module = own.merged(training, params, key)
        before = leaves_of(nnx.state(module))
        result = getattr(module, method)(images)
        after = leaves_of(nnx.state(module))
        moved = tuple(p for p in before if after.get(p) is not before[p])
        seen["changed"] = tuple(path for path in moved if path not in own.streams)
        seen["grown"] = tuple(path for path in after if path not in before)
        for path in seen["changed"]:
            if path in own.kept and after[path].shape != before[path].shape:
                raise ValueError(f"{name_of(path)} changes its shape")
        return result

    when = "in training" if training else "as it is scored"
    what = "" if method == "__call__" else f"{method} "
    traced = jax.make_jaxpr(call, return_shape=True)
    arguments = own.params, key, own.images
    closed, result = guarded(f"{own.model.family}: {what}{when}", traced, *arguments)
    source = closed.jaxpr.invars[len(jax.tree.leaves(own.params))]
    found = TracedCall(result, drawn=_reaches(closed.jaxpr, source), **seen)
    if found.grown or set(found.changed) & set(own.weights):
        what = name_of((*found.grown, *found.changed)[0])
        raise ValueError(
            f"{own.model.family}: {what} is set by a call {when}; a call may move "
            "averages that are there, and nothing else"
        )
    return found


def refuse_changes(own: Parts, found: TracedCall, when: str) -> None:
    """ValueError where a score would depend on more than weights and image."""
    if found.changed:
        raise ValueError(
            f"{own.model.family}: {name_of(found.changed[0])} changes {when}, so an "
            "image's score would depend on the others: module.eval() must stop it "
            "(use_running_average of batch norm)"
        )
    if found.drawn:
        raise ValueError(
            f"{own.model.family}: draws random numbers {when}: module.eval() must "
            "stop it (deterministic of dropout)"
        )


def check_raw(own: Parts, raw: Any) -> None:
    """ValueError where raw output has another shape."""
    _check(own, raw, "raw output", (*own.shape.image[:2], own.outputs))


def check_code(own: Parts) -> int:
    """How many numbers a code has; ValueError where it is none."""
    if own.model.method("encode") is None:
        return 0
    found = called(own, False, "encode")
    refuse_changes(own, found, "while images are encoded")
    code = found.result
    numbers = code.shape[-1] if getattr(code, "ndim", 0) == 2 else "numbers"
    _check(own, code, "encode", (numbers,))
    return int(code.shape[1])


def _check(own: Parts, found: Any, what: str, valid: tuple[Any, ...]) -> None:
    array = isinstance(found, jax.ShapeDtypeStruct)
    good = array and found.shape == (TRIED, *valid)
    if not (good and jnp.issubdtype(found.dtype, jnp.floating)):
        shown = f"{found.dtype} {found.shape}" if array else type(found).__name__
        expected = ", ".join(map(str, (TRIED, *valid)))
        raise ValueError(
            f"{own.model.family}: {what} is {shown} of images "
            f"{own.images.shape}; valid is floating ({expected})"
        )


def _follow(own: Parts) -> list[NodePath]:
    """The weights whose size goes with out_channels."""
    other = abstract(own.model, own.shape, 2 * own.outputs)
    doubled = leaves_of(nnx.state(other, nnx.Param))
    return [
        path
        for path, leaf in own.weights.items()
        if path not in doubled or doubled[path].shape != leaf.shape
    ]


def head_of(own: Parts) -> NodePath:
    """The bias of the last layer: adding to it adds as much to raw output.

    Raises:
      ValueError: there is none, a function stands behind the last layer, or an image's
        raw output depends on the images beside it.
    """
    follow = _follow(own)
    biases = [
        path
        for path in follow
        if len(own.weights[path].shape) == 1
        and own.weights[path].shape[0] % own.outputs == 0
    ]
    if not biases:
        names = ", ".join(map(name_of, follow)) or "none"
        raise ValueError(
            f"{own.model.family}: its head cannot be found: the last layer has "
            f"out_channels outputs and a bias; weights that go with out_channels: "
            f"{names}"
        )
    for path in biases:
        least, most = _moved_by(own, path)
        if 0.999 < least <= most < 1.001:
            return path
    raise ValueError(
        f"{own.model.family}: adding 1 to the bias {name_of(path)} adds {least:.3g} to "
        f"{most:.3g} to raw output, not 1: raw is what the last layer gives, without "
        "sigmoid or anything else behind it: that is the loss's"
    )


def _moved_by(own: Parts, path: NodePath) -> tuple[float, float]:
    """How much of what is added to a bias arrives in raw output: least and most."""
    step = np.arange(1, 1 + own.outputs, dtype=np.float32)
    key = jax.random.key(0)
    # Once, not within `moved`, where both modes would compile the dear random draws.
    params = jax.jit(own.init, static_argnums=0)(path, key, jnp.zeros(own.outputs))

    @functools.partial(jax.jit, static_argnums=2)
    def moved(
        params: Any, images: jax.Array, training: bool
    ) -> tuple[jax.Array, jax.Array]:
        bias = params["params"][name_of(path)]

        def raw(bias: jax.Array) -> jax.Array:
            changed = params["params"] | {name_of(path): bias}
            found: jax.Array = own.merged(training, params | {"params": changed}, key)(
                images
            )
            return found.astype(jnp.float32)

        added = jnp.tile(jnp.asarray(step), bias.size // own.outputs)
        return jax.jvp(raw, (bias,), (added,))

    images = np.random.default_rng(0).random(own.images.shape, np.float32)
    other = np.concatenate([images[:1], 1 - images[1:]])
    raw, scored = moved(params, images, False)
    beside_another, _ = moved(params, other, False)
    _, trained = moved(params, images, True)
    if not np.allclose(raw[0], beside_another[0], rtol=1e-4, atol=1e-5):
        raise ValueError(
            f"{own.model.family}: as it is scored, an image's raw output depends on "
            "the images beside it: a score must be of one image"
        )
    slopes = [np.asarray(one) / step for one in (scored, trained)]
    return float(np.min(slopes)), float(np.max(slopes))


def note_of(own: Parts, trained: TracedCall, head: NodePath) -> str:
    """What a user should know of how it is trained; empty where nothing is."""
    said = []
    if own.kept:
        names = ", ".join(sorted({name_of(path) for path in own.kept}))
        said.append(f"{names} carried from step to step, fixed when it is scored")
    if trained.drawn:
        said.append("random numbers of the step, the same for every loss")
    if own.shape.blocks > 1:
        base = leaves_of(
            nnx.state(abstract(own.model, own.shape, own.shape.image[2]), nnx.Param)
        )
        odd = [
            name_of(path)
            for path, leaf in own.weights.items()
            if path != head and not pairs(leaf, base.get(path), beside(path, head))
        ]
        if odd:
            said.append(
                f"with {own.outputs} outputs its start is not that of other "
                f"losses in {', '.join(odd)}"
            )
    if own.model.method("encode") is None:
        said.append("no method encode, so metrics of the code are not scored")
    return f"{own.model.family}: {'; '.join(said)}" if said else ""


def _reaches(jaxpr: Jaxpr, source: Var) -> bool:
    """Whether any result may depend on an input."""
    touched = {source}
    for equation in jaxpr.eqns:
        if any(isinstance(v, Var) and v in touched for v in equation.invars):
            touched.update(equation.outvars)
    return any(isinstance(v, Var) and v in touched for v in jaxpr.outvars)
