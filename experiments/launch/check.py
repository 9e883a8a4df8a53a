"""`launch --check`: what a TPU's compiler says of a config, without a TPU."""

from collections.abc import Iterator, Sequence
from typing import Any

from experiments.commandline import Exit
from experiments.config import UserError, unknown
from experiments.launch import accelerators, libtpu
from experiments.launch.actions import child
from experiments.launch.commands import EngineFailed

_GIB = 2**30
_PASSES = 6  # of bfloat16, for full float32


def report(name: str, arguments: list[str], spot: bool) -> int:
    """Print memory, flops, bytes, the largest chunk, and an estimate."""
    tpu = accelerators.tpu(name)
    if tpu is None:
        names = [n for row in accelerators.TPUS for n in row.names]
        raise unknown("TPU in --accelerator", name, names)
    said = child(
        "experiments.ahead",
        [tpu.topology, *arguments],
        TPU_SKIP_MDS_QUERY="1",
        TPU_LIBRARY_PATH=str(libtpu.library()),
        TPU_LOG_DIR="disabled",
        TPU_STDERR_LOG_LEVEL="3",
    )
    print("\n".join(lines(name, tpu, said)))
    print(accelerators.cost(name, spot, 1))
    return Exit.DONE


def lines(
    name: str, tpu: accelerators.Tpu, said: Sequence[dict[str, Any]]
) -> Iterator[str]:
    """What the compiler said, for people.

    Raises:
      UserError: a program does not fit the memory of one device.
      EngineFailed: a program has a collective.
    """
    *programs, total = said
    limit = tpu.gib * _GIB
    yield f"{name}: {total['devices']} devices of {tpu.gib} GiB ({tpu.topology})"
    seconds = 0.0
    peak = tpu.generation
    share = tpu.chips / total["devices"]
    for facts in programs:
        label = " / ".join(facts["program"])
        if "failed" in facts or facts["memory"] > limit:
            need = facts.get("failed") or f"{facts['memory'] / _GIB:.1f} GiB"
            raise UserError(
                f"--accelerator={name}: {label} does not fit {tpu.gib} GiB: {need}; "
                f"smaller at_once, width, hidden, batch_size or max_examples need less"
            )
        if facts["collectives"]:
            raise EngineFailed(f"{label}: collectives {facts['collectives']}")
        each = facts["each"]
        largest = _largest(facts, limit)
        took = max(
            facts["flops"] * _PASSES / (peak.flops * share),
            facts["bytes"] / (peak.traffic * share),
        )
        seconds += took
        yield (
            f"{label}: {facts['memory'] / 2**20:.1f} MiB a device "
            f"with {each} replicas, largest that fits {largest} (extrapolated); "
            f"{facts['flops'] / 1e9:.3g} Gflop and "
            f"{facts['bytes'] / 1e6:.3g} MB a step; no collective"
        )
    minutes = seconds / len(programs) * total["steps"] * total["chunks"] / 60
    yield (
        f"estimate, nothing measured: {minutes:.2g} minutes of training at the chip's "
        f"peak ({accelerators.SPECIFICATIONS}) for {total['runs']} runs of "
        f"{total['steps']} steps, compilation and scoring not included; expect several "
        f"times that"
    )


def _largest(facts: dict, limit: int) -> int:
    """Replicas of one device, from two compiled sizes and a straight line."""
    each, one = facts["each"], facts.get("bytes_of_one", facts["memory"])
    if each == 1 or facts["memory"] <= one:
        return each
    slope = (facts["memory"] - one) / (each - 1)
    return int(1 + (limit - one) // slope)
