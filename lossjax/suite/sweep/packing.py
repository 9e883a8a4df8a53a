"""How pending runs lie on the devices: as many as fit one program, of every loss.

A layout holds for the whole grid, whatever of it is stored or another shard's, so that
all runs are made alike. Where replicas lie side by side, a program takes rows of one
seed: see `lossjax.training.side_by_side`.
"""

import dataclasses
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from lossjax import resolve
from lossjax.models import autoencoders
from lossjax.suite.config import Sweep
from lossjax.suite.data import Outline
from lossjax.suite.store.results import Result, Run
from lossjax.suite.sweep.programs import (
    AHEAD,
    CODE,
    SLACK,
    ProgramKind,
    kinds,
    start_of,
)
from lossjax.training.replicas import (
    MEMORY_SHARE,
    Layout,
    Replica,
    Room,
    plan_layout,
    slot,
    stack,
)

_MIB, _GIB = 2**20, 2**30
# Replicas from which on a GPU's own convolutions, grouped then, are not even tried: of
# 500 on an H100 they took 11 to 14 times as long as products over taps, and half a
# minute to compile (results/published/bench/gpu.json).
_GROUPED = 64


@dataclasses.dataclass(frozen=True)
class LayoutPlan:
    """A layout, and the room it was planned for; None where memory sets no bound."""

    layout: Layout
    room: Room | None = None

    def __str__(self) -> str:
        layout, room = self.layout, self.room
        order = "one after the other" if layout.mapping == "map" else "side by side"
        text = "a program trains one run"
        if layout.replicas > 1:
            text = f"a program trains up to {layout.replicas} runs"
            if layout.devices > 1:
                text += f", {layout.each} on each of {layout.devices} devices"
            text += f", {order}"
        if room is not None:
            text += (
                f"; {MEMORY_SHARE:.0%} of a device's {room.memory / _GIB:.3g} GiB hold "
                f"{room.replicas}, at most {room.replica / _MIB:.0f} MiB each"
            )
        return text


def plan(
    sweep: Sweep,
    outlines: Mapping[str, Outline],
    backend: str,
    devices: Sequence[Any],
    memory: int | None,
) -> LayoutPlan:
    """The layout of every program of a sweep.

    Args:
      sweep: the whole grid.
      outlines: of its datasets, by name.
      backend: cpu, gpu or tpu.
      devices: that share the runs; all of one kind.
      memory: bytes of one device; None where they are not the runs' own.
    """
    room = None
    mapping = "map" if backend == "cpu" else "vmap"
    if mapping == "vmap" and memory is not None:
        planned = {kind for kind, _, _ in kinds(sweep, outlines, mapping)}
        each = max(kind.replica_bytes(sweep, devices[0]) for kind in planned)
        # Programs that compile ahead bring their images.
        images = sorted(one.resident for one in outlines.values())[-1 - AHEAD :]
        resident = sum(images) + (1 + AHEAD) * CODE
        room = Room(memory, resident, int(SLACK * each))
    each_seed = (kind.variants(sweep) for kind, _, _ in kinds(sweep, outlines, mapping))
    runs = max(map(sum, each_seed)) * len(sweep.seeds)
    layout = plan_layout(backend, len(devices), runs, room)
    lowering = autoencoders.lowering_of(sweep.precision)
    if backend == "gpu" and (layout.each >= _GROUPED or sweep.deterministic):
        lowering = "taps"  # with no choice by what is faster at the moment
    return LayoutPlan(dataclasses.replace(layout, lowering=lowering), room)


def memory_of(device: Any) -> int | None:
    """Bytes of a device's own memory; None where it does not say."""
    return (device.memory_stats() or {}).get("bytes_limit")


def here(
    sweep: Sweep, outlines: Mapping[str, Outline], stored: Iterable[Result] = ()
) -> tuple[LayoutPlan, str | None]:
    """`plan` for this machine's devices, then `resumed`."""
    devices = jax.local_devices()
    backend, memory = jax.default_backend(), memory_of(devices[0])
    planned = plan(sweep, outlines, backend, devices, memory)
    return resumed(planned, stored, len(devices))


