"""Losses that share a program train as if each had it to itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lossjax import resolve
from lossjax.losses.one_of import OneOf
from lossjax.models.autoencoders import Shape, build
from lossjax.training.program import Program
from lossjax.training.replicas import Layout, Replica, blocks_of, make_mesh, stack
from lossjax.training.settings import Settings

LAYOUT = Layout(1, 2, "map")
NAMES = ("bce", "mse_linear", "huber", "ssim")


def test_is_the_loss_that_was_chosen() -> None:
    generator = np.random.default_rng(0)
    raw = jnp.asarray(generator.normal(size=(3, 8, 8, 1)), jnp.float32)
    target = jnp.asarray(generator.uniform(size=(3, 8, 8, 1)), jnp.float32)
    among = [resolve(name) for name in NAMES]
    for text in ("bce", "mse_linear", "huber(delta=0.3)", "ssim"):
        loss = resolve(text)
        choice = jax.tree.map(jnp.asarray, OneOf.of(loss, among))
        fn = jax.jit(lambda c, r: jnp.sum(c.fn(r, target)))
        slopes = [jax.grad(fn, 1)(one, raw) for one in (choice, loss)]
        np.testing.assert_allclose(*slopes, rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(choice.fn(raw, target), loss.fn(raw, target), 1e-6)
        np.testing.assert_allclose(choice.read_out(raw), loss.read_out(raw), 1e-6)


@pytest.mark.parametrize(
    ("text", "among", "words"),
    [
        ("bce", ("mse",), "bce is not among"),
        ("bce", ("bce", "gaussian_pixel"), "differ in channels"),
    ],
)
def test_refuses_what_cannot_share(text: str, among: tuple[str, ...], words) -> None:
    with pytest.raises(ValueError, match=words):
        OneOf.of(resolve(text), [resolve(name) for name in among])


@pytest.mark.parametrize("text", ["ssim", "mse_linear"])
def test_trains_to_the_same_bits_whoever_shares_the_program(text: str) -> None:
    images = np.random.default_rng(1).integers(0, 256, (24, 8, 8, 1), dtype=np.uint8)
    network = build("conv_ae", Shape((8, 8, 1), latent_dim=3, width=(4, 8)))
    blocks = blocks_of(images)
    found = []
    for among in ((text,), NAMES):
        loss = resolve(text)
        choice = OneOf.of(loss, [resolve(name) for name in among])
        start = loss.start(np.array([0.3]))
        replicas = stack(
            [Replica(s, 1e-2, choice, start, True) for s in (0, 1)], LAYOUT
        )
        program = Program(network, Settings(9, 8), LAYOUT, make_mesh(LAYOUT))
        made = program.compile(replicas, images, blocks)
        state, progress = made.advance(
            replicas, made.init(replicas), images, blocks, 0, 9, 1
        )
        found.append((np.asarray(state.weights), *map(np.asarray, progress)))
    for alone, together in zip(*found, strict=True):
        assert np.array_equal(alone, together)
