"""`launch --check`: what a TPU's compiler says of a config, without a TPU."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from lossjax.suite.cli.errors import Exit, UserError, unknown
from lossjax.suite.launch import accelerators, libtpu
from lossjax.suite.launch.actions import child
from lossjax.suite.launch.commands import EngineFailed
from lossjax.suite.store import sealing
from lossjax.suite.wording import count

_GIB = 2**30
_PASSES = 6  # of bfloat16, for full float32


def report(
    name: str, config: str, arguments: list[str], spot: bool, to: Path | None
) -> int:
    """Print memory, flops and bytes of each program as it is compiled, and an estimate.

    Args:
      name: of the TPU.
      config: name of the config, and `arguments`: that choose it.
      spot: for the price.
      to: a JSON file that what the compiler said is added to; None keeps nothing.
    """
    tpu = accelerators.tpu(name)
    if tpu is None:
        names = [n for row in accelerators.TPUS for n in row.names]
        raise unknown("TPU in --accelerator", name, names)
    if to is not None:
        read(to)  # what is no such file is refused before minutes of compiling
    library = libtpu.library()
    said: list[dict[str, Any]] = []
    facts = child(
        "lossjax.suite.sweep.ahead_of_time",
        [tpu.topology, str(tpu.gib), *arguments],
        TPU_SKIP_MDS_QUERY="1",
        TPU_LIBRARY_PATH=str(library),
        TPU_LOG_DIR="disabled",
        TPU_STDERR_LOG_LEVEL="3",
    )
    for line in lines(name, tpu, heard(facts, said)):
        print(line, flush=True)
    print(accelerators.cost(name, spot, 1))
    if to is not None:
        proofs = read(to)  # others may have added to it meanwhile
        head, *programs, _ = said
        head["versions"]["libtpu"] = libtpu.version(library)
        proofs.setdefault(config, {})[name] = head | {"programs": programs}
        sealing.publish(to, json.dumps(proofs, indent=1, sort_keys=True) + "\n")
        print(f"added to {to}")
    return Exit.DONE


def read(path: Path) -> dict[str, Any]:
    """What a file of `report` holds, {config: {TPU: facts}}; nothing yet where absent.

    Raises:
      UserError: it holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"--to={path}: cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise UserError(f"--to={path}: is not a file of launch --check")
    return found


def heard(
    facts: Iterable[dict[str, Any]], said: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """`facts`, each put into `said` as it comes."""
    for one in facts:
        said.append(one)
        yield one


def lines(
    name: str, tpu: accelerators.Tpu, said: Iterable[dict[str, Any]]
) -> Iterator[str]:
    """What the compiler says, for people, as soon as it says it.

    Raises:
      UserError: a program does not fit the share of a device's memory.
      EngineFailed: a program has a collective.
    """
    facts = iter(said)
    head = next(facts)
    programs, limit = head["programs"], head["limit"]
    yield (
        f"{name}: {head['devices']} devices of {tpu.gib} GiB ({tpu.topology}), "
        f"{count(programs, 'program')} to compile"
    )
    yield head["plan"]
    seconds = 0.0
    peak, share = tpu.generation, tpu.chips / head["devices"]
    for place in range(1, programs + 1):
        program = next(facts)
        label = " / ".join(program["program"])
        if "failed" in program or program["memory"] > limit:
            need = program.get("failed") or f"{program['memory'] / _GIB:.1f} GiB"
            raise UserError(
                f"--accelerator={name}: {label} does not fit {limit / _GIB:.3g} of "
                f"{tpu.gib} GiB: {need}; smaller width, hidden, batch_size or "
                f"max_examples need less"
            )
        if program["collectives"]:
            raise EngineFailed(f"{label}: collectives {program['collectives']}")
        seconds += max(
            program["flops"] * _PASSES / (peak.flops * share),
            program["bytes"] / (peak.traffic * share),
        )
        yield (
            f"{place}/{programs} {label}: "
            f"{program['memory'] / 2**20:.1f} MiB a device, "
            f"{program['memory'] / (tpu.gib * _GIB):.2%} of its memory; "
            f"{program['flops'] / 1e9:.3g} Gflop and "
            f"{program['bytes'] / 1e6:.3g} MB a step; no collective; "
            f"compiled in {program['seconds']:.0f} s"
        )
    total = next(facts)
    minutes = seconds / programs * total["steps"] * total["chunks"] / 60
    yield (
        f"estimate, nothing measured: {minutes:.2g} minutes of training at the chip's "
        f"peak ({accelerators.SPECIFICATIONS}) for {total['runs']} runs of "
        f"{total['steps']} steps, compilation and scoring not included; expect several "
        f"times that"
    )
