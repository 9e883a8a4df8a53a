"""The compiled trainer: one program trains many replicas, of all losses it can.

A replica is one run: seed, learning rate and hyperparameters are traced, so a program
belongs to shapes and loss families, and compiles once for a whole grid. Replicas are
spread over the devices of a mesh and need no communication. `Program.compile` gives the
`Trainer`, which the host tells to advance one interval of steps at a time; between
calls it shows progress, stops, or saves the state.
"""

import functools
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jax.sharding import Mesh

from lossjax import platform
from lossjax.models.network import Network
from lossjax.training.batches import Batches, Order
from lossjax.training.memory import compiled_bytes, nbytes, peak_bytes
from lossjax.training.probes import Progress, progress_of
from lossjax.training.replicas import Blocks, Layout, Replica, put, spread
from lossjax.training.settings import OPTIMISERS, Settings
from lossjax.training.side_by_side import Rows, batch_key, step_key
from lossjax.training.step import Recipe, State, initial_state, noise_key, train_step
from lossjax.training.weights import size_of

_SMALL = 50_000  # weights: digits have 20,000, a 28x28 network 270,000
_CALL = (  # shapes of start, stop, blocks and fresh of Trainer.advance
    *[jax.ShapeDtypeStruct((), jnp.int32)] * 3,
    jax.ShapeDtypeStruct((), jnp.bool_),
)


@dataclass
class Trainer:
    """A compiled `Program`, for replicas and images of the shapes it was compiled for.

    Attributes:
      program: what was compiled.
      compiled: the executable, for those who ask what it costs.
      orders: of every slot's images, as the last call left them; None before the first,
        and where replicas lie side by side.
    """

    program: "Program"
    compiled: Any
    orders: Order | None = None

    @property
    def layout(self) -> Layout:
        """How replicas lie on the hardware."""
        return self.program.layout

    @property
    def bytes(self) -> int:
        """What the compiler says that a device needs; 0 where it does not say."""
        return compiled_bytes(self.compiled)

    def init(self, replicas: Replica) -> State:
        """Fresh states; see `Program.init`."""
        return self.program.init(replicas)

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
        replicas = put(replicas, self.program.mesh)
        if self.orders is None:
            begun = self.program.orders(len(train_u8))
            self.orders = put(begun, self.program.mesh)
        while True:
            ends = min(stop, start + self.program.stretch)
            (state, self.orders), progress = self.compiled(
                replicas,
                (state, self.orders),
                train_u8,
                validation,
                np.int32(start),
                np.int32(ends),
                np.int32(blocks if ends == stop else 0),
                np.bool_(fresh),
            )
            if ends == stop:
                return state, progress
            start, fresh = ends, False


class Program:
    """Trains replicas of the loss families of those it is compiled for.

    `segments`, where replicas lie side by side: the slots of each family in a row of
    one seed; see `side_by_side`.
    """

    def __init__(
        self,
        network: Network,
        settings: Settings,
        layout: Layout,
        mesh: Mesh,
        segments: tuple[int, ...] = (1,),
    ) -> None:
        self.layout, self.mesh = layout, mesh
        self._network = network
        small = size_of(network) <= _SMALL
        options = platform.compiler_options(mesh.devices.flat[0], small=small)
        self.trips, self.stretch = 1, settings.train_steps
        self._one: Any = functools.partial(_advance, network, settings)
        if side_by_side := layout.mapping == "vmap":
            rows = Rows(network, settings, segments)
            self.trips, self.stretch = rows.trips, settings.stretch
            self._one = functools.partial(_advance_rows, rows)
        self._advance = spread(
            self._one,
            mesh,
            layout,
            shared=6,
            batched=2,
            donated=True,
            whole=side_by_side,
            options=options,
        )
        begin = functools.partial(_begin, OPTIMISERS[settings.optimiser]())
        self._begin = spread(begin, mesh, layout, shared=0)

    def compile(self, replicas: Replica, train_u8: Any, validation: Blocks) -> Trainer:
        """What advances such replicas on such images; arguments may be mere shapes."""
        arguments = self._arguments(replicas, train_u8, validation)
        return Trainer(self, self._advance.lower(*arguments).compile())

    def export(
        self, replicas: Replica, train_u8: Any, validation: Blocks, backend: str
    ) -> str:
        """The StableHLO of what `compile` compiles, for any backend.

        Args:
          replicas: and images, as `compile` takes them.
          backend: cpu, cuda or tpu; it need not be here.
        """
        arguments = self._arguments(replicas, train_u8, validation)
        exported = jax.export.export(self._advance, platforms=[backend])(*arguments)
        return exported.mlir_module()

    def replica_bytes(
        self, replicas: Replica, train_u8: Any, validation: Blocks
    ) -> int:
        """What a replica needs while it trains: its state, and by `peak_bytes`.

        Takes the arguments of `compile`, and compiles nothing.
        """
        arguments = self._arguments(replicas, train_u8, validation)
        backend = self.mesh.devices.flat[0].platform
        working = peak_bytes(self._one, *arguments, backend=backend)
        return (nbytes(arguments[1]) + working) // self.layout.replicas

    def init(self, replicas: Replica) -> State:
        """Fresh states, one for each slot; the weights do not depend on the loss."""
        initial = _initialiser(self._network, self.layout, self.mesh)
        scalars = replicas.loss.scalars
        return self._begin(initial(replicas.seed, replicas.start), scalars)

    def orders(self, images: int) -> Order | None:
        """Every slot's before the first step; side by side each call draws its own."""
        if self.layout.mapping == "vmap":
            return None
        one = Batches.start(images)
        slots = self.layout.replicas
        return jax.tree.map(lambda x: jnp.broadcast_to(x, (slots, *x.shape)), one)

    def _arguments(
        self, replicas: Replica, train_u8: Any, validation: Blocks
    ) -> tuple[Any, ...]:
        state = jax.eval_shape(self.init, replicas)
        orders = jax.eval_shape(lambda: self.orders(train_u8.shape[0]))
        return replicas, (state, orders), train_u8, validation, *_CALL


