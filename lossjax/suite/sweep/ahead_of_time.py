"""Compiles a config's programs for a TPU without needing one; run by `launch --check`.

`python -m lossjax.suite.sweep.ahead_of_time TOPOLOGY GIB [--config...]` prints one JSON
line of what it is about to do on devices of so much memory, one for each program as
soon as it is compiled, and one of totals. The environment must name libtpu
(TPU_LIBRARY_PATH) and keep jax on the CPU.
"""

import json
import re
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from absl import flags
from jax.experimental import topologies
from jax.sharding import Mesh

from lossjax import platform
from lossjax.suite.cli.commandline import parse_sweep
from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.cli.signals import run
from lossjax.suite.sweep import backend, layouts
from lossjax.suite.sweep.datasets import outlines
from lossjax.suite.sweep.programs import Planned, programs
from lossjax.suite.sweep.validation import validate
from lossjax.training.program import Program
from lossjax.training.replicas import MEMORY_SHARE, REPLICA

_AT_ONCE = 2  # compilations: one keeps about a core busy and takes up to 3 GB
_COLLECTIVE = re.compile(
    r"\b(all-reduce|all-gather|all-to-all|reduce-scatter|collective-\w+)"
)


def main(arguments: list[str]) -> int:
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
    plan = layouts.plan(sweep, found, "tpu", devices, int(gib) * 2**30)
    layout, room = plan.layout, plan.room
    assert room is not None
    mesh = Mesh(np.array(devices[: layout.devices]), (REPLICA,))
    planned = list(programs(sweep, found))
    _say(
        {
            "programs": len(planned),
            "devices": len(devices),
            "limit": int(MEMORY_SHARE * room.memory),
            "layout": vars(layout),
            "plan": str(plan),
            "versions": platform.versions(),
        }
    )

    def facts_of(one: Planned) -> dict[str, Any]:
        began = time.monotonic()
        facts = _compiled(*one.made(sweep, layout, mesh))
        seconds = round(time.monotonic() - began, 1)
        traced = one.replica_bytes(sweep, devices[0])
        sizes = {"traced": traced, "resident": one.outline.resident}
        return {"program": one.names, **facts, **sizes, "seconds": seconds}

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for facts in pool.map(facts_of, planned):
            _say(facts)
    chunks = -(-sweep.at_once // layout.replicas)
    _say(
        {
            "runs": sweep.arms * sweep.at_once,
            "chunks": sweep.arms * chunks,
            "steps": max(sweep.step_counts),
        }
    )
    return Exit.DONE


def devices_of(topology: str) -> list[Any]:
    """The devices of a topology of libtpu's; a single chip is a host by itself."""
    options = {}
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
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    return {
        "memory": memory.argument_size_in_bytes
        + memory.output_size_in_bytes
        - memory.alias_size_in_bytes
        + memory.temp_size_in_bytes
        + memory.generated_code_size_in_bytes,
        "flops": cost.get("flops", 0.0),
        "bytes": cost.get("bytes accessed", 0.0),
        "collectives": sorted(set(_COLLECTIVE.findall(compiled.as_text()))),
    }


def _say(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    run(main, sys.argv[1:])
