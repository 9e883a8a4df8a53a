"""How the runs of a sweep lie on the devices: planned, or as the stored ones did."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax

from lossjax.suite.config import Sweep
from lossjax.suite.data import Outline
from lossjax.suite.store.results import Result
from lossjax.suite.sweep.programs import AHEAD, CODE, SLACK, programs
from lossjax.training.replicas import MEMORY_SHARE, Layout, Room, plan_layout

_MIB, _GIB = 2**20, 2**30


@dataclasses.dataclass(frozen=True)
class LayoutPlan:
    """A layout, and the room it was planned for; None where memory sets no bound."""

    layout: Layout
    room: Room | None = None

    def __str__(self) -> str:
        layout, room = self.layout, self.room
        each = layout.replicas // layout.devices
        order = "one after the other" if layout.mapping == "map" else "side by side"
        text = "a program trains one run"
        if layout.replicas > 1:
            text = f"a program trains up to {layout.replicas} runs"
            if layout.devices > 1:
                text += f", {each} on each of {layout.devices} devices"
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
    """The layout of every program of a sweep: one, so that all runs are alike.

    Args:
      sweep: the whole grid, whatever of it is stored or another shard's.
      outlines: of its datasets, by name.
      backend: cpu, gpu or tpu.
      devices: that share the runs; all of one kind.
      memory: bytes of one device; None where they are not the runs' own.
    """
    room = None
    if backend != "cpu" and memory is not None:
        each = max(
            planned.replica_bytes(sweep, devices[0])
            for planned in programs(sweep, outlines)
        )
        # Families that compile ahead bring their images and their programs.
        images = sorted(one.resident for one in outlines.values())[-1 - AHEAD :]
        resident = sum(images) + (1 + AHEAD) * CODE
        room = Room(memory, resident, int(SLACK * each))
    return LayoutPlan(
        plan_layout(backend, len(devices), sweep.at_once, room=room), room
    )


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
            f"stored runs were made in another layout, {vars(kept)}, that this machine "
            f"cannot take up: verify refuses to compare them with new ones"
        )
    return dataclasses.replace(planned, layout=kept), "layout of the stored runs kept"
