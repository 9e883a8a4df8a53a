"""The verb `soak`: injects faults into real sweeps and counts what was lost."""

import json
import os
import tempfile
import time
from pathlib import Path

from absl import flags
from rich.console import Console
from rich.table import Table

from lossjax.suite.cli.commandline import Exit, parse
from lossjax.suite.config import UserError, unknown
from lossjax.suite.soak.bench import Bench, Outcome
from lossjax.suite.soak.faults import FAULTS
from lossjax.suite.store import results

USAGE = """
./run.sh soak [--quick] [--only=FAULT,...] [--log=FILE]

Runs small sweeps of the 8x8 digits, breaks them in every way it knows, runs them again
and compares the tables with those of an undisturbed sweep, byte for byte. A fault is
detected when the program says so in one line and ends with the exit code of the case,
or names the file. About 25 minutes on 2 cores, 5 with --quick.
"""


def main(arguments: list[str]) -> int:
    values = flags.FlagValues()
    flags.DEFINE_bool("quick", False, "fewer injections", flag_values=values)
    flags.DEFINE_list("only", [], "these faults only", flag_values=values)
    flags.DEFINE_string(
        "log",
        None,
        "also write the counts, JSON; rows of other faults in it stay",
        flag_values=values,
    )
    parse(values, arguments, USAGE)
    for name in values.only:
        if name not in FAULTS:
            raise unknown("fault in --only", name, FAULTS)
    if values.log and not Path(values.log).absolute().parent.is_dir():
        raise UserError(f"--log={values.log}: its folder does not exist")
    chosen = {n: f for n, f in FAULTS.items() if n in (values.only or [n])}
    console = Console()
    rows = []
    with tempfile.TemporaryDirectory(prefix="lossjax-soak-") as folder:
        # A cache of its own: a soak must not damage the user's.
        bench = Bench(Path(folder), os.environ | {"XDG_CACHE_HOME": folder})
        console.print("an undisturbed sweep first", highlight=False)
        bench.undisturbed()
        for name, fault in chosen.items():
            times = fault.quick if values.quick else fault.times
            began = time.monotonic()
            outcome = fault.inject(bench, times) if times else Outcome()
            seconds = time.monotonic() - began
            rows.append({"fault": name, "what": fault.what, **vars(outcome)})
            if values.log:
                _log(Path(values.log), rows)
            console.print(f"{name}: {seconds:.0f} s", highlight=False, style="dim")
            for line in filter(None, [outcome.measured, *outcome.trouble]):
                console.print(f"  {line}", highlight=False, markup=False)
    console.print(_table(rows))
    lost = sum(row["lost"] for row in rows)
    missed = sum(row["injected"] - row["detected"] for row in rows)
    console.print(
        f"{sum(row['injected'] for row in rows)} faults injected, {missed} not "
        f"noticed, {lost} results lost",
        highlight=False,
    )
    return Exit.FAILED if lost or missed else Exit.DONE


def _log(path: Path, rows: list[dict]) -> None:
    """Rows of these faults replaced, of others kept, in the order of FAULTS."""
    held = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []
    named = {row["fault"]: row for row in (*held, *rows)}
    ordered = [named[name] for name in FAULTS if name in named]
    results.publish(path, json.dumps(ordered, indent=1) + "\n")


def _table(rows: list[dict]) -> Table:
    table = Table(box=None, pad_edge=False)
    for head in ("fault", "injected", "detected", "lost", "seconds to recover"):
        table.add_column(head, justify="left" if head == "fault" else "right")
    for row in rows:
        counts = (str(row[key]) for key in ("injected", "detected", "lost"))
        table.add_row(row["what"], *counts, f"{row['seconds']:.1f}")
    return table
