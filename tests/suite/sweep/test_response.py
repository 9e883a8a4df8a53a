"""The sweep over the knob between BCE and MSE."""

import dataclasses
from pathlib import Path

import pytest
from absl import flags

from lossjax import resolve
from lossjax.suite import data
from lossjax.suite.cli.commandline import parse_sweep
from lossjax.suite.store.results import Run
from lossjax.suite.sweep.worker import Worker
from lossjax.training.program import Program, Trainer
from lossjax.training.replicas import plan_layout


@pytest.mark.slow
def test_the_response_curve_is_one_compiled_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every g of configs/response.py by the same program, counted where it is made."""
    arguments = [
        "--config=configs/response.py",
        "--config.train_steps=1",
        "--config.curve_points=1",
        "--config.width=4,",
        "--config.learning_rates=0.01,",
        "--config.seeds=0,",
        "--config.max_examples=120",
        "--config.batch_size=8",
    ]
    sweep = parse_sweep(flags.FlagValues(), arguments, "usage")[1]
    assert len(sweep.losses) >= 21
    values = sorted(resolve(name).hyper["g"] for name in sweep.losses)
    assert {-0.5, 0, 1, 2} <= set(values)
    compiled = []
    compile_ = Program.compile

    def count(self: Program, *data: object) -> Trainer:
        compiled.append(self)
        return compile_(self, *data)  # type: ignore[arg-type]

    monkeypatch.setattr(Program, "compile", count)
    digits = data.load("digits", max_examples=sweep.max_examples)
    layout = plan_layout("cpu", 2, sweep.at_once)
    worker = Worker(sweep, {"digits": digits}, tmp_path, print, layout, "")
    scores = set()
    for name in sweep.losses[::10]:
        run = Run("digits", "conv_ae", name, 0.01, 0, 8, 1, {})
        scores |= {r.validation_loss for r in worker.train([run], lambda _: None)}
    groups = {
        worker.group_of(dataclasses.replace(run, loss=name)) for name in sweep.losses
    }
    assert len(groups) == len(compiled) == 1 and len(scores) == 3
