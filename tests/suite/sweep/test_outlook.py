"""What is ahead of a sweep, in a line."""

import pytest

from lossjax.suite.config import Sweep
from lossjax.suite.sweep import outlook


def test_the_grid_in_a_line() -> None:
    sweep = Sweep(losses=("bce", "mse"), learning_rates=(0.001, 0.003), seeds=(0, 1, 2))
    assert outlook.grid(sweep, 12) == "12 runs: 2 losses x 2 learning rates x 3 seeds"
    wide = Sweep(
        datasets=("digits", "patches"), losses=("bce",), seeds=(0,), budgets=(5, 10)
    )
    assert outlook.grid(wide, 20).startswith("20 runs: 2 datasets x 2 budgets x 1 loss")


def test_the_rest_is_told_once_by_what_has_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, said = [100.0], list[str]()
    monkeypatch.setattr(outlook.time, "monotonic", lambda: clock[0])
    pace = outlook.Pace(1000, said.append)
    for _ in range(10):  # the first tick comes after a wait for compilation
        pace.tick(50)
        clock[0] += 1
    assert said == ["about 16 s remain"]