def resumed(
    planned: LayoutPlan, stored: Iterable[Result], devices: int
) -> tuple[LayoutPlan, str | None]:
    """The plan by which more runs are made like those that are stored.

    Runs that lie side by side are compared only with runs laid out alike; where they
    are mapped one after the other no bit depends on it.

    Args:
      planned: for a sweep of which nothing is stored.
      stored: its good results.
      devices: how many there are.

    Returns:
      The plan, and a line for the user where it is not the planned one or cannot be
      that of the stored runs.
    """
    if planned.layout.mapping == "map":
        return planned, None
    layouts = [one.provenance.get("layout") for one in stored]
    found = Counter(Layout(**one) for one in layouts if isinstance(one, dict))
    if not found or (kept := found.most_common(1)[0][0]) == planned.layout:
        return planned, None
    fits = planned.room is None or kept.replicas <= kept.devices * planned.room.replicas
    if kept.mapping != "vmap" or kept.devices > devices or not fits:
        return planned, (
            f"stored runs were made in another layout, {kept.record}, that this "
            f"machine cannot take up: verify refuses to compare them with new ones"
        )
    return dataclasses.replace(planned, layout=kept), "layout of the stored runs kept"


@dataclasses.dataclass(frozen=True)
class Slots:
    """The slots of one kind's program.

    Attributes:
      layout: of the program.
      families: of the kind, one a segment.
      segments: slots of each family in a row of one seed; one row a slot where
        replicas are mapped one after the other.
      rows: that all runs of one dataset fill.
    """

    layout: Layout
    families: tuple[str, ...]
    segments: tuple[int, ...]
    rows: int

    @property
    def width(self) -> int:
        """Slots of a row."""
        return sum(self.segments)

    @property
    def packs(self) -> int:
        """Programs that follow one another until all runs of a dataset are trained."""
        return -(-self.rows * self.width // self.layout.replicas)

    def pack(self, runs: Iterable[Run]) -> list[tuple[Run, int]]:
        """Of runs of the kind the first that fill one program, each with its slot."""
        layout = self.layout
        if layout.mapping == "map":
            numbered = zip(range(layout.replicas), runs, strict=False)
            return [(run, slot(index, layout)) for index, run in numbered]
        waiting: dict[int, tuple[deque[Run], ...]] = {}
        for run in runs:
            queues = waiting.setdefault(run.seed, tuple(deque() for _ in self.families))
            queues[self.families.index(resolve(run.loss).family)].append(run)
        rows = Layout(layout.devices, layout.replicas // self.width, "vmap")
        places = iter(range(rows.replicas))
        packed: list[tuple[Run, int]] = []
        for queues in waiting.values():
            while any(queues):
                if (index := next(places, None)) is None:
                    return packed
                first = slot(index, rows) * self.width
                for queue, count in zip(queues, self.segments, strict=True):
                    taken = [queue.popleft() for _ in range(min(count, len(queue)))]
                    packed += [(run, first + k) for k, run in enumerate(taken)]
                    first += count
        return packed

    def stack(
        self,
        sweep: Sweep,
        kind: ProgramKind,
        packed: Sequence[tuple[Run, int]],
        mean: np.ndarray,
    ) -> Replica:
        """Packed runs as the replicas of their program.

        `mean` is the training images' intensity (channels,).
        """
        runs, places = zip(*packed, strict=True)
        replicas = [
            kind.replica(run, start_of(resolve(run.loss), mean, sweep.start_logit))
            for run in runs
        ]
        return stack(replicas, self.layout, places, self.width)


def slots_of(sweep: Sweep, kind: ProgramKind, layout: Layout) -> Slots:
    """How a kind's program uses the layout of the sweep."""
    counts = kind.variants(sweep)
    if layout.mapping == "map":
        return Slots(layout, kind.families, (1,), sum(counts) * len(sweep.seeds))
    segments = kind.segments(sweep, layout.each)
    cuts = max(-(-a // b) for a, b in zip(counts, segments, strict=True))
    rows, width = cuts * len(sweep.seeds), sum(segments)
    each = min(max(1, layout.each // width), -(-rows // layout.devices))
    layout = dataclasses.replace(layout, replicas=layout.devices * each * width)
    return Slots(layout, kind.families, segments, rows)
