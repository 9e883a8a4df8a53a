"""The verb `soak`: injects faults into real sweeps and counts what was lost."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rich.table import Table

from lossjax.suite.cli.commandline import define, file_of, parse
from lossjax.suite.cli.errors import Exit, UserError, unknown
from lossjax.suite.cli.signals import run
from lossjax.suite.cli.terminal import Terminal
from lossjax.suite.shipped import IS_CLONE, ROOT
from lossjax.suite.soak.faults import FAULTS
from lossjax.suite.soak.testbed import Tally, Testbed
from lossjax.suite.store import sealing, untrusted
from lossjax.suite.wording import count

USAGE = """
./run.sh soak [--quick] [--only=FAULT,...] [--times=N] [--log=FILE]

Runs small sweeps of the 8x8 digits, breaks them in every way it knows, runs them again
and compares the tables with those of an undisturbed sweep, byte for byte. A fault is
detected when the program says so in one line and ends with the exit code of the case,
or names the file. `--only=fuzz` stands for every kind of hostile input, which sweeps
nothing. About an hour on 2 cores; with --quick, a smaller grid and a fault on each
core, 2 minutes.
"""


def main(arguments: list[str]) -> int:
    values = define(
        quick=(False, "fewer injections"),
        only=([], "these faults only"),
        times=(0, "so many of each fault; 0 stands for its usual number"),
        log=(None, "also write the counts, JSON; rows of other faults in it stay"),
    )
    parse(values, arguments, USAGE)
    wanted = values.only or FAULTS
    names = [name for name in FAULTS if {name, name.partition(":")[0]} & {*wanted}]
    for name in wanted:
        if name not in FAULTS and not any(n.startswith(f"{name}:") for n in FAULTS):
            raise unknown("fault in --only", name, FAULTS)
    if values.times < 0:
        raise UserError(f"--times={values.times}: valid are 0 and more")
    log = file_of("--log", values.log) if values.log else None
    if log and log.is_file():  # before an hour of work, not behind it
        _held(log)
    console = Terminal()
    rows: list[dict[str, Any]] = []
    made_by = commit()  # of what was imported, however long all of it takes
    with tempfile.TemporaryDirectory(prefix="lossjax-soak-") as folder:
        # A cache of its own: a soak must not damage the user's.
        environment = os.environ | {"XDG_CACHE_HOME": folder}
        testbed = Testbed(Path(folder), environment, values.quick)
        if any(FAULTS[name].compared for name in names):
            console.print("an undisturbed sweep first")
            testbed.undisturbed()
        # Seconds are of a fault alone on the machine, but for the quick form.
        at_once = os.cpu_count() if values.quick else 1
        times = {name: values.times or _usual(name, values.quick) for name in names}
        for name, tally, seconds in _injected(testbed, times, at_once or 1):
            what = {"fault": name, "what": FAULTS[name].what, "commit": made_by}
            rows.append(what | vars(tally))
            if log:
                _log(log, rows)
            console.print(f"{name}: {seconds:.0f} s", style="dim")
            for line in filter(None, [tally.measured, *tally.trouble]):
                console.print(f"  {line}")
    console.print(_table(rows))
    injected, detected, lost = (
        sum(row[key] for row in rows) for key in ("injected", "detected", "lost")
    )
    console.print(
        f"{count(injected, 'fault')} injected, {injected - detected} not noticed, "
        f"{count(lost, 'result')} lost"
    )
    return Exit.FAILED if lost or injected > detected else Exit.DONE


def _usual(name: str, quick: bool) -> int:
    return FAULTS[name].quick if quick else FAULTS[name].times


def _injected(
    testbed: Testbed, times: Mapping[str, int], at_once: int
) -> Iterator[tuple[str, Tally, float]]:
    """What came of each fault, in order, and how long it took."""

    def inject(name: str) -> tuple[str, Tally, float]:
        began, part = time.monotonic(), testbed.part(name)
        tally = FAULTS[name].inject(part, times[name]) if times[name] else Tally()
        return name, tally, time.monotonic() - began

    pool = ThreadPoolExecutor(at_once)
    try:
        yield from pool.map(inject, times)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def commit() -> str:
    """Which programs these are; ends in + where the clone differs from its commit."""
    git = shutil.which("git")
    if git is None or not IS_CLONE:
        return ""
    asked = (git, "-C", str(ROOT), "describe", "--always", "--exclude=*", "--dirty=+")
    return subprocess.run(asked, capture_output=True, text=True).stdout.strip()


def _held(path: Path) -> list[dict[str, Any]]:
    try:
        return untrusted.read_json(path, [{"fault": str}])
    except untrusted.UntrustedError as error:
        raise UserError(f"--log: {error}; name another file") from None


def _log(path: Path, rows: list[dict]) -> None:
    """Rows of these faults replaced, of others kept, in the order of FAULTS."""
    held = _held(path) if path.is_file() else []
    named = {row["fault"]: row for row in (*held, *rows)}
    ordered = [named[name] for name in FAULTS if name in named]
    sealing.publish(path, json.dumps(ordered, indent=1) + "\n")


def _table(rows: list[dict]) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in ("fault", "injected", "detected", "lost", "seconds to recover"):
        table.add_column(head, justify="left" if head == "fault" else "right")
    for row in rows:
        counts = (str(row[key]) for key in ("injected", "detected", "lost"))
        table.add_row(row["what"], *counts, f"{row['seconds']:.1f}")
    return table


if __name__ == "__main__":
    run(main, sys.argv[1:])
