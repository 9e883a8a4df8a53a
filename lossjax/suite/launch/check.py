"""`launch --check`: what a compiler says of a config, without the accelerator."""

import contextlib
import json
import tempfile
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from lossjax.suite.cli.errors import Exit, UserError, unknown
from lossjax.suite.launch import accelerators, compilers
from lossjax.suite.launch.actions import child
from lossjax.suite.launch.commands import EngineFailed
from lossjax.suite.store import sealing
from lossjax.suite.wording import count

_GIB = 2**30
Aim = accelerators.Tpu | accelerators.Gpu


def report(
    name: str, config: str, arguments: list[str], spot: bool, to: Path | None
) -> int:
    """Print memory, flops and bytes of each program as it is compiled, and an estimate.

    Args:
      name: of the TPU or GPU.
      config: name of the config, and `arguments`: that choose it.
      spot: for the price.
      to: a JSON file that what the compiler said is added to; None keeps nothing.
    """
    aim = accelerators.tpu(name) or accelerators.gpu(name)
    if aim is None:
        rows = *accelerators.TPUS, *accelerators.CHECKED
        names = [n for row in rows for n in row.names]
        raise unknown("--accelerator of --check", name, names)
    if to is not None:
        read(to)  # what is no such file is refused before minutes of compiling
    said: list[dict[str, Any]] = []
    with contextlib.closing(compiled(aim, arguments, said)) as facts:
        for line in lines(name, aim, facts):
            print(line, flush=True)
    print(accelerators.cost(name, spot, 1))
    if to is not None:
        proofs = read(to)  # others may have added to it meanwhile
        head, *programs, _ = said
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


def compiled(
    aim: Aim, arguments: list[str], said: list[dict[str, Any]]
) -> Generator[dict[str, Any], None, None]:
    """What the compiler says of each program, put into `said`, too, as it comes."""
    gpu = isinstance(aim, accelerators.Gpu)
    variables, versions = compilers.for_cuda() if gpu else compilers.for_tpu()
    with tempfile.TemporaryDirectory(prefix="lossjax.") as folder:
        target = aim.topology
        if isinstance(aim, accelerators.Gpu):
            target = str(Path(folder) / f"{aim.name}.txtpb")
            Path(target).write_text(aim.target)
        facts = child(
            "lossjax.suite.sweep.ahead_of_time",
            [target, str(aim.gib), *arguments],
            **variables,
        )
        for one in facts:
            if "versions" in one:
                one["versions"] |= versions
            said.append(one)
            yield one


def lines(name: str, aim: Aim, said: Iterable[dict[str, Any]]) -> Iterator[str]:
    """What the compiler says, for people, as soon as it says it.

    Raises:
      UserError: a program does not fit the share of a device's memory.
      EngineFailed: a program has a collective.
    """
    facts = iter(said)
    head = next(facts)
    programs, limit = head["programs"], head["limit"]
    yield (
        f"{name}: {count(head['devices'], 'device')} of {aim.gib} GiB "
        f"({aim.topology}), "
        f"{count(programs, 'program')} to compile"
    )
    yield head["plan"]
    seconds = 0.0
    flops, traffic, source = aim.peak
    share = aim.chips / head["devices"]
    for place in range(1, programs + 1):
        program = next(facts)
        label = " / ".join(program["program"])
        if "failed" in program or program["memory"] > limit:
            need = program.get("failed") or f"{program['memory'] / _GIB:.1f} GiB"
            raise UserError(
                f"--accelerator={name}: {label} does not fit {limit / _GIB:.3g} of "
                f"{aim.gib} GiB: {need}; smaller width, hidden, batch_size or "
                f"max_examples need less"
            )
        if program["collectives"]:
            raise EngineFailed(f"{label}: collectives {program['collectives']}")
        seconds += max(
            program["flops"] / (flops * share), program["bytes"] / (traffic * share)
        )
        launches = ""
        if isinstance(aim, accelerators.Gpu):
            launches = f"{sum(program['step'].values())} launches, "
        yield (
            f"{place}/{programs} {label}: {program['slots']} runs a device; "
            f"{program['memory'] / 2**20:.1f} MiB, "
            f"{program['memory'] / (aim.gib * _GIB):.2%} of its memory; {launches}"
            f"{program['flops'] / 1e9:.3g} Gflop and "
            f"{program['bytes'] / 1e6:.3g} MB a step; no collective; "
            f"compiled in {program['seconds']:.0f} s"
        )
    total = next(facts)
    minutes = seconds / programs * total["steps"] * total["chunks"] / 60
    yield (
        f"estimate, nothing measured: {minutes:.2g} minutes of training at the chip's "
        f"peak ({source}) for {total['runs']} runs of "
        f"{total['steps']} steps, compilation and scoring not included; expect several "
        f"times that"
    )
