"""Which part of a grid a process trains: as --shard says, or whoever started it.

One command, started many times, divides a grid by itself: `--shard=auto` reads which
task of how many a scheduler calls this one. The hosts of a TPU slice can only be given
one command, so there it holds without the flag. `jax.process_index` is never asked: it
needs all processes to be up, and all of them die with one.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lossjax.suite.cli.errors import UserError

AUTO = "auto"
Variables = Mapping[str, str]


@dataclass(frozen=True)
class Scheduler:
    """Whose variables say which task of how many this is.

    Attributes:
      name: in words.
      index: the variable that holds it, and `count`: the one that says of how many.
      of: (variables) -> (index, count), where these do not say so plainly.
    """

    name: str
    index: str
    count: str
    of: Callable[[Variables], tuple[int, int]] | None = None

    def read(self, variables: Variables) -> tuple[int, int] | None:
        """(index, count), None where it did not start this process.

        Raises:
          UserError: what it says makes no part of a grid.
        """
        if self.index not in variables:
            return None
        try:
            if self.of is not None:
                index, count = self.of(variables)
            else:
                index, count = int(variables[self.index]), int(variables[self.count])
        except (KeyError, ValueError):
            index, count = 0, 0
        if not 0 <= index < count:
            said = ", ".join(
                f"{name}={variables.get(name, 'not set')}"
                for name in (self.index, self.count)
            )
            raise UserError(
                f"--shard={AUTO}: {said} ({self.name}) is no task of so many; name the "
                f"part, --shard=i/n"
            )
        return index, count


def _array(variables: Variables) -> tuple[int, int]:
    """Of a Slurm array, which may begin anywhere and leave steps out, but no tasks."""
    task, low, high, step, count = (
        int(variables.get(f"SLURM_ARRAY_TASK_{part}", usual))
        for part, usual in (
            *(("ID", ""), ("MIN", "0"), ("MAX", "-1")),
            *(("STEP", "1"), ("COUNT", "")),
        )
    )
    if high >= 0 and (high - low) // step + 1 != count:
        raise ValueError("tasks are left out")
    return (task - low) // step, count


def _launched(variables: Variables) -> tuple[int, int]:
    return _numbers(variables["LOSSJAX_SHARD"])


def _slice(variables: Variables) -> tuple[int, int]:
    hosts = variables["TPU_WORKER_HOSTNAMES"].split(",")
    return int(variables["TPU_WORKER_ID"]), len(hosts)


TPU_SLICE = Scheduler(
    "hosts of a TPU slice", "TPU_WORKER_ID", "TPU_WORKER_HOSTNAMES", _slice
)
# The first of a level that started this process counts; tasks of the second level are
# parts of one of the first. An index of Kubernetes is that of a pod, whatever it holds.
WHOLE = Scheduler("a Kubernetes Indexed Job", "JOB_COMPLETION_INDEX", "LOSSJAX_SHARDS")
LEVELS = (
    (
        Scheduler("./run.sh launch", "LOSSJAX_SHARD", "LOSSJAX_SHARD", _launched),
        Scheduler(
            "a Slurm array", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", _array
        ),
    ),
    (
        Scheduler("tasks of srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
        Scheduler("nodes of SkyPilot", "SKYPILOT_NODE_RANK", "SKYPILOT_NUM_NODES"),
        TPU_SLICE,
    ),
)


def part(text: str | None, variables: Variables = os.environ) -> tuple[int, int]:
    """(index, count) of `--shard=TEXT`; (0, 1) is the whole grid.

    Raises:
      UserError: it is no part, or nothing says which.
    """
    if text is None:
        many = "," in variables.get(TPU_SLICE.count, "")
        return (TPU_SLICE.read(variables) if many else None) or (0, 1)
    if text == AUTO:
        return _told(variables)
    try:
        index, count = _numbers(text)
    except ValueError:
        index, count = 0, 0
    if not index < count:
        raise UserError(
            f"--shard={text}: must be i/n with 0 <= i < n, for example 0/3, or {AUTO}"
        )
    return index, count


def _told(variables: Variables) -> tuple[int, int]:
    if (found := WHOLE.read(variables)) is not None:
        return found
    index, count, told = 0, 1, False
    for level in LEVELS:
        read = (one.read(variables) for one in level)
        if (found := next(filter(None, read), None)) is not None:
            index, count, told = index * found[1] + found[0], count * found[1], True
    if not told:
        looked = ", ".join(one.index for one in (WHOLE, *LEVELS[0], *LEVELS[1]))
        raise UserError(
            f"--shard={AUTO}: no scheduler says which task this is (looked for "
            f"{looked}); name the part, --shard=i/n"
        )
    return index, count


def _numbers(text: str) -> tuple[int, int]:
    """The numbers of i/n; ValueError where it is none."""
    if not (match := re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)):
        raise ValueError(text)
    return int(match[1]), int(match[2])
