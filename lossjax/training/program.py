"""The compiled trainer: one program trains many replicas of one loss family.

A replica is one run: seed, learning rate and hyperparameters are traced, so a program
belongs to (dataset, model, loss family), or to a choice of families, and compiles once
for a whole grid. Replicas are spread over the devices of a mesh and need no
communication. The host calls `advance` one interval of steps at a time; between calls
it shows progress, stops, or saves the state.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh

from lossjax import platform
from lossjax.losses.loss import Loss
from lossjax.losses.one_of import OneOf
from lossjax.metrics.images import METRICS
from lossjax.models.autoencoders import Network
from lossjax.training.memory import nbytes, peak_bytes
from lossjax.training.objective import objective, pictured, probe_key, seen
from lossjax.training.replicas import Blocks, Layout, Replica, as_intensity, put, spread
from lossjax.training.settings import OPTIMISERS, SCHEDULES, Settings

# No weight of a useful network here comes near; a run beyond it has diverged even where
# a saturated read-out keeps its loss finite.
WEIGHT_LIMIT = 1e4
_SMALL = 50_000  # weights: digits have 20,000, a 28x28 network 270,000
_CALL = (  # shapes of start, stop, blocks and fresh of Program.advance
    *[jax.ShapeDtypeStruct((), jnp.int32)] * 3,
    jax.ShapeDtypeStruct((), jnp.bool_),
)
PROBE_BLOCKS = 2  # blocks of the validation split that a learning curve looks at


class State(NamedTuple):
    """A replica under training, all that a resume needs.

    Attributes:
      weights: float32 (size,), the network's weights and the loss's trainable scalars
        in one vector: the optimiser's work is then one fused loop over it.
      moments: the optimiser's.
      diverged_step: int32, the step that could not be taken; -1 while all is well.
      train_total: float32, sum of the batch losses of the steps taken since the last
        look. Kept here, so that it does not depend on how steps are cut into calls.
      train_steps: int32, how many steps that was.
    """

    weights: Any
    moments: Any
    diverged_step: Any
    train_total: Any
    train_steps: Any


class Progress(NamedTuple):
    """How a replica does on validation images, one number each, float32.

    The probe is the first blocks of the validation split, the same at every look;
    `validation_loss` is over as much of the split as was asked for. Losses are in the
    loss's own unit; what was not asked for is nan.
    """

    probe_loss: Any
    probe_mse: Any
    validation_loss: Any


class Program:
    """Trains replicas of one loss family, that of the replicas it is compiled for."""

    def __init__(
        self,
        network: Network,
        settings: Settings,
        layout: Layout,
        mesh: Mesh,
    ) -> None:
        self.layout = layout
        self.pace = 1  # steps of a run that a call takes, those of all runs together
        self._mesh = mesh
        self._network = network
        self._one = advance = functools.partial(_advance, network, settings)
        small = unravelling(network)[0] <= _SMALL
        options = platform.compiler_options(mesh.devices.flat[0], small=small)
        self._advance = spread(
            advance, mesh, layout, shared=6, donated=True, options=options
        )
        begin = functools.partial(_begin, OPTIMISERS[settings.optimiser]())
        self._begin = spread(begin, mesh, layout, shared=0)

    def compile(self, replicas: Replica, train_u8: Any, validation: Blocks) -> Any:
        """Compile the training step ahead of its first call, for these shapes.

        Returns:
          The compiled step, for those who ask what it costs.
        """
        state = jax.eval_shape(self.init, replicas)
        self._compiled = self._advance.lower(
            replicas, state, train_u8, validation, *_CALL
        ).compile()
        return self._compiled

    def replica_bytes(
        self, replicas: Replica, train_u8: Any, validation: Blocks
    ) -> int:
        """What one replica needs while it trains: its state, and by `peak_bytes`.

        Takes the arguments of `compile`, and compiles nothing.
        """
        replica, state = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype),
            (replicas, jax.eval_shape(self.init, replicas)),
        )
        shared = train_u8, validation, *_CALL
        backend = self._mesh.devices.flat[0].platform
        working = peak_bytes(self._one, replica, state, *shared, backend=backend)
        return nbytes(state) + working

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
        *,
        fresh: bool = False,
    ) -> tuple[State, Progress]:
        """Take steps start..stop-1, then score the first `blocks` of validation.

        `fresh` begins a new sum of training losses. `state` is given away: its memory
        holds the new one.
        """
        return self._compiled(
            put(replicas, self._mesh),
            state,
            train_u8,
            validation,
            np.int32(start),
            np.int32(stop),
            np.int32(blocks),
            np.bool_(fresh),
        )


@functools.lru_cache(maxsize=8)
def _initialiser(network: Network, layout: Layout, mesh: Mesh) -> Any:
    """(seed, start) -> weights of the network; compiled once for all losses."""

    def initial(seed: jax.Array, start: jax.Array) -> jax.Array:
        init_key, _ = _keys(seed)
        return ravel_pytree(network.init(init_key, start))[0]

    return spread(initial, mesh, layout, shared=0)


def _keys(seed: jax.Array) -> tuple[jax.Array, jax.Array]:
    init_key, batch_key = jax.random.split(jax.random.key(seed))
    return init_key, batch_key


def noise_key(seed: jax.Array) -> jax.Array:
    """What a seed's noisy targets are drawn with."""
    return jax.random.fold_in(jax.random.key(seed), 2)


