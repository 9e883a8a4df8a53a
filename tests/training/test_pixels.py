"""Float images, masked pixels and weighted ones, in training and in scores."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lossjax import METRICS, Loss, resolve
from lossjax.metrics.diagnostics import SATURATED
from lossjax.models.autoencoders import Network, Shape, build
from lossjax.models.pixels import BYTES, Pixels
from lossjax.training.diagnoser import Diagnoser
from lossjax.training.objective import divergence, objective
from lossjax.training.program import Program
from lossjax.training.replicas import Layout, Replica, blocks_of, make_mesh, stack
from lossjax.training.scoring import Scorer
from lossjax.training.settings import Settings
from lossjax.training.step import State
from lossjax.training.weights import parameters_of

SHAPE = (6, 5, 2)
FLOATS, MASKED = Pixels(0, "float32"), Pixels(0, "float32", masked=True)
BALANCE = ((0.4, 0.75, 1.5), (0.5, 0.8, 1.25))
IMAGES_U8 = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), np.uint8)
# As a compiler divides by 255.
IMAGES = IMAGES_U8.astype(np.float32) * np.float32(1 / 255)
SEEN = np.random.default_rng(1).random(IMAGES.shape) < 0.6
HOLED = np.where(SEEN, IMAGES, np.float32(np.nan))
KEY = jax.random.key(7)


@functools.cache
def network(pixels: Pixels, model: str = "mlp_ae") -> Network:
    made = build(model, Shape(SHAPE, latent_dim=3, width=(4, 4), hidden=(16,)))
    return dataclasses.replace(made, pixels=pixels)


def train(
    images: np.ndarray, pixels: Pixels, layout: Layout, loss: Loss
) -> tuple[State, float]:
    """The state after a few steps, and the loss on validation images."""
    program = Program(network(pixels), Settings(6, 8), layout, make_mesh(layout))
    replicas = stack(
        [Replica(3, 1e-2, loss, loss.start(np.full(2, 0.5)), True)], layout
    )
    data = images[:24], blocks_of(images[24:], 8)
    made = program.compile(replicas, *data)
    state, progress = made.advance(replicas, made.init(replicas), *data, 0, 6, 2)
    return jax.tree.map(np.asarray, state), float(progress.validation_loss[0])


ONE = Layout(1, 1, "map")


def test_floats_train_to_the_bit_as_the_same_bytes() -> None:
    of_bytes, loss = train(IMAGES_U8, BYTES, ONE, resolve("bce"))
    of_floats, same = train(IMAGES, FLOATS, ONE, resolve("bce"))
    np.testing.assert_array_equal(of_bytes.weights, of_floats.weights)
    assert loss == same


@pytest.mark.slow
def test_side_by_side_masked_pixels_count_as_one_after_another() -> None:
    pixels = dataclasses.replace(MASKED, balance=BALANCE)
    one, loss = train(HOLED, pixels, ONE, resolve("mse"))
    other, same = train(HOLED, pixels, Layout(1, 1, "vmap"), resolve("mse"))
    assert np.isfinite(one.weights).all() and np.ptp(one.weights) > 0.1
    np.testing.assert_allclose(one.weights, other.weights, atol=2e-5)
    assert loss == pytest.approx(same, rel=1e-4)
    made = network(pixels)
    parameters = parameters_of(made, one.weights[0])
    held = objective(made, resolve("mse"), parameters, {}, HOLED[24:], KEY)
    assert loss == pytest.approx(float(held.mean()), rel=1e-5)
    whole, _ = train(IMAGES, FLOATS, ONE, resolve("mse"))
    assert np.abs(one.weights - whole.weights).max() > 1e-3


@pytest.mark.parametrize("name", ["mse", "ssim"])
def test_the_objective_is_of_the_pixels_that_count_by_their_weights(name: str) -> None:
    pixels = dataclasses.replace(MASKED, balance=BALANCE)
    made, loss = network(pixels), resolve(name)
    parameters = made.init(KEY, jnp.zeros(made.outputs))

    def value(parameters):
        return objective(made, loss, parameters, {}, jnp.asarray(HOLED), KEY)

    raw = made.apply(parameters, np.where(SEEN, IMAGES, np.float32(0.5))).raw
    most, dark, bright = np.array(BALANCE, np.float32).T
    weights = np.where(most < IMAGES, bright, dark) * SEEN
    if name == "mse":
        errors = (1 / (1 + np.exp(-np.asarray(raw))) - IMAGES) ** 2 * weights
        expected = errors.sum((1, 2, 3)) / weights.sum((1, 2, 3))
    else:
        expected = loss.fn(raw, IMAGES, weights=jnp.asarray(weights, jnp.float32))
    np.testing.assert_allclose(value(parameters), expected, rtol=1e-5)
    slopes = jax.grad(lambda p: value(p).sum())(parameters)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_the_price_of_a_code_is_shared_by_the_pixels_that_count() -> None:
    made, loss = network(MASKED, "vae(body=mlp, beta=3)"), resolve("mse")
    parameters = made.init(KEY, jnp.zeros(made.outputs))
    blank = jnp.where(SEEN, 0.5, np.nan).astype(jnp.float32)
    code = made.encode(parameters, jnp.full_like(blank, 0.5))
    price = 3 * divergence(code).sum(1) / SEEN.sum((1, 2, 3))
    # Whatever is drawn, this loss is 0.
    free = dataclasses.replace(loss, kernel=lambda raw, target: 0 * target)
    value = objective(made, free, parameters, {}, blank, KEY)
    np.testing.assert_allclose(value, price, rtol=1e-5)


def test_metrics_and_diagnostics_are_of_the_pixels_that_count() -> None:
    made, loss, mesh = network(MASKED), resolve("mse"), make_mesh(ONE)
    replicas = stack([Replica(3, 1e-2, loss, np.zeros(2), True)], ONE)
    program = Program(made, Settings(6, 8), ONE, mesh)
    weights = 8 * program.init(replicas).weights
    scores, _ = Scorer(made, [loss], ONE, mesh).scores(
        weights, replicas.active, [loss], HOLED
    )
    given = np.where(SEEN, IMAGES, np.float32(0.5))
    raw = made.apply(parameters_of(made, weights[0]), given).raw
    image = np.asarray(loss.read_out(raw))
    errors = np.where(SEEN, (image - IMAGES) ** 2, 0).sum((1, 2, 3))
    expected = errors / SEEN.sum((1, 2, 3))
    np.testing.assert_allclose(scores["mse"][0], expected, rtol=1e-5)
    for name, metric in METRICS.items():
        expected = metric.fn(image, IMAGES, weights=jnp.asarray(SEEN, jnp.float32))
        np.testing.assert_allclose(scores[name][0], expected, rtol=1e-4, atol=1e-6)
        assert name == "bce" or (expected != metric.fn(image, IMAGES)).any()
    measured = Diagnoser(made, Settings(6, 8), ONE, mesh).measure(
        replicas, weights, HOLED, HOLED, lambda steps: None
    )
    flat = image * (1 - image) < SATURATED
    assert 0 < flat[SEEN].mean() != flat.mean()
    assert measured["saturated_share"] == pytest.approx(flat[SEEN].mean())
    bad = [n for n, values in measured.items() if not np.isfinite(values).all()]
    assert bad == ["residual_1"]  # no wave so long fits the image
