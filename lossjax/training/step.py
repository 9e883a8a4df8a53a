"""One step of training: a pure function of a replica's state, a batch and a key."""

import functools
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from lossjax.losses.loss import Loss
from lossjax.losses.one_of import OneOf
from lossjax.models.network import Network
from lossjax.training.batches import Batch
from lossjax.training.objective import Targets, prepared, trained_forward
from lossjax.training.settings import OPTIMISERS, SCHEDULES, Settings
from lossjax.training.weights import parameters_of, scalars_of, size_of

# No weight of a useful network here comes near; a run beyond it has diverged even where
# a saturated read-out keeps its loss finite.
WEIGHT_LIMIT = 1e4
# A place in the weights, and the numbers that a step leaves there; None: nowhere.
Carried = tuple[int, jax.Array] | None


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


@dataclass(frozen=True)
class Recipe:
    """What all steps of a replica have in common.

    Attributes:
      network: that is trained.
      settings: and how.
      loss: of the replica, with its hyperparameters.
      learning_rate: float32, the peak rate.
      noise: key of noisy targets, of which the seed has one.
    """

    network: Network
    settings: Settings
    loss: Loss | OneOf
    learning_rate: jax.Array
    noise: jax.Array


def initial_state(optimiser: optax.GradientTransformation, weights: jax.Array) -> State:
    """The state before the first step."""
    moments = optimiser.init(weights)
    return State(weights, moments, jnp.int32(-1), jnp.float32(0), jnp.int32(0))


def noise_key(seed: jax.Array) -> jax.Array:
    """The key of a seed's noisy targets."""
    return jax.random.fold_in(jax.random.key(seed), 2)


def train_step(recipe: Recipe, state: State, batch: Batch, key: jax.Array) -> State:
    """The state after one step; a step that diverges is not taken, nor any later one.

    Args:
      recipe: what does not change from step to step.
      state: before the step.
      batch: its images.
      key: of its corruption and draws.
    """
    mean = functools.partial(_mean_objective, recipe, batch=batch, key=key)
    (value, carried), gradient = jax.value_and_grad(mean, has_aux=True)(state.weights)
    going = state.diverged_step < 0
    settings = recipe.settings
    rate = recipe.learning_rate * share_of(settings, batch.step)
    made = value, gradient, going, carried_at(recipe.network, carried)
    return updated(settings, rate, state, batch.step, *made)


def share_of(settings: Settings, step: jax.Array) -> jax.Array:
    """Of the peak rate that the schedule leaves at a step."""
    return SCHEDULES[settings.schedule](step / settings.train_steps)


def updated(
    settings: Settings,
    rate: jax.Array,
    state: State,
    step: jax.Array,
    value: jax.Array,
    gradient: jax.Array,
    going: jax.Array,
    carried: Carried = None,
) -> State:
    """The state after a step at a rate, its batch loss and gradient being known.

    `going` is False where no step is to be taken: the state then stays as it is.
    `carried` takes the place of weights that no optimiser trains.
    """
    updates, moments = OPTIMISERS[settings.optimiser]().update(
        gradient, state.moments, state.weights
    )
    weights = optax.apply_updates(state.weights, -rate * updates)
    if carried is not None:
        first, numbers = carried
        weights = weights.at[first : first + len(numbers)].set(numbers)
    total, steps = state.train_total + value, state.train_steps + 1
    # nan fails the comparison too.
    sound = jnp.isfinite(value) & (jnp.max(jnp.abs(weights)) < WEIGHT_LIMIT)
    diverged = jnp.where(going & ~sound, step, state.diverged_step)
    return jax.tree.map(
        lambda new, old: jnp.where(going & sound, new, old),
        State(weights, moments, diverged, total, steps),
        state._replace(diverged_step=diverged),
    )


def carried_at(network: Network, numbers: jax.Array | None) -> Carried:
    """What a step leaves in the place of the network's last weights, with the place."""
    return None if numbers is None else (size_of(network) - network.carried, numbers)


def _mean_objective(
    recipe: Recipe, weights: jax.Array, batch: Batch, key: jax.Array
) -> tuple[jax.Array, jax.Array | None]:
    network, loss, settings = recipe.network, recipe.loss, recipe.settings
    targets = targets_of(settings, recipe.noise, batch.places)
    given, aim = prepared(network, loss, batch.images, key, targets)
    pixels = network.pixels
    parameters = parameters_of(network, weights)
    size, kl_share = pixels.size(batch.images), settings.kl_share(batch.step)
    made = trained_forward(network, parameters, given, size, key, kl_share)
    raw, price, carried = made
    shares = pixels.weights(batch.images)
    value = loss.fn(raw, aim, scalars_of(network, loss, weights), weights=shares)
    return jnp.mean(value if price is None else value + price), carried


def targets_of(
    settings: Settings, noise: jax.Array, places: jax.Array
) -> Targets | None:
    """Images -> targets, where they are not the images themselves."""
    noisy = settings.targets
    if noisy is None:
        return None
    return lambda images: noisy(noise, images, places)
