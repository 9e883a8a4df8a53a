"""The models of the usual pieces train, and score an image by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lossjax import resolve
from lossjax.models.autoencoders import autoencoder, build
from lossjax.models.network import Shape
from lossjax.training.program import Program
from lossjax.training.replicas import Layout, Replica, blocks_of, make_mesh, stack
from lossjax.training.settings import Settings
from lossjax.training.weights import parameters_of


def discs(count: int, side: int) -> np.ndarray:
    """White discs of random places and sizes on black, uint8."""
    rng = np.random.default_rng(0)
    x, y, r = rng.uniform(0.2, 0.8, (3, count, 1, 1))
    across = (np.arange(side) + 0.5) / side
    inside = (across[:, None] - y) ** 2 + (across - x) ** 2 < (r / 3) ** 2
    return (255 * inside[..., None]).astype(np.uint8)


def test_is_no_body_of_one_mode() -> None:
    with pytest.raises(ValueError, match="res_ae: lossjax.models.residual has its"):
        autoencoder("res_ae", Shape((8, 8, 1)), rngs=None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sizes must be positive"):
        build("res_ae", Shape((1, 8, 1)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "side", "width"),
    [
        ("res_ae(noise=masking, amount=0.1)", 12, (6,)),
        ("conv_ae", 96, (4, 8, 8, 8)),
    ],
)
def test_trains_and_scores_an_image_by_itself(
    model: str, side: int, width: tuple[int, ...]
) -> None:
    steps, shape = 120, Shape((side, side, 1), 1, 8, width=width)
    network, loss = build(model, shape), resolve("mse")
    assert bool(network.corrupt) == bool(network.carried) == model.startswith("res_ae")
    images = discs(96, side)
    layout = Layout(1, 1, "map")
    mesh = make_mesh(layout)
    program = Program(network, Settings(steps, 16), layout, mesh)
    start = loss.start(images.mean((0, 1, 2), dtype=np.float64) / 255)
    replicas = stack([Replica(0, 1e-2, loss, start, True)], layout)
    held = blocks_of(images)
    trainer = program.compile(replicas, images, held)
    state, _ = trainer.advance(
        replicas, program.init(replicas), images, held, 0, steps, 1
    )
    assert int(state.diverged_step[0]) == -1
    params = parameters_of(network, state.weights[0])
    target = jnp.asarray(images / 255, jnp.float32)
    raw = jax.jit(network.apply)(params, target).raw
    error = float(jnp.mean((loss.read_out(raw) - target) ** 2))
    assert error < 0.25 * float(target.var()), error
    alone = jax.jit(network.apply)(params, target[:1]).raw
    np.testing.assert_allclose(
        loss.read_out(alone)[0], loss.read_out(raw)[0], atol=2e-2
    )
