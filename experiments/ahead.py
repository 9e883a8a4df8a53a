"""Compiles a config's programs for a TPU that is not there; run by `launch --check`.

`python -m experiments.ahead TOPOLOGY [--config...]` prints one JSON line for each
program. The environment must name libtpu (TPU_LIBRARY_PATH) and keep jax on the CPU.
"""

import dataclasses
import functools
import json
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags
from jax.experimental import topologies
from jax.sharding import Mesh

from experiments import sweep as program
from experiments.commandline import Exit, parse_sweep, run
from experiments.config import DEFAULT_SCHEDULE, Sweep, UserError
from experiments.data import Dataset
from experiments.data.noise import noisy_targets
from lossjax import models, platform, resolve
from lossjax.replicas import REPLICA, Layout, Replica, blocks_of, plan_layout, stack
from lossjax.training import Program, Settings

_COLLECTIVE = re.compile(
    r"\b(all-reduce|all-gather|all-to-all|reduce-scatter|collective-\w+)"
)


def main(arguments: list[str]) -> int:
    topology, *rest = arguments
    _, sweep = parse_sweep(flags.FlagValues(), rest, program.DEFAULT, "")
    sweep = program.checked(sweep)
    if topology == "none":  # only what `launch` must know before it asks an engine
        cells = len(sweep.datasets) * len(sweep.models) * len(sweep.losses)
        print(json.dumps({"cells": cells}))
        return Exit.DONE
    datasets = program.load(sweep)
    platform.prepare()
    devices = devices_of(topology)
    layout = plan_layout("tpu", len(devices), sweep.at_once)
    halved = dataclasses.replace(layout, replicas=layout.devices)
    done = set()
    for name, dataset in datasets.items():
        for model in sweep.models:
            for text in sweep.losses:
                family = (name, model, resolve(text).family)
                if family in done:
                    continue
                done.add(family)
                facts = _compiled(sweep, dataset, model, text, layout, devices)
                if layout != halved and "failed" not in facts:
                    one = _compiled(sweep, dataset, model, text, halved, devices)
                    facts["bytes_of_one"] = one["memory"]
                print(json.dumps({"program": family, **facts}), flush=True)
    rates = len(sweep.learning_rates)
    stages = [len(sweep.seeds), len(sweep.tuning_seeds) * rates if rates > 1 else 0]
    cells = len(sweep.datasets) * len(sweep.models) * len(sweep.losses)
    total = {
        "runs": cells * sum(stages),
        "chunks": cells * sum(-(-runs // layout.replicas) for runs in stages),
        "steps": sweep.train_steps,
    }
    print(json.dumps(total | {"replicas": layout.replicas, "devices": len(devices)}))
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


def _compiled(
    sweep: Sweep,
    dataset: Dataset,
    model: str,
    text: str,
    layout: Layout,
    devices: list[Any],
) -> dict[str, Any]:
    """What the compiler says of the very program that a sweep would train with."""
    loss = resolve(text)
    shape = models.Shape(
        dataset.image_shape,
        loss.channels,
        sweep.latent_dim,
        sweep.width,
        sweep.hidden,
        sweep.precision,
    )
    noise = dataset.noise
    targets = None if noise is None else functools.partial(noisy_targets, noise)
    schedule = sweep.schedule or DEFAULT_SCHEDULE
    settings = Settings(sweep.train_steps, sweep.batch_size, targets, schedule)
    mesh = Mesh(np.array(devices[: layout.devices]), (REPLICA,))
    made = Program(models.build(model, shape), settings, layout, mesh)
    images = dataset.train.images
    blocks = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype),
        blocks_of(np.asarray(dataset.validation.images)),
    )
    start = loss.start(np.full(dataset.image_shape[2], 0.5))
    replica = Replica(0, 1e-3, loss, start, True)
    train = jax.ShapeDtypeStruct(images.shape, jnp.uint8)
    try:
        compiled = made.compile(stack([replica], layout), train, blocks)
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
        "each": layout.replicas // layout.devices,
        "collectives": sorted(set(_COLLECTIVE.findall(compiled.as_text()))),
    }


if __name__ == "__main__":
    run(main)