def scalars_of(loss: Loss | OneOf, tail: jax.Array) -> dict[str, jax.Array]:
    """The loss's trained scalars, from what follows the network's weights."""
    return dict(zip(sorted(loss.scalars), tail, strict=True))


def _begin(
    optimiser: optax.GradientTransformation,
    initial: jax.Array,
    scalars: dict[str, jax.Array],
) -> State:
    weights = ravel_pytree((initial, scalars))[0]
    moments = optimiser.init(weights)
    return State(weights, moments, jnp.int32(-1), jnp.float32(0), jnp.int32(0))


def unravelling(network: Network) -> tuple[int, Callable[[jax.Array], Any]]:
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
    fresh: jax.Array,
) -> tuple[State, Progress]:
    """Steps start..stop-1 of one replica, then its validation scores."""
    loss, optimiser = replica.loss, OPTIMISERS[settings.optimiser]()
    _, batch_key = _keys(replica.seed)
    noise = noise_key(replica.seed)
    draw_key = jax.random.fold_in(jax.random.key(replica.seed), 3)
    size, unravel = unravelling(network)
    count = train_u8.shape[0]
    steps_an_epoch = count // settings.batch_size

    def order_of(epoch: jax.Array) -> jax.Array:
        return jax.random.permutation(jax.random.fold_in(batch_key, epoch), count)

    def mean_objective(
        weights: jax.Array, images: jax.Array, places: jax.Array, key: jax.Array
    ) -> jax.Array:
        noisy, targets = settings.targets, None
        if noisy is not None:
            targets = functools.partial(_at, noisy, noise, places)
        return jnp.mean(
            objective(
                network,
                loss,
                unravel(weights[:size]),
                scalars_of(loss, weights[size:]),
                images,
                key,
                targets=targets,
            )
        )

    def step(index: jax.Array, carry: Any) -> Any:
        state, order = carry
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
        key = jax.random.fold_in(draw_key, index)
        value, gradient = jax.value_and_grad(mean_objective)(
            state.weights, images, batch, key
        )
        updates, moments = optimiser.update(gradient, state.moments, state.weights)
        fraction = index / settings.train_steps
        rate = replica.learning_rate * SCHEDULES[settings.schedule](fraction)
        weights = optax.apply_updates(state.weights, -rate * updates)
        # nan fails the comparison too.
        sound = jnp.isfinite(value) & (jnp.max(jnp.abs(weights)) < WEIGHT_LIMIT)
        going = state.diverged_step < 0
        keep = going & sound
        lost = jnp.where(going & ~sound, index, state.diverged_step)
        total, steps = state.train_total + value, state.train_steps + 1
        state = jax.tree.map(
            lambda new, old: jnp.where(keep, new, old),
            State(weights, moments, lost, total, steps),
            state._replace(diverged_step=lost),
        )
        return state, order

    def train(state: State) -> tuple[State, Progress]:
        state = state._replace(
            train_total=jnp.where(fresh, 0, state.train_total),
            train_steps=jnp.where(fresh, 0, state.train_steps),
        )
        order = jnp.zeros(count, jnp.int32)
        state, _ = jax.lax.fori_loop(start, stop, step, (state, order))
        parameters = unravel(state.weights[:size])
        scalars = scalars_of(loss, state.weights[size:])
        scores = _validate(network, loss, parameters, scalars, validation, blocks)
        return state, Progress(*scores)

    def rest(state: State) -> tuple[State, Progress]:
        return state, Progress(*(jnp.float32(0),) * len(Progress._fields))

    return jax.lax.cond(replica.active, train, rest, state)


def _at(targets: Any, key: jax.Array, places: jax.Array, clean: jax.Array) -> jax.Array:
    return targets(key, clean, places)


def _validate(
    network: Network,
    loss: Loss | OneOf,
    parameters: Any,
    scalars: Any,
    validation: Blocks,
    blocks: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Mean loss and mse over the probe blocks, mean loss over the first `blocks`."""
    images_u8, weights = validation
    probe = min(PROBE_BLOCKS, images_u8.shape[0])

    def block(index: jax.Array, sums: jax.Array) -> jax.Array:
        images, share = as_intensity(images_u8[index]), weights[index]
        # The same for every run, whatever its seed: what is compared meets one noise.
        key = probe_key(index)
        shown = pictured(network, images)
        raw = network.apply(parameters, seen(network, key, shown)).raw
        if network.latent is None:
            value = loss.fn(raw, images, scalars)
        else:
            value = objective(
                network, loss, parameters, scalars, images, key, weights=share
            )
        error = METRICS["mse"].fn(loss.read_out(raw), shown)
        scores = jnp.stack([share @ value, share @ error, jnp.sum(share)])
        probed = jnp.where(index < probe, scores, 0)
        return sums + jnp.concatenate([probed, scores])

    sums = jax.lax.fori_loop(0, blocks, block, jnp.zeros(6))
    return sums[0] / sums[2], sums[1] / sums[2], sums[3] / sums[5]
