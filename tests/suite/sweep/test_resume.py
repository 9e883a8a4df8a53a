"""Interrupted in the middle of a run: it goes on where it was, bit by bit."""

from pathlib import Path

import numpy as np
import pytest

from lossjax.suite import data, protocol
from lossjax.suite.cli.errors import Interrupted
from lossjax.suite.config import Sweep
from lossjax.suite.store import checkpoint, sealing
from lossjax.suite.store import results as store
from lossjax.suite.sweep.worker import Worker
from lossjax.training.replicas import Layout, plan_layout

SWEEP = Sweep(
    losses=("bce",),
    learning_rates=(3e-3,),
    seeds=(0, 1),
    train_steps=9,
    curve_points=3,
    width=(4,),
    latent_dim=2,
)
PLANNED = plan_layout("cpu", 2, SWEEP.at_once)


@pytest.fixture(scope="module")
def grid() -> tuple[dict[str, data.Dataset], list[store.Run]]:
    digits = data.load("digits")
    fixed = protocol.fixed_values(
        SWEEP, {"digits": {"fingerprint": digits.fingerprint}}, 1
    )
    return {"digits": digits}, list(protocol.pending(protocol.blocks(SWEEP, fixed), {}))


def worker(grid, out: Path, said: list[str], layout: Layout = PLANNED) -> Worker:
    (out / "runs").mkdir(exist_ok=True)
    return Worker(SWEEP, grid[0], out, said.append, layout, "")


def outcome(results: list[store.Result]) -> list[str]:
    """Everything but provenance, as canonical text."""
    return [sealing.canonical(r.to_json() | {"provenance": {}}) for r in results]


@pytest.fixture(scope="module")
def undisturbed(grid, tmp_path_factory) -> list[str]:
    made = worker(grid, tmp_path_factory.mktemp("whole"), [])
    return outcome(list(made.train(grid[1], lambda steps: None)))


@pytest.mark.slow
def test_smaller_programs_give_the_same_bits(grid, undisturbed, tmp_path: Path) -> None:
    """Where runs are mapped one after the other, however few a program takes."""
    made = worker(grid, tmp_path, [], Layout(1, 1, "map"))
    found = [r for run in grid[1] for r in made.train([run], lambda steps: None)]
    assert outcome(found) == undisturbed


class StopAt:
    """A tick that interrupts once so many steps of one run are done."""

    def __init__(self, step: int, runs: int) -> None:
        self.left = step * runs

    def __call__(self, steps: int) -> None:
        self.left -= steps
        if self.left <= 0:
            raise Interrupted("test")


late = [pytest.param(step, marks=pytest.mark.slow) for step in (1, 9)]


@pytest.mark.parametrize("step", [4, *late])
def test_resumed_is_bitwise_the_undisturbed_run(
    grid, undisturbed, tmp_path: Path, step: int
) -> None:
    first, said = worker(grid, tmp_path, []), []
    with pytest.raises(Interrupted):
        list(first.train(grid[1], StopAt(step, 2)))
    again = worker(grid, tmp_path, said)
    at = [again.saved.step_of(run) for run in grid[1]]
    assert at[0] == at[1] and step <= at[0] <= 9
    assert outcome(list(again.train(grid[1], lambda steps: None))) == undisturbed
    assert said == []


@pytest.mark.slow
def test_a_damaged_state_is_named_and_begun_again(
    grid, undisturbed, tmp_path: Path
) -> None:
    made = worker(grid, tmp_path, [])
    with pytest.raises(Interrupted):
        list(made.train(grid[1], StopAt(4, 2)))
    generator = np.random.default_rng(0)
    path = tmp_path / "runs" / grid[1][0].run_id / "state.npz"
    whole = path.read_bytes()
    for _ in range(50):
        bad = bytearray(whole)
        place = generator.integers(len(bad) * 8)
        bad[place // 8] ^= 1 << (place % 8)
        path.write_bytes(bad)
        with pytest.raises(ValueError, match="state.npz"):
            checkpoint.read(tmp_path, grid[1][0], made.saved.made_by)
    for cut in np.linspace(0, len(whole) - 1, 20, dtype=int):
        path.write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="state.npz"):
            checkpoint.read(tmp_path, grid[1][0], made.saved.made_by)
    said: list[str] = []
    again = worker(grid, tmp_path, said)
    assert [again.saved.step_of(run) for run in grid[1]][0] == 0
    assert len(said) == 1 and "state.npz" in said[0] and "begun again" in said[0]
    assert outcome(list(again.train(grid[1][:1], lambda _: None))) == undisturbed[:1]


def test_a_state_made_by_other_software_is_not_gone_on_with(
    grid, tmp_path: Path
) -> None:
    made = worker(grid, tmp_path, [])
    with pytest.raises(Interrupted):
        list(made.train(grid[1], StopAt(4, 2)))
    run = grid[1][0]
    assert checkpoint.read(tmp_path, run, made.saved.made_by) is not None
    other = made.saved.made_by | {"numerics": 0}
    assert checkpoint.read(tmp_path, run, other) is None


def test_a_state_of_another_run_is_refused(grid, tmp_path: Path) -> None:
    made = worker(grid, tmp_path, [])
    with pytest.raises(Interrupted):
        list(made.train(grid[1], StopAt(4, 2)))
    one, two = (tmp_path / "runs" / run.run_id / "state.npz" for run in grid[1])
    one.write_bytes(two.read_bytes())
    with pytest.raises(ValueError, match="is of run"):
        checkpoint.read(tmp_path, grid[1][0], made.saved.made_by)
