"""FAULTS, the one table of what `soak` injects."""

import dataclasses
import functools
import types
from collections.abc import Callable, Mapping

from lossjax.suite.soak import damage, endurance, fuzz, processes, refusals
from lossjax.suite.soak.testbed import Tally, Testbed


@dataclasses.dataclass(frozen=True)
class Fault:
    """One way to break a sweep, and how often `soak` does it."""

    what: str
    inject: Callable[[Testbed, int], Tally]
    times: int
    quick: int
    compared: bool = True  # with an undisturbed sweep


FAULTS: Mapping[str, Fault] = types.MappingProxyType(
    {
        "killed": Fault(
            "killed (SIGKILL), by the clock and while a file is published",
            processes.killed,
            30,
            1,
        ),
        "killed_long": Fault(
            "killed in a run of more than a minute", processes.killed_long, 1, 0
        ),
        "stopped": Fault("stopped (SIGTERM, SIGINT)", processes.stopped, 8, 2),
        "flipped": Fault("one bit of a result flipped", damage.flipped, 50, 20),
        "cut": Fault("a result cut short", damage.cut, 20, 8),
        "flipped_state": Fault("a saved state damaged", damage.flipped_state, 70, 10),
        "stranger": Fault("strange results, files and folders", damage.stranger, 10, 1),
        "sharded": Fault("three shards, at once and in turn", processes.sharded, 4, 1),
        "raced": Fault("many processes on one grid", processes.raced, 2, 1),
        "full": Fault("no room for a result", refusals.full, 3, 1),
        "read_only": Fault("directory turns read-only", refusals.read_only, 3, 1),
        "vanished": Fault("directory vanishes", refusals.vanished, 3, 1),
        "offline": Fault("internet sockets are deadly", refusals.offline, 3, 1),
        "wild": Fault("a learning rate of 1e6 beside others", damage.wild, 2, 1),
        "spoiled_cache": Fault("compiled programs spoiled", damage.spoiled_cache, 8, 1),
        "elsewhere": Fault("other locale, zone, hash seed", damage.elsewhere, 3, 1),
        "endless": Fault("hundreds of runs in one process", endurance.endless, 5, 1),
        "crowded": Fault(
            "thousands of stored runs, some damaged", endurance.crowded, 10, 1
        ),
        # The times of these are inputs.
        **{
            f"fuzz:{name}": Fault(
                f"hostile input: {kind.what}",
                functools.partial(fuzz.injected, name),
                kind.count,
                kind.quick,
                compared=False,
            )
            for name, kind in fuzz.KINDS.items()
        },
    }
)
