"""Several accelerators of a node are one mesh: eight devices, runs side by side."""

import pytest
from typed_commands import python

CODE = """
import lossjax.platform
lossjax.platform.prepare(cpu_devices=8)
import sys
from pathlib import Path
import jax
from lossjax import NUMERICS
from lossjax.suite import data, protocol
from lossjax.suite.config import Sweep
from lossjax.suite.store import sealing
from lossjax.suite.sweep.worker import Worker
from lossjax.training.replicas import Layout
assert jax.local_device_count() == 8
name = "linear_decoder(count=120)"
sweep = Sweep(
    datasets=(name,), models=("linear_ae",), losses=("mse", "bce"), train_steps=5,
    learning_rates=(1e-3, 1e-2), seeds=tuple(range(9)), batch_size=20, latent_dim=2,
    curve_points=1,
)
dataset = data.load(name)
facts = {name: {"fingerprint": dataset.fingerprint}}
fixed = protocol.fixed_values(sweep, facts, NUMERICS)
grid = protocol.blocks(sweep, fixed)
def trained(layout, blocks):
    worker = Worker(sweep, {name: dataset}, Path(sys.argv[1]), print, layout, "")
    runs, made = list(protocol.pending(blocks, {})), {}
    while runs:
        for one in worker.train(worker.pack(runs), lambda steps: None):
            made[one.run.run_id] = sealing.canonical(one.to_json() | {"provenance": 0})
        runs = [run for run in runs if run.run_id not in made]
    return made
# A row of one seed on each device: nine rows are two programs of eight.
node = trained(Layout(8, 32, "vmap"), grid)
assert len(node) == 36
# One process for each of four devices, in any order.
alone = {}
for index in (2, 0, 3, 1):
    part = protocol.shard(grid, index, 4)
    alone |= trained(Layout(1, 4, "vmap"), part)
assert alone == node, [run for run in node if alone.get(run) != node[run]]
"""


@pytest.mark.slow
def test_a_mesh_of_eight_and_a_process_each_make_equal_results(tmp_path) -> None:
    (tmp_path / "runs").mkdir()
    ended = python("-c", CODE, str(tmp_path))
    assert ended.returncode == 0, ended.stderr[-2000:]
