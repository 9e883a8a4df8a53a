"""The verb `verify`: recomputes every number of a report from the stored runs."""

from lossjax.suite.cli.commandline import define, parse
from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.report.evidence import read
from lossjax.suite.store import places
from lossjax.suite.verify import agreement
from lossjax.suite.verify.recomputation import problems, warnings
from lossjax.suite.wording import count

USAGE = f"""
./run.sh verify --out=DIR

Checks the sha256 of every stored run, that no run of the grid is missing and that runs
compared with each other were made alike; then makes the whole report again and compares
it with DIR/report, number by number. Processors round last bits differently, so
computed numbers may differ by {agreement.RELATIVE:g} of their size and coordinates of
drawings by {agreement.POINTS:g} points; counts, words, best sets, printed digits and
all of rows.csv (every score and learning rate) must be equal. Exit code 0: all of it
holds; 1: it names what does not.
"""


def main(arguments: list[str]) -> int:
    values = define(out=(None, "what a sweep wrote"))
    parse(values, arguments, USAGE)
    if not values.out:
        raise UserError("--out is missing; --out=DIR names the directory of a sweep")
    out = places.local(values.out)
    found = 0
    for problem in problems(out):
        print(f"verify: {problem}")
        found += 1
    if found:
        print(f"verify: {count(found, 'mismatch')}")
        return Exit.FAILED
    evidence = read(out)
    for warning in warnings(evidence):
        print(f"verify: warning: {warning}")
    runs = sum(1 for _ in evidence.results())
    files = sum(path.is_file() for path in (out / "report").rglob("*"))
    print(
        f"verified: {count(runs, 'stored run')} and every number of "
        f"{count(files, 'report file')} in {out / 'report'}; {agreement.STATED}"
    )
    return Exit.DONE
