"""FAULTS, the one table of what `soak` injects."""

import dataclasses
import types
from collections.abc import Callable, Mapping

from experiments.soak import damage, processes, refusals
from experiments.soak.bench import Bench, Outcome


@dataclasses.dataclass(frozen=True)
class Fault:
    """One way to break a sweep, and how often `soak` does it."""

    what: str
    inject: Callable[[Bench, int], Outcome]
    times: int
    quick: int


FAULTS: Mapping[str, Fault] = types.MappingProxyType(
    {
        "killed": Fault("killed (SIGKILL) at a seeded moment", processes.killed, 30, 2),
        "stopped": Fault("stopped (SIGTERM, SIGINT)", processes.stopped, 8, 2),
        "flipped": Fault("one bit of a result flipped", damage.flipped, 50, 20),
        "cut": Fault("a result cut short", damage.cut, 20, 8),
        "flipped_state": Fault("a saved state damaged", damage.flipped_state, 70, 10),
        "sharded": Fault("three shards at once", processes.sharded, 3, 1),
        "raced": Fault("eight processes on one grid", processes.raced, 2, 1),
        "full": Fault("no room for a result", refusals.full, 3, 1),
        "read_only": Fault("directory turns read-only", refusals.read_only, 3, 1),
        "vanished": Fault("directory vanishes", refusals.vanished, 3, 1),
        "spoiled_cache": Fault("compiled programs spoiled", damage.spoiled_cache, 4, 1),
        "elsewhere": Fault("other locale, zone, hash seed", damage.elsewhere, 3, 1),
    }
)
