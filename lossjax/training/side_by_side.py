"""Replicas side by side, in rows of one seed: how accelerators train them.

A row shares its seed, and with it batches, corruption and noise; its slots are losses
and learning rates, those of a loss family next to each other. Over rows and slots
everything is batched, so that the first layer of a row is one product of images that
lie there once, and a step is as many operations for thousands of replicas as for one.
"""

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from lossjax.losses.loss import Loss
from lossjax.losses.one_of import OneOf
from lossjax.models.network import Network
from lossjax.training.batches import Batch, Batches
from lossjax.training.objective import prepared, trained_forward
from lossjax.training.replicas import Replica
from lossjax.training.settings import Settings
from lossjax.training.step import (
    State,
    carried_at,
    noise_key,
    share_of,
    targets_of,
    updated,
)
from lossjax.training.weights import parameters_of, scalars_of

_TRIPS = 16  # about so many steps of a loop whose length the compiler knows


@dataclass(frozen=True)
class Rows:
    """Trains the replicas of a device side by side.

    Attributes:
      network: that is trained.
      settings: and how.
      segments: slots of a row for each loss family, in the order of OneOf.losses.
    """

    network: Network
    settings: Settings
    segments: tuple[int, ...]

    @property
    def trips(self) -> int:
        """Steps of a loop of known length; those after the last asked for do nothing.

        An accelerator starts its next step without asking the host whether there is
        one. Loops fill the longest call evenly.
        """
        loops = max(1, round(self.settings.stretch / _TRIPS))
        return math.ceil(self.settings.stretch / loops)

    def advance(
        self,
        replica: Replica,
        state: State,
        train_u8: jax.Array,
        start: jax.Array,
        stop: jax.Array,
    ) -> State:
        """Steps start..stop-1, at most `settings.stretch`, of all slots of a device."""
        width = sum(self.segments)

        def rows(tree: Any) -> Any:
            return jax.tree.map(lambda x: x.reshape(-1, width, *x.shape[1:]), tree)

        replica, state = rows(replica), rows(state)
        seeds = replica.seed[:, 0]

        def batches(seed: jax.Array) -> Batches:
            key = batch_key(seed)
            return Batches(train_u8, self.settings.batch_size, key)

        orders = jax.vmap(lambda s: batches(s).orders(start, self.settings.stretch))(
            seeds
        )
        per_epoch = len(train_u8) // self.settings.batch_size
        first = start // per_epoch

        def step(index: jax.Array, share: jax.Array, state: State) -> State:
            epoch = jnp.minimum(index // per_epoch - first, orders.shape[1] - 1)

            def of_row(seed: Any, orders: Any, replica: Any, state: Any) -> State:
                batch = batches(seed).batch(index, orders[epoch])
                key = jax.random.fold_in(step_key(seed), index)
                rates = replica.learning_rate * share
                return self._step(replica, rates, state, batch, key, index < stop)

            return jax.vmap(of_row)(seeds, orders, replica, state)

        def loop(number: jax.Array, state: State) -> State:
            begin = start + number * self.trips
            shares = share_of(self.settings, begin + jnp.arange(self.trips))

            def trip(place: jax.Array, state: State) -> State:
                return step(begin + place, shares[place], state)

            return jax.lax.fori_loop(0, self.trips, trip, state)

        loops = -((start - stop) // self.trips)
        state = jax.lax.fori_loop(0, loops, loop, state)
        return jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), state)

    def _step(
        self,
        replica: Replica,
        rates: jax.Array,
        state: State,
        batch: Batch,
        key: jax.Array,
        counts: jax.Array,
    ) -> State:
        """As `train_step`, of a row: every leaf of `replica` and `state` has its slots.

        `counts` is False where no step is to be taken.
        """
        network, settings = self.network, self.settings
        noise = noise_key(replica.seed[0])
        targets = targets_of(settings, noise, batch.places)
        given, aim = prepared(network, replica.loss, batch.images, key, targets)
        size = network.pixels.size(batch.images)
        shares = network.pixels.weights(batch.images)
        kl_share = settings.kl_share(batch.step)

        def means(weights: jax.Array) -> tuple[jax.Array, jax.Array | None]:
            def output(own: jax.Array) -> Any:
                parameters = parameters_of(network, own)
                return trained_forward(network, parameters, given, size, key, kl_share)

            raw, price, carried = jax.vmap(output)(weights)
            values = self._values(replica.loss, weights, raw, aim, shares)
            paid = values if price is None else values + jnp.mean(price, axis=1)
            return paid, carried

        value, back, carried = jax.vjp(means, state.weights, has_aux=True)
        (gradient,) = back(jnp.ones_like(value))
        # Made once, not once for each of the numbers that depend on it.
        value = jax.lax.optimization_barrier(value)
        going = (state.diverged_step < 0) & counts

        def update(
            rate: Any, state: Any, value: Any, slope: Any, going: Any, carried: Any
        ) -> State:
            made = value, slope, going, carried_at(network, carried)
            return updated(settings, rate, state, batch.step, *made)

        return jax.vmap(update)(rates, state, value, gradient, going, carried)

    def _values(
        self,
        losses: Any,
        weights: jax.Array,
        raw: jax.Array,
        aim: jax.Array,
        shares: jax.Array | None,
    ) -> jax.Array:
        """Mean loss (slots,): each family's own slots, and nothing of the others.

        Terms of neighbouring families are summed at once, which is one operation.
        `shares` are the weights of pixels.
        """
        parts: list[jax.Array] = []
        first = 0
        families = losses.losses if isinstance(losses, OneOf) else (losses,)
        for family, count in zip(families, self.segments, strict=False):
            own = slice(first, first + count)
            first += count

            def value(loss: Loss, weights: Any, raw: Any) -> jax.Array:
                scalars = scalars_of(self.network, loss, weights)
                return loss.terms(raw, aim, scalars, weights=shares)

            mine = jax.tree.map(lambda leaf, own=own: leaf[own], family)
            terms = jax.vmap(value)(mine, weights[own], raw[own])
            if parts and parts[-1].shape[1:] == terms.shape[1:]:
                terms = jnp.concatenate([parts.pop(), terms])
            parts.append(terms)
        means = [jnp.mean(part, axis=tuple(range(1, part.ndim))) for part in parts]
        return jnp.concatenate(means)


def batch_key(seed: jax.Array) -> jax.Array:
    """The key of a seed's order of images."""
    return jax.random.split(jax.random.key(seed))[1]


def step_key(seed: jax.Array) -> jax.Array:
    """The key from which every step's is folded."""
    return jax.random.fold_in(jax.random.key(seed), 3)
