"""What an H100 would be told to do, by its compiler; there need not be one.

The compiler comes with jax's CUDA plugin, which `launch --check` installs where it is
not. Tests use no network: they are skipped until it was.
"""

import importlib.util
import json
from typing import Any

import pytest

from lossjax.suite.cli.errors import UserError
from lossjax.suite.docs.measurements import PROOFS
from lossjax.suite.launch import accelerators, check, compilers


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips where the compiler would have to be installed first."""

    def refused(*arguments: object) -> None:
        raise UserError("would be installed")

    monkeypatch.setattr(compilers.Compiler, "_install", refused)
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed")
    try:
        compilers.CUDA.folder()
    except UserError:
        pytest.skip("./run.sh launch --check --accelerator=h100 installs the compiler")


def check_step(program: dict[str, Any]) -> None:
    """What every GPU must be told of ten losses of digits, however many run."""
    step = program["step"]
    assert 20 < sum(step.values()) <= 80, step
    assert not {"sort", "copy", "conditional", "while"} & set(step), step
    assert not [kind for kind in step if "cudnn" in kind], step
    assert any(trips > 8 for trips in program["trips"]), "no loop of known length"
    assert program["collectives"] == []
    # Of a run: 28.6 million operations by the network's sizes, and some megabytes.
    assert 25e6 < program["flops"] / program["slots"] < 35e6
    assert 3e6 < program["bytes"] / program["slots"] < 10e6


@pytest.mark.parametrize("name", [gpu.name for gpu in accelerators.CHECKED])
def test_what_is_stored_of_a_gpu_is_one_program_of_few_launches(name: str) -> None:
    """All 500 runs; test_ahead holds the stored programs to today's."""
    facts = json.loads(PROOFS.read_text(encoding="utf-8"))["digits"][name]
    (program,) = facts["programs"]
    assert program["slots"] == 500 and program["memory"] < facts["limit"]
    check_step(program)


@pytest.mark.slow
def test_ten_losses_of_digits_are_one_program_of_few_launches(installed: None) -> None:
    """Two rows of ten losses: as many operations as for any number of rows."""
    aim = accelerators.gpu(name := "h100")
    assert aim is not None
    arguments = [
        "--config=configs/digits.py",
        "--config.seeds=0,1",
        "--config.learning_rates=1e-3,",
    ]
    said: list[dict] = []
    lines = list(check.lines(name, aim, check.compiled(aim, arguments, said)))
    head, program, total = said
    assert head["programs"] == 1 and head["layout"]["mapping"] == "vmap"
    assert "jax-cuda12-plugin" in head["versions"]
    assert total["runs"] == 20
    check_step(program)
    assert f"{sum(program['step'].values())} launches" in lines[2]
