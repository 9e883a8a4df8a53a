"""The compiled trainer: one program trains many replicas of one loss family.

A replica is one run: seed, learning rate and hyperparameters are traced, so a program
belongs to (dataset, model, loss family) and compiles once for a whole grid. Replicas
are spread over the devices of a mesh and need no communication. The host calls
`advance` one interval of steps at a time; between calls it shows progress, stops, or
saves the state.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from lossjax.loss import Loss
from lossjax.metrics import METRICS
from lossjax.models import Network

REPLICA = "replica"  # the mesh axis that replicas are spread over
# No weight of a useful network here comes near; a run beyond it has diverged even where
# a saturated read-out keeps its loss finite.
WEIGHT_LIMIT = 1e4
_BLOCK = 256  # images scored at a time
PROBE_BLOCKS = 2  # blocks of the validation split that a learning curve looks at
_SHARDED, _EVERYWHERE = PartitionSpec(REPLICA), PartitionSpec()


class Replica(NamedTuple):
    """What tells one run from another; every leaf is traced.

    Attributes:
      seed: uint32; fixes initial weights and batch order, whatever the loss.
      learning_rate: float32, the peak rate; it falls to 0 along a cosine.
      loss: the loss with its hyperparameters.
      start: float32 (channels * blocks,), raw output of a constant image.
      active: False for a slot that only fills the program; it does no work.
    """

    seed: Any
    learning_rate: Any
    loss: Loss
    start: Any
    active: Any


class State(NamedTuple):
    """A replica under training, all that a resume needs.

    Attributes:
      weights: float32 (size,), the network's weights and the loss's trainable scalars
        in one vector: the optimiser's work is then one fused loop over it.
      moments: the optimiser's.
      diverged_step: int32, the step that could not be taken; -1 while all is well.
    """

    weights: Any
    moments: Any
    diverged_step: Any


class Progress(NamedTuple):
    """What an interval of steps came to, one number a replica, float32.

    `train_total` is the sum of the batch losses of the `train_steps` steps that were
    taken. The probe is the first blocks of the validation split, the same at every
    look; `validation_loss` is over as much of the split as was asked for. Losses are
    in the loss's own unit; what was not asked for is nan.
    """

    train_total: Any
    train_steps: Any
    probe_loss: Any
    probe_mse: Any
    validation_loss: Any


class Blocks(NamedTuple):
    """A split cut into equal blocks, the last one filled up.

    Attributes:
      images: uint8 (blocks, block, height, width, channels).
      weights: float32 (blocks, block), 1 for an image and 0 for filling.
    """

    images: Any
    weights: Any


@dataclass(frozen=True)
class Settings:
    """What a program is compiled for besides network and loss family."""

    train_steps: int
    batch_size: int


@dataclass(frozen=True)
class Layout:
    """How replicas lie on the hardware; bits may depend on it, so it is recorded.

    Attributes:
      devices: how many devices share the replicas.
      replicas: slots of one program, a multiple of `devices`.
      mapping: "map" (one after the other on each device: bitwise equal to a run alone)
        or "vmap" (side by side, for hardware that a small network leaves idle).
    """

    devices: int
    replicas: int
    mapping: str


def plan_layout(backend: str, devices: int, runs: int, most: int = 64) -> Layout:
    """The layout for up to `runs` replicas at a time on the given devices."""
    used = max(1, min(devices, runs))
    each = max(1, min(-(-runs // used), most // used))
    return Layout(used, used * each, "map" if backend == "cpu" else "vmap")


def make_mesh(layout: Layout) -> Mesh:
    """The mesh of a layout over the first local devices."""
    return Mesh(np.array(jax.local_devices()[: layout.devices]), (REPLICA,))


def as_intensity(images_u8: jax.Array) -> jax.Array:
    """uint8 0..255 to float32 [0, 1]; the only conversion there is."""
    return images_u8.astype(jnp.float32) / 255


def blocks_of(images_u8: np.ndarray, block: int = _BLOCK) -> Blocks:
    """Cut uint8 (n, height, width, channels) into Blocks of at most `block` images."""
    count = len(images_u8)
    block = min(block, count)
    filling = -count % block
    weights = np.r_[np.ones(count, np.float32), np.zeros(filling, np.float32)]
    if filling:
        images_u8 = np.concatenate([images_u8, images_u8[:filling]])
    shape = (-1, block, *images_u8.shape[1:])
    return Blocks(images_u8.reshape(shape), weights.reshape(-1, block))


def stack(replicas: list[Replica], layout: Layout) -> Replica:
    """Replicas of one family as one batched Replica, spread evenly over the devices.

    Raises:
      ValueError: more replicas than slots, or none.
    """
    if not 0 < len(replicas) <= layout.replicas:
        raise ValueError(f"stack: {len(replicas)} replicas, {layout.replicas} slots")
    idle = replicas[0]._replace(active=False)
    slots = [idle] * layout.replicas
    for index, replica in enumerate(replicas):
        slots[slot(index, layout)] = replica
    types = Replica(np.uint32, np.float32, np.float32, np.float32, np.bool_)  # type: ignore[arg-type]
    batched = jax.tree.map(
        lambda *leaves: np.stack([np.asarray(x) for x in leaves]), *slots
    )
    return Replica(
        *(
            jax.tree.map(lambda x, t=kind: x.astype(t), leaf)
            for leaf, kind in zip(batched, types, strict=True)
        )
    )


def slot(index: int, layout: Layout) -> int:
    """Where the index-th replica of `stack` lies: dealt to the devices in turn."""
    each = layout.replicas // layout.devices
    return index % layout.devices * each + index // layout.devices


class Program:
    """Trains replicas of one loss family on one dataset with one network."""

    def __init__(
        self,
        network: Network,
        loss: Loss,
        settings: Settings,
        layout: Layout,
        mesh: Mesh,
    ) -> None:
        self.layout = layout
        self._mesh = mesh
        self._network = network
        advance = functools.partial(_advance, network, settings)
        self._advance = _spread(advance, mesh, layout, shared=5, donated=True)
        self._begin = _spread(_begin, mesh, layout, shared=0)

    def compile(self, replicas: Replica, train_u8: Any, validation: Blocks) -> None:
        """Compile the training step ahead of its first call, for these shapes."""
        step = jax.ShapeDtypeStruct((), jnp.int32)
        state = jax.eval_shape(self.init, replicas)
        self._compiled = self._advance.lower(
            replicas, state, train_u8, validation, step, step, step
        ).compile()

    def init(self, replicas: Replica) -> State:
        """Fresh states, one for each slot; the weights do not depend on the loss."""
        initial = _initialiser(self._network, self.layout, self._mesh)
        scalars = replicas.loss.scalars
        return self._begin(initial(replicas.seed, replicas.start), scalars)

    def advance(
        self,
        replicas: Replica,
        state: State,
        train_u8: jax.Array,
        validation: Blocks,
        start: int,
        stop: int,
        blocks: int,
    ) -> tuple[State, Progress]:
        """Take steps start..stop-1, then score the first `blocks` of validation.

        `state` is given away: its memory holds the new one.
        """
        return self._compiled(
            jax.device_put(replicas, NamedSharding(self._mesh, _SHARDED)),
            state,
            train_u8,
            validation,
            np.int32(start),
            np.int32(stop),
            np.int32(blocks),
        )


class Scorer:
    """Scores replicas by every metric, whatever loss they were trained with.

    One program serves all losses whose raw output has the same channels; their links
    are the branches of a switch.
    """

    def __init__(
        self, network: Network, losses: list[Loss], layout: Layout, mesh: Mesh
    ) -> None:
        links = {loss.link: loss for loss in reversed(losses)}
        self._links = tuple(links)
        score = functools.partial(_score, network, tuple(links.values()))
        self._score = _spread(score, mesh, layout, shared=2)
        code = functools.partial(_code, network)
        self._code = _spread(code, mesh, layout, shared=1)

    def codes(self, weights: jax.Array, images_u8: jax.Array) -> jax.Array:
        """Codes (slots, block, latent_dim) of a block."""
        return self._code(weights, images_u8)

    def scores(
        self, weights: jax.Array, loss: Loss, images_u8: jax.Array
    ) -> tuple[dict[str, jax.Array], jax.Array]:
        """Metrics {name: (slots, block)} and uint8 read-outs of a block.

        Args:
          weights: State.weights of `Program`.
          loss: any loss whose link was given at construction.
          images_u8: uint8 (block, height, width, channels).
        """
        which = np.int32(self._links.index(loss.link))
        return self._score(weights, which, images_u8)


def _optimiser() -> optax.GradientTransformation:
    # With so small an epsilon a loss and 0.001 times that loss train alike.
    return optax.scale_by_adam(eps=1e-15)


def _spread(
    function: Any, mesh: Mesh, layout: Layout, *, shared: int, donated: bool = False
) -> Any:
    """jit of `function` over replicas: batched arguments first, `shared` ones last."""

    def over_replicas(*arguments: Any) -> Any:
        cut = len(arguments) - shared
        batched, common = arguments[:cut], arguments[cut:]
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

    return jax.jit(sharded, donate_argnums=(1,) if donated else ())


@functools.lru_cache(maxsize=8)
def _initialiser(network: Network, layout: Layout, mesh: Mesh) -> Any:
    """(seed, start) -> weights of the network; compiled once for all losses."""

    def initial(seed: jax.Array, start: jax.Array) -> jax.Array:
        init_key, _ = _keys(seed)
        return ravel_pytree(network.init(init_key, start))[0]

    return _spread(initial, mesh, layout, shared=0)


def _keys(seed: jax.Array) -> tuple[jax.Array, jax.Array]:
    init_key, batch_key = jax.random.split(jax.random.key(seed))
    return init_key, batch_key


def _begin(initial: jax.Array, scalars: dict[str, jax.Array]) -> State:
    weights = ravel_pytree((initial, scalars))[0]
    return State(weights, _optimiser().init(weights), jnp.int32(-1))


def _unravel(network: Network) -> tuple[int, Callable[[jax.Array], Any]]:
    """How many weights a network has, and what gives a vector of them its shapes."""
    key, start = jax.random.key(0), jnp.zeros(network.outputs)
    parameters = jax.eval_shape(network.init, key, start)
    zeros = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), parameters)
    flat, unravel = ravel_pytree(zeros)
    return flat.size, unravel


def _advance(
    network: Network,
    settings: Settings,
    replica: Replica,
    state: State,
    train_u8: jax.Array,
    validation: Blocks,
    start: jax.Array,
    stop: jax.Array,
    blocks: jax.Array,
) -> tuple[State, Progress]:
    """Steps start..stop-1 of one replica, then its validation scores."""
    loss, optimiser = replica.loss, _optimiser()
    _, batch_key = _keys(replica.seed)
    size, unravel = _unravel(network)
    names = sorted(loss.scalars)
    count = train_u8.shape[0]
    steps_an_epoch = count // settings.batch_size

    def order_of(epoch: jax.Array) -> jax.Array:
        return jax.random.permutation(jax.random.fold_in(batch_key, epoch), count)

    def objective(weights: jax.Array, images: jax.Array) -> jax.Array:
        raw, _ = network.apply(unravel(weights[:size]), images)
        return jnp.mean(loss.fn(raw, images, scalars_of(weights)))

    def scalars_of(weights: jax.Array) -> dict[str, jax.Array]:
        return dict(zip(names, weights[size:], strict=True))

    def step(index: jax.Array, carry: Any) -> Any:
        state, order, total, taken = carry
        place = index % steps_an_epoch
        order = jax.lax.cond(
            (place == 0) | (index == start),
            lambda: order_of(index // steps_an_epoch),
            lambda: order,
        )
        batch = jax.lax.dynamic_slice_in_dim(
            order, place * settings.batch_size, settings.batch_size
        )
        images = as_intensity(train_u8.at[batch].get(mode="promise_in_bounds"))
        value, gradient = jax.value_and_grad(objective)(state.weights, images)
        updates, moments = optimiser.update(gradient, state.moments, state.weights)
        fraction = index / settings.train_steps
        rate = replica.learning_rate * 0.5 * (1 + jnp.cos(jnp.pi * fraction))
        weights = optax.apply_updates(state.weights, -rate * updates)
        # nan fails the comparison too.
        sound = jnp.isfinite(value) & (jnp.max(jnp.abs(weights)) < WEIGHT_LIMIT)
        going = state.diverged_step < 0
        keep = going & sound
        lost = jnp.where(going & ~sound, index, state.diverged_step)
        state = jax.tree.map(
            lambda new, old: jnp.where(keep, new, old),
            State(weights, moments, lost),
            state._replace(diverged_step=lost),
        )
        return state, order, total + jnp.where(keep, value, 0), taken + keep

    def train(state: State) -> tuple[State, Progress]:
        order = jnp.zeros(count, jnp.int32)
        carry = (state, order, jnp.float32(0), jnp.int32(0))
        state, _, total, taken = jax.lax.fori_loop(start, stop, step, carry)
        parameters, scalars = unravel(state.weights[:size]), scalars_of(state.weights)
        scores = _validate(network, loss, parameters, scalars, validation, blocks)
        return state, Progress(total, taken.astype(jnp.float32), *scores)

    def rest(state: State) -> tuple[State, Progress]:
        return state, Progress(*(jnp.float32(0),) * len(Progress._fields))

    return jax.lax.cond(replica.active, train, rest, state)


def _validate(
    network: Network,
    loss: Loss,
    parameters: Any,
    scalars: Any,
    validation: Blocks,
    blocks: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mean loss and mse over the probe blocks, mean loss over the first `blocks`."""
    images_u8, weights = validation
    probe = min(PROBE_BLOCKS, images_u8.shape[0])

    def block(index: jax.Array, sums: jax.Array) -> jax.Array:
        images = as_intensity(images_u8[index])
        raw, _ = network.apply(parameters, images)
        value = loss.fn(raw, images, scalars)
        error = METRICS["mse"].fn(loss.read_out(raw), images)
        share = weights[index]
        scores = jnp.stack([share @ value, share @ error, jnp.sum(share)])
        probed = jnp.where(index < probe, scores, 0)
        return sums + jnp.concatenate([probed, scores])

    sums = jax.lax.fori_loop(0, blocks, block, jnp.zeros(6))
    return sums[0] / sums[2], sums[1] / sums[2], sums[3] / sums[5]


def _score(
    network: Network,
    losses: tuple[Loss, ...],
    weights: jax.Array,
    which: jax.Array,
    images_u8: jax.Array,
) -> tuple[Mapping[str, jax.Array], jax.Array]:
    """Every metric of one replica's read-outs of one block."""
    images = as_intensity(images_u8)
    size, unravel = _unravel(network)
    raw, _ = network.apply(unravel(weights[:size]), images)
    image = jax.lax.switch(which, [loss.read_out for loss in losses], raw)
    scores = {name: metric.fn(image, images) for name, metric in METRICS.items()}
    return scores, jnp.round(image * 255).astype(jnp.uint8)


def _code(network: Network, weights: jax.Array, images_u8: jax.Array) -> jax.Array:
    size, unravel = _unravel(network)
    return network.apply(unravel(weights[:size]), as_intensity(images_u8)).code
