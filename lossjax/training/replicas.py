"""Replicas: runs side by side in one program, and how they lie on the hardware."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lossjax.losses.loss import Loss
from lossjax.losses.one_of import OneOf

BLOCK = 256  # images scored at a time
MEMORY_SHARE = 0.8  # of a device's memory, that programs and data may take
REPLICA = "replica"  # the mesh axis that replicas are spread over
# Slots of a program, at most: where they lie side by side, far beyond the width at
# which arithmetic costs more than the start of an operation.
MOST = {"cpu": 64, "gpu": 4096, "tpu": 4096}
_SHARDED, _EVERYWHERE = PartitionSpec(REPLICA), PartitionSpec()


class Replica(NamedTuple):
    """What tells one run from another; every leaf is traced.

    Attributes:
      seed: uint32; fixes initial weights and batch order, whatever the loss.
      learning_rate: float32, the peak rate; it falls to 0 along a cosine.
      loss: the loss with its hyperparameters, or the choice of one of several.
      start: float32 (channels * blocks,), raw output of a constant image.
      active: False for a slot that only fills the program; it does no work.
    """

    seed: Any
    learning_rate: Any
    loss: Loss | OneOf
    start: Any
    active: Any


class Blocks(NamedTuple):
    """A split cut into equal blocks, the last one filled up.

    Attributes:
      images: (blocks, block, height, width, channels), as `Pixels.kept` says.
      weights: float32 (blocks, block), 1 for an image and 0 for filling.
    """

    images: Any
    weights: Any


@dataclass(frozen=True)
class Layout:
    """How replicas lie on the hardware; bits may depend on it, so it is recorded.

    Attributes:
      devices: how many devices share the replicas.
      replicas: slots of one program, a multiple of `devices`.
      mapping: "map" (one after the other on each device: bitwise equal to a run alone)
        or "vmap" (side by side, for hardware that a small network leaves idle).
      lowering: of convolutions, as `autoencoders.build` takes it.
    """

    devices: int
    replicas: int
    mapping: str
    lowering: str = ""

    @property
    def record(self) -> dict[str, Any]:
        """As stored with a run: what says nothing is left out."""
        return {name: value for name, value in vars(self).items() if value != ""}

    @property
    def each(self) -> int:
        """Slots of a device."""
        return self.replicas // self.devices


@dataclass(frozen=True)
class Room:
    """What must fit the memory of one device, in bytes.

    Attributes:
      memory: that it has.
      resident: of what lies on it whatever trains, images above all.
      replica: that each replica of the largest program may need.
    """

    memory: int
    resident: int
    replica: int

    @property
    def replicas(self) -> int:
        """The most that fit; 1 where not even one does: a compiler may know better."""
        free = MEMORY_SHARE * self.memory - self.resident
        return max(1, int(free // self.replica))


def plan_layout(
    backend: str, devices: int, runs: int, room: Room | None = None
) -> Layout:
    """The layout for up to `runs` replicas at a time on the given devices.

    Args:
      backend: cpu, gpu or tpu.
      devices: how many there are.
      runs: how many will be trained alike.
      room: on each device; None asks nothing of it.
    """
    used = max(1, min(devices, runs))
    each = max(1, min(-(-runs // used), MOST[backend] // used))
    if room is not None and room.replicas < each:
        # Of programs that follow one another none is nearly empty.
        each = -(-each // -(-each // room.replicas))
    return Layout(used, used * each, "map" if backend == "cpu" else "vmap")


def make_mesh(layout: Layout, devices: Sequence[Any] | None = None) -> Mesh:
    """The mesh of a layout over the first of these devices, or of the local ones."""
    found = jax.local_devices() if devices is None else devices
    return Mesh(np.array(found[: layout.devices]), (REPLICA,))


def as_intensity(images_u8: jax.Array) -> jax.Array:
    """uint8 0..255 to float32 [0, 1]; what is float32 is intensity already."""
    if images_u8.dtype == jnp.float32:
        return images_u8
    return images_u8.astype(jnp.float32) / 255


def blocks_of(images_u8: np.ndarray, block: int = BLOCK) -> Blocks:
    """Cut uint8 (n, height, width, channels) into Blocks of at most `block` images."""
    count = len(images_u8)
    block = min(block, count)
    filling = -count % block
    weights = np.r_[np.ones(count, np.float32), np.zeros(filling, np.float32)]
    if filling:
        images_u8 = np.concatenate([images_u8, images_u8[:filling]])
    shape = (-1, block, *images_u8.shape[1:])
    return Blocks(images_u8.reshape(shape), weights.reshape(-1, block))


def stack(
    replicas: Sequence[Replica],
    layout: Layout,
    places: Sequence[int] | None = None,
    row: int = 1,
) -> Replica:
    """Replicas of one program as one batched Replica.

    Args:
      replicas: of one loss family, or with the choice of one.
      layout: says how many slots there are.
      places: the slot of each; None spreads them evenly over the devices.
      row: so many slots have one seed, those that are idle too.

    Raises:
      ValueError: more replicas than slots, or none.
    """
    if not 0 < len(replicas) <= layout.replicas:
        raise ValueError(f"stack: {len(replicas)} replicas, {layout.replicas} slots")
    if places is None:
        places = [slot(index, layout) for index in range(len(replicas))]
    filled = dict(zip(places, replicas, strict=True))
    of_row = {place // row: one for place, one in filled.items()}
    slots = [
        filled.get(place)
        or of_row.get(place // row, replicas[0])._replace(active=False)
        for place in range(layout.replicas)
    ]
    batched = jax.tree.map(
        lambda *leaves: np.stack([np.asarray(x) for x in leaves]), *slots
    )
    return batched._replace(
        seed=batched.seed.astype(np.uint32),
        active=batched.active.astype(np.bool_),
        loss=jax.tree.map(_narrow, batched.loss),
        learning_rate=_narrow(batched.learning_rate),
        start=_narrow(batched.start),
    )


def _narrow(values: np.ndarray) -> np.ndarray:
    """An int32 stays what it is, an index; all else is float32."""
    return values if values.dtype == np.int32 else values.astype(np.float32)


def slot(index: int, layout: Layout) -> int:
    """Where the index-th replica of `stack` lies: dealt to the devices in turn."""
    return index % layout.devices * layout.each + index // layout.devices


def put(tree: Any, mesh: Mesh) -> Any:
    """Arrays with one row a slot, on the devices of the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, _SHARDED))


