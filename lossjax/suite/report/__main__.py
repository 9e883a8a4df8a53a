"""The verb `report`: rebuilds tables, figures and the page from stored runs."""

import sys

from lossjax.suite.cli.commandline import define, parse
from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.cli.signals import run
from lossjax.suite.cli.terminal import Terminal
from lossjax.suite.report import against, exports
from lossjax.suite.report.build import build
from lossjax.suite.report.console import render
from lossjax.suite.store import places

USAGE = """
./run.sh report --out=DIR [--against=OLD] [--export=FILE.parquet]

Reads DIR/sweep.json and the stored runs, writes DIR/report (index.html, rows.csv,
summary.json, tables, figures) and prints the comparison table and the verdict. Trains
nothing and needs no accelerator.

With --against it says what changed since another sweep: the question, which verdicts
flipped, and every mean, paired where the seeds are the same; DIR/against.html shows it.
"""


def main(arguments: list[str]) -> int:
    values = define(
        out=(None, "what a sweep wrote"),
        against=(None, "an older sweep, to say what changed since"),
        export=(None, "FILE.parquet: also write the rows there, one a run"),
    )
    parse(values, arguments, USAGE)
    if not values.out:
        raise UserError("--out is missing; --out=DIR names the directory of a sweep")
    export = exports.check(values.export) if values.export else None
    out, console = places.local(values.out), Terminal()
    if values.against:
        if export:
            raise UserError("--export and --against: name one of them")
        lines, page = against.write(out, places.local(values.against))
        for line in (*lines, f"page: {page}"):
            console.print(line, soft_wrap=True)
        return Exit.DONE
    summary = build(out)
    if export:
        exports.parquet(summary.evidence, export)
    render(summary, console)
    return Exit.DONE


if __name__ == "__main__":
    run(main, sys.argv[1:])
