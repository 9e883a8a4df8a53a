"""The verb `verify`: recomputes every number of a report from the stored runs."""

import sys

from lossjax.suite.cli.commandline import define, parse
from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.cli.signals import run
from lossjax.suite.store import places
from lossjax.suite.store.untrusted import printable
from lossjax.suite.verify import agreement, soundness
from lossjax.suite.verify.archive import read
from lossjax.suite.verify.verification import problems
from lossjax.suite.wording import count

USAGE = f"""
./run.sh verify --out=DIR

Checks the sha256 of every stored run, that no run of the grid is missing and that runs
compared with each other were made alike. Then it recomputes, with code of its own and
from the stored runs alone, which learning rate (and value of a dial) each seed chose,
means, intervals, differences to the best, p-values, words, who is tied for best, by
every metric, and compares summary.json, rows.csv and the tables with that. At last it
makes the whole report again and compares it with DIR/report, file by file.
Processors round last bits differently, so computed numbers may differ by
{agreement.RELATIVE:g} of their size and coordinates of drawings by {agreement.POINTS:g}
points; counts, words, printed digits and all of rows.csv (every score and learning
rate) must be equal. Exit code 0: all of it holds; 1: it names what does not.
"""


def main(arguments: list[str]) -> int:
    values = define(out=(None, "what a sweep wrote"))
    parse(values, arguments, USAGE)
    if not values.out:
        raise UserError("--out is missing; --out=DIR names the directory of a sweep")
    out = places.local(values.out)
    found = 0
    for problem in problems(out):
        print(f"verify: {printable(problem)}")
        found += 1
    if found:
        print(f"verify: {count(found, 'mismatch')}")
        return Exit.FAILED
    archive = read(out)
    for warning in soundness.warnings(archive):
        print(f"verify: warning: {printable(warning)}")
    files = sum(path.is_file() for path in (out / "report").rglob("*"))
    print(
        f"verified: {count(len(archive.runs), 'stored run')} and every number of "
        f"{count(files, 'report file')} in {out / 'report'}; {agreement.STATED}"
    )
    return Exit.DONE


if __name__ == "__main__":
    run(main, sys.argv[1:])