@functools.lru_cache(maxsize=8)
def _initialiser(network: Network, layout: Layout, mesh: Mesh) -> Any:
    """(seed, start) -> weights of the network; compiled once for all losses."""

    def initial(seed: jax.Array, start: jax.Array) -> jax.Array:
        init_key = jax.random.split(jax.random.key(seed))[0]
        return ravel_pytree(network.init(init_key, start))[0]

    return spread(initial, mesh, layout, shared=0)


def _begin(optimiser: Any, initial: jax.Array, scalars: Any) -> State:
    return initial_state(optimiser, ravel_pytree((initial, scalars))[0])


def _advance(
    network: Network,
    settings: Settings,
    replica: Replica,
    carry: tuple[State, Order],
    train_u8: jax.Array,
    validation: Blocks,
    start: jax.Array,
    stop: jax.Array,
    blocks: jax.Array,
    fresh: jax.Array,
) -> tuple[tuple[State, Order], Progress]:
    """Steps start..stop-1 of one replica, then its validation scores."""
    loss, noise = replica.loss, noise_key(replica.seed)
    recipe = Recipe(network, settings, loss, replica.learning_rate, noise)
    base = step_key(replica.seed)
    batches = Batches(train_u8, settings.batch_size, batch_key(replica.seed))

    def step(index: jax.Array, carry: Any) -> Any:
        state, order = carry
        order = batches.order(index, order)
        key = jax.random.fold_in(base, index)
        batch = batches.batch(index, order.places)
        return train_step(recipe, state, batch, key), order

    def train(carry: tuple[State, Order]) -> tuple[tuple[State, Order], Progress]:
        state, order = carry
        begun = _begun(state, fresh), order
        carry = jax.lax.fori_loop(start, stop, step, begun)
        weights = carry[0].weights
        return carry, progress_of(network, loss, weights, validation, blocks)

    def rest(carry: tuple[State, Order]) -> tuple[tuple[State, Order], Progress]:
        return carry, Progress(*(jnp.float32(0),) * len(Progress._fields))

    return jax.lax.cond(replica.active, train, rest, carry)


def _advance_rows(
    rows: Rows,
    replicas: Replica,
    carry: tuple[State, None],
    train_u8: jax.Array,
    validation: Blocks,
    start: jax.Array,
    stop: jax.Array,
    blocks: jax.Array,
    fresh: jax.Array,
) -> tuple[tuple[State, None], Progress]:
    """`_advance` of all replicas of a device; idle ones train like any other."""
    begun = _begun(carry[0], fresh)
    state = rows.advance(replicas, begun, train_u8, start, stop)

    def progress(loss: Any, weights: jax.Array) -> Progress:
        return progress_of(rows.network, loss, weights, validation, blocks)

    return (state, None), jax.vmap(progress)(replicas.loss, state.weights)


def _begun(state: State, fresh: jax.Array) -> State:
    """The state with a new sum of training losses where one is asked for."""
    return state._replace(
        train_total=jnp.where(fresh, 0, state.train_total),
        train_steps=jnp.where(fresh, 0, state.train_steps),
    )
