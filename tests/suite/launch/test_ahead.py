"""Every shipped config for accelerators that are not there."""

import json
import math
from pathlib import Path

import jax
import numpy as np
import pytest
from absl import flags

from lossjax import resolve
from lossjax.losses.one_of import OneOf
from lossjax.models import autoencoders
from lossjax.suite.cli.commandline import parse_sweep
from lossjax.suite.config import Sweep
from lossjax.suite.docs.measurements import PROOFS
from lossjax.suite.reproduce import configs
from lossjax.suite.shipped import ROOT
from lossjax.suite.sweep import ahead_of_time
from lossjax.suite.sweep.datasets import outlines as outlines_of
from lossjax.suite.sweep.programs import CODE, SLACK, Planned, programs
from lossjax.suite.sweep.validation import validate
from lossjax.training.replicas import Layout, Replica, make_mesh, stack

CONFIGS = sorted((ROOT / "configs").glob("*.py"))
LAYOUT = Layout(2, 4, "vmap")


def sweep_of(*arguments: str) -> Sweep:
    _, sweep = parse_sweep(flags.FlagValues(), list(arguments), "")
    return validate(sweep)


def exported(sweep: Sweep, alike: list[Planned]) -> str:
    """The StableHLO for CUDA of a program that trains with any of these losses."""
    program, (batched, train, blocks) = alike[0].made(sweep, LAYOUT, make_mesh(LAYOUT))
    if len(alike) > 1:
        losses = [resolve(one.loss) for one in alike]
        start = losses[0].start(np.full(alike[0].outline.image[2], 0.5))
        chosen = OneOf.of(losses[0], losses)
        batched = stack([Replica(0, 1e-3, chosen, start, True)], LAYOUT)
    return program.export(batched, train, blocks, "cuda")


def groups(sweep: Sweep) -> list[list[Planned]]:
    """Programs whose losses one trace can hold, so that a network is traced once."""
    outlines = outlines_of(sweep)
    found: dict[object, list[Planned]] = {}
    for planned in programs(sweep, outlines):
        loss, (dataset, model, family) = resolve(planned.loss), planned.names
        alone = loss.scalars or autoencoders.resolve(model).variational
        key = dataset, model, loss.channels, family if alone else ""
        found.setdefault(key, []).append(planned)
    return list(found.values())


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_is_exported_for_cuda(config: Path) -> None:
    sweep = sweep_of(f"--config={config}")
    for alike in groups(sweep):
        text = exported(sweep, alike)
        names = [one.names for one in alike]
        assert "stablehlo.while" in text, names
        for word in ("all_reduce", "all_gather", "all_to_all", "collective"):
            assert f"stablehlo.{word}" not in text, names
        if alike[0].names[1].startswith("conv_ae"):
            assert "stablehlo.convolution" in text, names


@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_every_config_has_been_compiled_for_tpus(config: Path) -> None:
    """And fits, with the slack that the planner reckons with; devices need no contact.

    For v6e every one that a user launches; a study's own, which has `sweeps`, only
    where it was compiled. What is stored for any TPU is held to the same.
    """
    chips = json.loads(PROOFS.read_text()).get(config.stem, {})
    of_study = hasattr(configs.config(str(config)), "sweeps")
    assert "tpu-v6e-8" in chips or (of_study and not chips), (
        f"./run.sh launch --check --accelerator=tpu-v6e-8 --config=configs/"
        f"{config.name} --to={PROOFS.relative_to(ROOT)}"
    )
    sweep = sweep_of(f"--config={config}")
    names = [list(one.names) for one in programs(sweep, outlines_of(sweep))]
    for chip, found in chips.items():
        assert [one["program"] for one in found["programs"]] == names, chip
        each = found["layout"]["replicas"] / found["layout"]["devices"]
        for one in found["programs"]:
            assert one["memory"] < found["limit"] and one["collectives"] == []
            assert one["flops"] > 0 and one["bytes"] > 0
            assert one["resident"] < one["memory"], one["program"]
            most = one["resident"] + CODE + each * SLACK * one["traced"]
            assert one["memory"] < most < 3 * one["memory"], one["program"]


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
    assert head["programs"] == len(compiled) == 2, "seeds and deltas share theirs"
    assert head["layout"] == {"devices": 2, "replicas": at_once, "mapping": "vmap"}
    assert head["limit"] == math.floor(0.8 * 2**30)
    assert total == {"runs": 6 * at_once, "chunks": 6, "steps": whole.train_steps}
    for one in compiled:
        assert one["collectives"] == [] and one["flops"] > 0 and one["bytes"] > 0
        most = one["resident"] + CODE + at_once / 2 * SLACK * one["traced"]
        assert one["resident"] < one["memory"] < most < head["limit"]
    assert [one["program"][2] for one in compiled] == ["mse", "huber"]
