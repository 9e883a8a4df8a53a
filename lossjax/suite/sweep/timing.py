"""How many training steps fit a time, by a measurement on these devices."""

import time
from collections.abc import Mapping

import jax
import numpy as np

from lossjax.suite import data
from lossjax.suite.config import Sweep
from lossjax.suite.sweep import packing
from lossjax.suite.sweep.programs import kinds
from lossjax.suite.sweep.resident import Resident
from lossjax.training.replicas import make_mesh
from lossjax.training.step import State

# Few values, so that the same question on the same machine is asked again.
LADDER = (100, 200, 500, 1000, 2000)
_MEASURED_S = 0.5


def steps_within(
    sweep: Sweep, datasets: Mapping[str, data.Dataset], seconds: float
) -> tuple[int, float]:
    """The most steps of LADDER with which the sweep trains in that time, or the fewest.

    Compilation counts as long as it took here: the sweep compiles another program.

    Returns:
      The steps, and the seconds that they are expected to take.
    """
    began = time.monotonic()
    each = seconds_a_step(sweep, datasets) * sweep.arms * sweep.at_once
    compiling = time.monotonic() - began
    taken = {steps: compiling + steps * each for steps in LADDER}
    fits = [steps for steps, took in taken.items() if took <= seconds - compiling]
    steps = max(fits, default=LADDER[0])
    return steps, taken[steps]


def seconds_a_step(sweep: Sweep, datasets: Mapping[str, data.Dataset]) -> float:
    """What one step of one run costs while all devices train."""
    outlines = {name: data.Outline.of(dataset) for name, dataset in datasets.items()}
    layout = packing.here(sweep, outlines)[0].layout
    mesh = make_mesh(layout)
    kind, name, _ = next(kinds(sweep, outlines, layout.mapping))
    slots = packing.slots_of(sweep, kind, layout)
    resident = Resident(datasets[name], mesh, layout.mapping)
    replicas, _, _ = kind.shapes(slots.layout, slots.segments)
    replicas = replicas._replace(active=np.ones_like(replicas.active))
    program = kind.program(sweep, slots.layout, mesh, slots.segments)
    images = resident.train, resident.validation
    trainer = program.compile(replicas, *images)
    state = trainer.init(replicas)

    def advanced(steps: int, state: State) -> tuple[float, State]:
        began = time.monotonic()
        state, progress = trainer.advance(replicas, state, *images, 0, steps, 0)
        jax.block_until_ready((state, progress))
        return time.monotonic() - began, state

    steps = program.trips
    _, state = advanced(steps, state)  # the first call takes up to thrice as long
    while True:
        took, state = advanced(steps, state)
        if took > _MEASURED_S or steps > LADDER[-1]:
            return took / (steps * slots.layout.replicas)
        steps *= 2
