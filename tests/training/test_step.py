"""A step of training is a pure function of a state, a batch and a key."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lossjax import resolve
from lossjax.models.autoencoders import Shape, build
from lossjax.training.batches import Batch, Batches
from lossjax.training.settings import OPTIMISERS, Settings
from lossjax.training.step import Recipe, initial_state, train_step
from lossjax.training.weights import parameters_of, size_of


@pytest.mark.parametrize("rate, diverges", [(0.5, False), (1e9, True)])
def test_a_step_follows_the_gradient_or_is_not_taken(
    rate: float, diverges: bool
) -> None:
    network, loss = build("linear_ae", Shape((2, 2, 1), latent_dim=2)), resolve("bce")
    settings = Settings(10, 4, optimiser="sgd", schedule="constant")
    key = jax.random.key(0)
    recipe = Recipe(network, settings, loss, jnp.float32(rate), key)
    before = jax.random.normal(key, (size_of(network),))
    state = initial_state(OPTIMISERS["sgd"](), before)
    images = jax.random.uniform(key, (4, 2, 2, 1))

    def mean(weights: jax.Array) -> jax.Array:
        raw = network.apply(parameters_of(network, weights), images).raw
        return loss.fn(raw, images).mean()

    batch = Batch(jnp.int32(7), images, jnp.arange(4))
    after = train_step(recipe, state, batch, key)
    if diverges:
        np.testing.assert_array_equal(after.weights, before)
        assert after.diverged_step == 7 and after.train_steps == 0
        # Nor is any later step, were it sound.
        later = train_step(recipe, after, batch._replace(step=jnp.int32(8)), key)
        assert later.diverged_step == 7
        return
    expected = before - rate * jax.grad(mean)(before)
    np.testing.assert_allclose(after.weights, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(after.train_total, mean(before), rtol=1e-6)
    assert after.diverged_step == -1 and after.train_steps == 1


def test_an_order_lasts_for_its_epoch_and_no_longer() -> None:
    """To draw it again in every call once took six times as long as to train."""
    batches = Batches(np.zeros((6, 1, 1, 1), np.uint8), 2, jax.random.key(3))
    first = batches.order(jnp.int32(3), batches.start(6))
    np.testing.assert_array_equal(first.places, batches.permutation(jnp.int32(1)))
    marked = first._replace(places=jnp.arange(6))
    kept = batches.order(jnp.int32(5), marked)
    np.testing.assert_array_equal(kept.places, marked.places)
    later = batches.order(jnp.int32(6), marked)
    np.testing.assert_array_equal(later.places, batches.permutation(jnp.int32(2)))
    other = Batches(batches.train_u8, 2, jax.random.key(4))
    anew = other.order(jnp.int32(5), marked)
    np.testing.assert_array_equal(anew.places, other.permutation(jnp.int32(1)))
