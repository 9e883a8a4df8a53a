"""The verb `report`: rebuilds tables, figures and the page from stored runs."""

import sys

from lossjax.suite.cli.commandline import define, parse
from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.cli.signals import run
from lossjax.suite.cli.terminal import Terminal
from lossjax.suite.report.build import build
from lossjax.suite.report.console import render
from lossjax.suite.store import places

USAGE = """
./run.sh report --out=DIR

Reads DIR/sweep.json and the stored runs, writes DIR/report (index.html, rows.csv,
summary.json, tables, figures) and prints the comparison table and the verdict. Trains
nothing and needs no accelerator.
"""


def main(arguments: list[str]) -> int:
    values = define(out=(None, "what a sweep wrote"))
    parse(values, arguments, USAGE)
    if not values.out:
        raise UserError("--out is missing; --out=DIR names the directory of a sweep")
    render(build(places.local(values.out)), Terminal())
    return Exit.DONE


if __name__ == "__main__":
    run(main, sys.argv[1:])
