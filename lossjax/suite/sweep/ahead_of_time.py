"""Compiles a config's programs for a TPU or GPU without it; run by `launch --check`.

`python -m lossjax.suite.sweep.ahead_of_time TOPOLOGY GIB [--config...]` prints one JSON
line of what it is about to do on devices of so much memory, one for each program as
soon as it is compiled, and one of totals. The environment must name libtpu
(TPU_LIBRARY_PATH) and keep jax on the CPU.
"""

import dataclasses
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
from absl import flags
from jax.experimental import topologies

from lossjax import platform
from lossjax.suite.cli.commandline import parse_sweep
from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.cli.signals import run
from lossjax.suite.data import sources
from lossjax.suite.data.tfds import known_set
from lossjax.suite.sweep import backend, packing
from lossjax.suite.sweep.datasets import outlines
from lossjax.suite.sweep.module_text import ModuleText
from lossjax.suite.sweep.programs import ProgramKind, kinds
from lossjax.suite.sweep.validation import validate
from lossjax.training.memory import compiled_bytes
from lossjax.training.program import Program
from lossjax.training.replicas import MEMORY_SHARE, make_mesh

_TARGET = ".txtpb"  # a file that describes a GPU to its compiler
_AT_ONCE = 2  # compilations: one keeps about a core busy and takes up to 3 GB


def main(arguments: list[str]) -> int:
    if len(arguments) < 2 or not arguments[1].isdecimal():
        raise UserError("ahead_of_time: expected TOPOLOGY GIB [--config...]")
    topology, gib, *rest = arguments
    _, sweep = parse_sweep(flags.FlagValues(), rest, "")
    sweep = validate(sweep)
    blocks = sweep.arms * len(sweep.seeds)
    if topology == "none":  # only what `launch` must know before it asks an engine
        rows = {name: sources.find(name)[0] for name in sweep.datasets}
        facts = {
            "blocks": blocks,
            "local": [name for name, row in rows.items() if row.folder],
            "prepare": [name for name in rows if known_set(name)],
        }
        print(json.dumps(facts))
        return Exit.DONE
    found = outlines(sweep)
    backend.prepare(sweep)
    backend.devices()
    aim = "gpu" if topology.endswith(_TARGET) else "tpu"
    backend.check_precision(sweep, aim)
    devices = devices_of(topology)
    plan = packing.plan(sweep, found, aim, devices, int(gib) * 2**30)
    lowering = "taps" if aim == "gpu" else ""
    layout, room = dataclasses.replace(plan.layout, lowering=lowering), plan.room
    assert room is not None
    mesh = make_mesh(layout, devices)
    trained = list(kinds(sweep, found, layout.mapping, layout.each))
    planned = {kind: name for kind, name, _ in reversed(trained)}
    _say(
        {
            "programs": len(planned),
            "devices": len(devices),
            "limit": int(MEMORY_SHARE * room.memory),
            "layout": layout.record,
            "plan": str(plan),
            "versions": platform.versions(),
        }
    )

    def facts_of(kind: ProgramKind) -> dict[str, Any]:
        began = time.monotonic()
        slots = packing.slots_of(sweep, kind, layout)
        program = kind.program(sweep, slots.layout, mesh, slots.segments)
        shapes = kind.shapes(slots.layout, slots.segments)
        return {
            "program": [planned[kind], kind.model, ", ".join(kind.families)],
            **_compiled(program, shapes),
            "traced": kind.replica_bytes(sweep, devices[0]),
            "slots": slots.layout.each,
            "resident": found[planned[kind]].resident,
            "seconds": round(time.monotonic() - began, 1),
        }

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for facts in pool.map(facts_of, reversed(planned)):
            _say(facts)
    packs = sum(packing.slots_of(sweep, kind, layout).packs for kind, _, _ in trained)
    _say(
        {
            "runs": sweep.arms * sweep.at_once,
            "chunks": packs,
            "steps": max(sweep.step_counts),
        }
    )
    return Exit.DONE


def devices_of(topology: str) -> list[Any]:
    """The devices of a topology of libtpu's; a single chip is a host by itself.

    Or the GPU that a file of XLA's `gpu_target_config` describes.
    """
    options: dict[str, Any] = {}
    if topology.endswith(_TARGET):
        described = topologies.get_topology_desc(
            "", "cuda", target_config=Path(topology).read_text(), topology="1x1x1"
        )
        return list(described.devices)
    if topology.endswith(":1x1"):
        options = {"chips_per_host_bounds": [1, 1, 1], "num_slices": 1}
    try:
        described = topologies.get_topology_desc(topology, "tpu", **options)
    except Exception as error:  # whatever libtpu says, the user's topology is the cause
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"--check: no topology {topology}: {reason}") from None
    return list(described.devices)


def _compiled(made: Program, arguments: Any) -> dict[str, Any]:
    """What the compiler says of the very program that a sweep would train with."""
    try:
        compiled = made.compile(*arguments).compiled
    except jax.errors.JaxRuntimeError as error:
        return {"failed": " ".join(str(error).split())[:300]}
    except MemoryError as error:
        raise UserError(f"--check: too big for this machine already: {error}") from None
    cost = compiled.cost_analysis() or {}  # some compilers do not say
    text = ModuleText(compiled.as_text())
    return {
        "memory": compiled_bytes(compiled),
        "flops": cost.get("flops") or text.step_flops,
        "bytes": cost.get("bytes accessed") or text.step_bytes,
        "collectives": text.collectives,
        "step": text.step,
        "trips": text.trips,
    }


def _say(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    run(main, sys.argv[1:])
