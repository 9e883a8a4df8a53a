"""Every shipped config for accelerators that are not there."""

import json
import math
import re
from pathlib import Path

import jax
import pytest
from absl import flags

from lossjax.suite.cli.commandline import parse_sweep
from lossjax.suite.config import Sweep
from lossjax.suite.docs.measurements import PROOFS
from lossjax.suite.reproduce import configs
from lossjax.suite.shipped import ROOT
from lossjax.suite.sweep import ahead_of_time
from lossjax.suite.sweep.datasets import outlines as outlines_of
from lossjax.suite.sweep.programs import CODE, SLACK, ProgramKind, kinds
from lossjax.suite.sweep.validation import validate
from lossjax.training.replicas import Layout, make_mesh

CONFIGS = sorted((ROOT / "configs").glob("*.py"))
LAYOUT = Layout(2, 4, "vmap")


def sweep_of(*arguments: str) -> Sweep:
    _, sweep = parse_sweep(flags.FlagValues(), list(arguments), "")
    return validate(sweep)


def programs(sweep: Sweep) -> dict[ProgramKind, str]:
    """Every program of a sweep with a dataset that it serves."""
    found = kinds(sweep, outlines_of(sweep), "vmap")
    return {kind: name for kind, name, _ in reversed(list(found))}


def in_loops(text: str) -> str:
    """What a StableHLO module does in its loops and in functions called there."""
    bodies: dict[str, str] = {}
    for body in re.split(r"(?=func\.func )", text)[1:]:
        bodies[re.search(r"@([\w.]+)", body)[1]] = body
    found = [
        region(body, start.start())
        for body in bodies.values()
        for start in re.finditer(r"stablehlo\.while", body)
    ]
    called: set[str] = set()
    for body in found:  # which grows by what is called
        for name in re.findall(r"call @([\w.]+)", body):
            if name not in called:
                called.add(name)
                found.append(bodies[name])
    return "\n".join(found)


def region(text: str, start: int) -> str:
    """The body of the loop that starts there: what follows `do`, to its brace."""
    begin = text.index(" do {", start)
    depth = 0
    for place in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0 and text[place] == "}":
            return text[begin : place + 1]
    raise AssertionError("no end of the loop")


def test_what_is_done_in_loops_is_found() -> None:
    """On a CPU the order of an epoch is drawn where it begins, in the loop of steps."""
    sweep = sweep_of("--config=configs/digits.py", "--config.losses=mse")
    (kind,) = programs(sweep)
    layout = Layout(1, 1, "map")
    program = kind.program(sweep, layout, make_mesh(layout), (1,))
    text = program.export(*kind.shapes(layout, (1,)), "cpu")
    assert "stablehlo.sort" in in_loops(text)


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_exported_for_cuda(config: Path) -> None:
    sweep = sweep_of(f"--config={config}")
    # Of programs that differ in the images' size alone one.
    alike = {(k.model, k.families, k.noise): k for k in programs(sweep)}
    for kind in alike.values():
        segments = (1,) * len(kind.families)
        layout = Layout(2, 2 * len(segments), "vmap")
        program = kind.program(sweep, layout, make_mesh(layout), segments)
        text = program.export(*kind.shapes(layout, segments), "cuda")
        steps = in_loops(text)
        assert "stablehlo.dot_general" in steps and "stablehlo.sort" in text, kind
        assert "stablehlo.sort" not in steps, "an order of the epoch for each step"
        images = "x".join(map(str, kind.train))
        assert f"<{images}x" in text and f"x{images}x" not in text, "copied for runs"
        for word in ("all_reduce", "all_gather", "all_to_all", "collective"):
            assert f"stablehlo.{word}" not in text, kind
        if kind.model.startswith("conv_ae"):
            assert "stablehlo.convolution" in text, kind


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_has_been_compiled_for_tpus(config: Path) -> None:
    """And fits, with the slack that the planner reckons with; devices need no contact.

    For v6e every one that a user launches; a study's own, which has `sweeps`, need not
    be. What is stored for any chip is of today's programs.
    """
    chips = json.loads(PROOFS.read_text()).get(config.stem, {})
    of_study = hasattr(configs.config(str(config)), "sweeps")
    assert "tpu-v6e-8" in chips or (of_study and not chips), (
        f"./run.sh launch --check --accelerator=tpu-v6e-8 --config=configs/"
        f"{config.name} --to={PROOFS.relative_to(ROOT)}"
    )
    sweep = sweep_of(f"--config={config}")
    names = [
        [name, kind.model, ", ".join(kind.families)]
        for kind, name in reversed(programs(sweep).items())
    ]
    for chip, found in chips.items():
        assert [one["program"] for one in found["programs"]] == names, (
            f"{chip}: programs of an older version; --check it again, or drop it"
        )
        each = found["layout"]["replicas"] / found["layout"]["devices"]
        for one in found["programs"]:
            assert one["memory"] < found["limit"] and one["collectives"] == []
            assert one["flops"] > 0 and one["bytes"] > 0
            assert one["resident"] < one["memory"], one["program"]
            slots = one.get("slots", each)
            most = one["resident"] + CODE + slots * SLACK * one["traced"]
            # The trace knows of no fusion, of which a wide program has more.
            assert one["memory"] < most < 6 * one["memory"], one["program"]


def test_check_compiles_each_program_once(capsys, monkeypatch) -> None:
    """On this machine's devices in place of a TPU's; what is compiled is the same."""
    monkeypatch.setattr(ahead_of_time, "devices_of", lambda topology: jax.devices()[:2])
    names = [f"linear_decoder(count=120, seed={seed})" for seed in (0, 1)]
    arguments = (
        f"--config.datasets={','.join(names)}",
        "--config.models=linear_ae",
        "--config.losses=mse,huber(delta=0.1),huber(delta=0.2)",
        "--config.batch_size=20",
        "--config.optimiser=sgd",
        "--config.schedule=constant",
    )
    whole = sweep_of(*arguments)
    at_once = whole.at_once
    assert ahead_of_time.main(["v6e:1x2", "1", *arguments]) == 0
    head, *compiled, total = map(json.loads, capsys.readouterr().out.splitlines())
    assert head["programs"] == len(compiled) == 1, "datasets of one shape share it"
    slots = 3 * at_once
    assert head["layout"] == {"devices": 2, "replicas": slots, "mapping": "vmap"}
    assert head["limit"] == math.floor(0.8 * 2**30)
    assert total == {"runs": 6 * at_once, "chunks": 2, "steps": whole.train_steps}
    for one in compiled:
        assert one["collectives"] == [] and one["flops"] > 0 and one["bytes"] > 0
        most = one["resident"] + CODE + one["slots"] * SLACK * one["traced"]
        assert one["resident"] < one["memory"] < most < head["limit"]
    assert compiled[0]["program"] == [names[0], "linear_ae", "mse, huber"]
