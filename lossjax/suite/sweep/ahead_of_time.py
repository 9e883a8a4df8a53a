"""Compiles a config's programs for a TPU or GPU without it; run by `launch --check`.

`python -m lossjax.suite.sweep.ahead_of_time TOPOLOGY GIB [--config...]` prints one JSON
line of what it is about to do on devices of so much memory, one for each program as
soon as it is compiled, and one of totals. The environment must name libtpu
(TPU_LIBRARY_PATH) and keep jax on the CPU.
"""

import dataclasses
import json
import re
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
from lossjax.suite.sweep import backend, packing
from lossjax.suite.sweep.datasets import outlines
from lossjax.suite.sweep.programs import ProgramKind, kinds
from lossjax.suite.sweep.validation import validate
from lossjax.training.memory import compiled_bytes
from lossjax.training.program import Program
from lossjax.training.replicas import MEMORY_SHARE, make_mesh

_TARGET = ".txtpb"  # a file that describes a GPU to its compiler
_AT_ONCE = 2  # compilations: one keeps about a core busy and takes up to 3 GB
# Operations that start nothing on a device.
_FREE = ("parameter", "get-tuple-element", "tuple", "bitcast", "constant")
_OPERATION = re.compile(r" ([a-z][a-z0-9\-]*)\(")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_COLLECTIVE = re.compile(
    r"\b(all-reduce|all-gather|all-to-all|reduce-scatter|collective-\w+)"
)


def main(arguments: list[str]) -> int:
    if len(arguments) < 2 or not arguments[1].isdecimal():
        raise UserError("ahead_of_time: expected TOPOLOGY GIB [--config...]")
    topology, gib, *rest = arguments
    _, sweep = parse_sweep(flags.FlagValues(), rest, "")
    sweep = validate(sweep)
    blocks = sweep.arms * len(sweep.seeds)
    if topology == "none":  # only what `launch` must know before it asks an engine
        print(json.dumps({"blocks": blocks}))
        return Exit.DONE
    found = outlines(sweep)
    backend.devices()
    devices = devices_of(topology)
    aim = "gpu" if topology.endswith(_TARGET) else "tpu"
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
    return {
        "memory": compiled_bytes(compiled),
        "flops": cost.get("flops", 0.0),
        "bytes": cost.get("bytes accessed", 0.0),
        "collectives": sorted(set(_COLLECTIVE.findall(text := compiled.as_text()))),
        "step": step_of(text),
        "trips": sorted(map(int, _TRIPS.findall(text))),
    }


def step_of(text: str) -> dict[str, int]:
    """What a step starts on the device, by kind: the body of the longest inner loop.

    Args:
      text: of a compiled module.
    """
    bodies = {name: dict[str, int]() for name in re.findall(r"body=%?([\w.\-]+)", text)}
    name = ""
    for line in text.splitlines():
        if head := re.match(r"%?([\w.\-]+) \(.*\) -> .* \{", line):
            name = head[1]
        elif name in bodies and (operation := _OPERATION.search(line)):
            target = re.search(r'custom_call_target="([^"]+)"', line)
            kind = target[1] if target else operation[1]
            bodies[name][kind] = bodies[name].get(kind, 0) + 1
    longest = max(bodies.values(), key=lambda kinds: sum(kinds.values()), default={})
    return {kind: n for kind, n in sorted(longest.items()) if kind not in _FREE}


def _say(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    run(main, sys.argv[1:])
