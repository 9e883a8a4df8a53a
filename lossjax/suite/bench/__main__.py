"""The verb `bench`: measures speed against a PyTorch twin, in pairs."""

import importlib.util
import json
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

from lossjax.models.layers import PRECISIONS
from lossjax.suite.bench import nets, table, whole
from lossjax.suite.bench.pairs import timed
from lossjax.suite.bench.works import WORKS
from lossjax.suite.cli.commandline import define, file_of, parse
from lossjax.suite.cli.errors import Exit, SelfTestFailed, UserError, unknown
from lossjax.suite.cli.signals import run
from lossjax.suite.cli.terminal import Terminal
from lossjax.suite.store import sealing
from lossjax.suite.sweep.backend import accelerators

USAGE = """
./run.sh bench [--quick] [--only=PART,...] [--out=FILE]

Trains the same networks with this suite and with PyTorch, alternating in one run, and
prints the median (minimum to maximum); above 1 means that this suite is faster. "As
installed" is PyTorch as people write it, "its best" the fastest of all its forms
(channels_last, torch.compile, vmap, pinned processes, a tuned malloc). Use a quiet
machine. FILE is JSON; the same as Markdown lies beside it. About 20 minutes on 2 cores,
fewer with --quick. On a GPU or TPU the part "width" times one run among 1 to 4,000.
"""
_SIDE_BY_SIDE = "width"  # what only an accelerator does
PARTS = (*WORKS, "sweep", "replicas", "pages", "precision", "losses", _SIDE_BY_SIDE)
_LOSSES = ("bce", "mae", "huber", "power", "continuous_bernoulli", "ssim")


def main(arguments: list[str]) -> int:
    values = define(
        quick=(False, "fewer rounds and forms"),
        only=([], f"these parts only: {', '.join(PARTS)}"),
        out=(None, "also write JSON and Markdown"),
    )
    parse(values, arguments, USAGE)
    for name in values.only:
        if name not in PARTS:
            raise unknown("part in --only", name, PARTS)
    parts = values.only or PARTS
    if not accelerators():
        if _SIDE_BY_SIDE in values.only:
            raise UserError(
                f"--only={_SIDE_BY_SIDE}: needs a GPU or TPU; this machine has none"
            )
        parts = [part for part in parts if part != _SIDE_BY_SIDE]
    path = file_of("--out", values.out) if values.out else None
    if {*WORKS, "sweep"} & {*parts} and importlib.util.find_spec("torch") is None:
        raise UserError("bench needs PyTorch: pip install 'lossjax[bench]'")
    console = Terminal()

    def say(text: str) -> None:
        console.print(text, soft_wrap=True)

    rounds = 3 if values.quick else 5
    found: dict[str, Any] = {"hardware": hardware(), "quick": values.quick, "nets": {}}
    say(found["hardware"]["processor"])
    for part in parts:
        say(f"{part} ...")
        if part in WORKS:
            found["nets"][part] = {
                "same": same(part),
                **nets.measure(part, rounds, values.quick, say),
            }
        elif part == "sweep":
            times, seeds = (1, 2) if values.quick else (2, 4)
            found[part] = whole.sweeps(times, seeds)
        elif part == "replicas":
            found[part] = nets.replicas(rounds)
        elif part == "pages":
            found[part] = nets.pages(rounds)
        elif part == _SIDE_BY_SIDE:
            _, found[part] = timed(part, [])
        elif part == "precision":
            asked = precisions()
            seeds, steps = (6, 60) if values.quick else (10, 200)
            effect = whole.effect_of(asked, seeds, steps)
            found[part] = nets.precisions(asked, rounds) | effect
        else:
            found[part] = nets.overheads(_LOSSES, rounds)
        if path:
            sealing.publish(path, json.dumps(found, indent=1) + "\n")
            sealing.publish(path.with_suffix(".md"), table.markdown(found))
    say("\n" + table.markdown(found))
    return Exit.DONE


def precisions() -> list[str]:
    """All but float32 that this machine computes in."""
    here = ("", *accelerators())
    return [name for name, row in PRECISIONS.items() if row.backend in here][1:]


def same(work: str) -> dict[str, Any]:
    """The loss after one step from the same weights, on both sides.

    Raises:
      SelfTestFailed: they differ by more than 1e-4 of it.
    """
    _, facts = timed("same", [work])
    for ours, twin in zip(facts["ours"], facts["twin"], strict=True):
        if not abs(ours - twin) <= 1e-4 * abs(ours):
            raise SelfTestFailed(f"bench: {work}: not the same network: {facts}")
    return facts


def hardware() -> dict[str, Any]:
    """What the numbers were measured on."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    name = re.search(r"model name\s*: (.*)", text)
    cores = len(os.sched_getaffinity(0))
    processor = name[1] if name else platform.processor() or platform.machine()
    return {
        "processor": f"{processor}, {cores} cores",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    run(main, sys.argv[1:])
