"""A module with batch norm and dropout trains alike in both layouts."""

from pathlib import Path

import numpy as np
import pytest

from lossjax import resolve
from lossjax.models import autoencoders
from lossjax.models.network import Shape
from lossjax.training.program import Program
from lossjax.training.replicas import Layout, Replica, blocks_of, make_mesh, stack
from lossjax.training.settings import Settings

FILE = Path(__file__).parents[1] / "models" / "own_example.py"


@pytest.mark.slow
def test_side_by_side_equals_one_after_the_other() -> None:
    network = autoencoders.build(f"{FILE}:UNet(rate=0.2)", Shape((8, 8, 1), 1, 2))
    images = np.random.default_rng(0).integers(0, 256, (24, 8, 8, 1), np.uint8)
    loss, steps = resolve("bce"), 6
    rates = (1e-2, 3e-2)
    found = []
    for mapping in ("map", "vmap"):
        layout = Layout(1, 2, mapping)
        mesh = make_mesh(layout)
        program = Program(network, Settings(steps, 8), layout, mesh, (2,))
        runs = [Replica(3, rate, loss, np.zeros(1), True) for rate in rates]
        replicas = stack(runs, layout, row=2)
        held = blocks_of(images)
        trainer = program.compile(replicas, images, held)
        begun = program.init(replicas)
        before = np.asarray(begun.weights)
        state, _ = trainer.advance(replicas, begun, images, held, 0, steps, 1)
        found.append(np.asarray(state.weights))
        carried = found[-1][:, -network.carried :]
        assert not np.any(carried == before[:, -network.carried :])
        # By the same batches: what is carried differs by the weights alone.
        assert np.all(np.asarray(state.diverged_step) == -1)
    np.testing.assert_allclose(found[0], found[1], rtol=2e-3, atol=2e-4)