def put_everywhere(tree: Any, mesh: Mesh) -> Any:
    """Arrays that every replica reads, a copy on each device of the mesh."""
    return jax.device_put(tree, NamedSharding(mesh, _EVERYWHERE))


def spread(
    function: Any,
    mesh: Mesh,
    layout: Layout,
    *,
    shared: int,
    batched: int | None = None,
    donated: bool = False,
    idle: bool = False,
    whole: bool = False,
    options: Mapping[str, int | bool] | None = None,
) -> Any:
    """jit of `function` over replicas: batched arguments first, `shared` ones last.

    Args:
      function: of one replica.
      mesh: whose devices share the replicas.
      layout: of the replicas.
      shared: how many arguments all replicas have in common.
      batched: how many they have not, so that all are expected where `put` puts them;
        of what it makes no use a compiled program would expect it elsewhere.
      donated: the memory of the second argument is given to the result.
      idle: the first argument is Replica.active, which `function` does not take: of an
        idle slot zeros are returned, at no cost where slots are mapped one after the
        other; side by side it is computed like any other, which costs less than to ask.
      whole: `function` takes all replicas of a device itself.
      options: the compiler's.
    """
    if idle and layout.mapping == "map":
        function = if_active(function)
    elif idle:
        function = functools.partial(_ignoring_first, function)

    def over_replicas(*arguments: Any) -> Any:
        cut = len(arguments) - shared
        batched, common = arguments[:cut], arguments[cut:]
        if whole:
            return function(*arguments)
        if layout.mapping == "vmap":
            return jax.vmap(lambda *each: function(*each, *common))(*batched)
        return jax.lax.map(lambda each: function(*each, *common), batched)

    def sharded(*arguments: Any) -> Any:
        cut = len(arguments) - shared
        specs = (_SHARDED,) * cut + (_EVERYWHERE,) * shared
        return jax.shard_map(
            over_replicas,
            mesh=mesh,
            in_specs=specs,
            out_specs=_SHARDED,
            check_vma=False,
        )(*arguments)

    placed: dict[str, Any] = {}
    if batched is not None:
        own, common = NamedSharding(mesh, _SHARDED), NamedSharding(mesh, _EVERYWHERE)
        placed = {"in_shardings": (own,) * batched + (common,) * shared}
    return jax.jit(
        sharded,
        **placed,
        donate_argnums=(1,) if donated else (),
        compiler_options=dict(options) if options else None,
    )


def _ignoring_first(function: Any, _: Any, *arguments: Any) -> Any:
    return function(*arguments)


def if_active(function: Any) -> Any:
    """`function` of an active slot's arguments, zeros of its shapes for an idle one.

    The first argument of the result is Replica.active; an idle slot costs nothing where
    slots are mapped one after the other.
    """
    # Traced once, though its shapes are asked for first.
    traced = jax.jit(function, inline=True)

    def either(active: jax.Array, *arguments: Any) -> Any:
        return jax.lax.cond(
            active, lambda: traced(*arguments), lambda: zeros_of(traced, *arguments)
        )

    return either


def zeros_of(function: Any, *arguments: Any) -> Any:
    """Zeros in the shapes of `function(*arguments)`, which is not computed."""
    shapes = jax.eval_shape(function, *arguments)
    return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
