"""What a run costs in time, by a measurement on these devices; how many steps fit."""

import dataclasses
import functools
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from lossjax import NUMERICS
from lossjax.suite import data, protocol
from lossjax.suite.config import Sweep
from lossjax.suite.store.results import Run
from lossjax.suite.sweep import packing
from lossjax.suite.sweep.worker import Worker
from lossjax.training.replicas import Layout

# Few values, so that the same question on the same machine is asked again.
LADDER = (100, 150, 200, 300, 400, 500, 700, 1000, 1500, 2000)
_MEASURED_S = 0.5
_SHORT_S = 0.2
_FEW = 8  # runs of a device


class Cost(NamedTuple):
    """Seconds of one run while all devices train, and of compiling what trains it.

    `step` is one training step, `scores` all that follows the last one.
    """

    step: float
    scores: float
    compiling: float

    def of(self, steps: int) -> float:
        """A run of so many steps, compiled."""
        return steps * self.step + self.scores


def steps_within(
    sweep: Sweep, datasets: Mapping[str, data.Dataset], seconds: float
) -> tuple[int, float]:
    """The most steps of LADDER with which the sweep trains in that time, or the fewest.

    Compilation counts as long as it took here: the sweep compiles another program.

    Returns:
      The steps, and the seconds that they are expected to take.
    """
    began = time.monotonic()
    cost, runs = cost_of(sweep, datasets), sweep.arms * sweep.at_once
    left = seconds - (time.monotonic() - began)
    taken = {steps: cost.compiling + runs * cost.of(steps) for steps in LADDER}
    fits = [steps for steps, took in taken.items() if took <= left]
    steps = max(fits, default=LADDER[0])
    return steps, taken[steps]


def cost_of(sweep: Sweep, datasets: Mapping[str, data.Dataset]) -> Cost:
    """What runs of the sweep's first kind cost: a few are trained, nothing is kept."""
    sweep = dataclasses.replace(sweep, train_steps=LADDER[0])
    outlines = {name: data.Outline.of(dataset) for name, dataset in datasets.items()}
    layout = packing.here(sweep, outlines)[0].layout
    facts = {name: {"fingerprint": x.fingerprint} for name, x in datasets.items()}
    blocks = protocol.blocks(sweep, protocol.fixed_values(sweep, facts, NUMERICS))
    measured = functools.partial(
        _measured,
        sweep,
        dict(datasets),
        [run for block in blocks for run in block.runs],
    )
    if layout.mapping == "vmap":
        return measured(layout)
    # Slots that rest cost little, but not nothing: no more than are trained.
    one, few = (layout.devices * each for each in (1, _FEW))
    cost = measured(dataclasses.replace(layout, replicas=one))
    if layout.devices * cost.of(LADDER[0]) > _SHORT_S:
        return cost
    # Much of so short a run is what a program's runs share.
    return measured(dataclasses.replace(layout, replicas=few))


def _measured(
    sweep: Sweep, datasets: dict[str, data.Dataset], runs: list[Run], layout: Layout
) -> Cost:
    """What one program of the first runs costs, laid out so."""
    with tempfile.TemporaryDirectory() as nowhere:
        worker = Worker(sweep, datasets, Path(nowhere), print, layout, "")
        began = time.monotonic()
        group = worker.group_of(runs[0])
        for prepared in worker.prepare(group):
            prepared.result()
        compiling = time.monotonic() - began
        runs = worker.pack(run for run in runs if worker.group_of(run) == group)
        # The first call takes up to thrice as long: it counts only where runs are long.
        began = time.monotonic()
        while True:
            started = trained = time.monotonic()

            def tick(steps: int) -> None:
                nonlocal trained
                trained = time.monotonic() if steps else trained

            for _ in worker.train(runs, tick):
                pass
            ended = time.monotonic()
            if ended - began > _MEASURED_S:
                break
    steps = LADDER[0] * len(runs)
    return Cost((trained - started) / steps, (ended - trained) / len(runs), compiling)
