"""The whole report made again, by its own code, and compared file by file.

So no figure, table or sentence can be of other runs than those that are stored. An
error of that code would be in both reports: `recomputation` has its own.
"""

import dataclasses
import html
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from lossjax.suite.report import build
from lossjax.suite.report.evidence import Evidence, read
from lossjax.suite.verify import agreement

ROWS = Path("rows.csv")  # stored numbers, not computed ones


def problems(out: Path) -> Iterator[str]:
    """The files under `out`/report that differ from what the stored runs give."""
    evidence = read(out)
    evidence = dataclasses.replace(evidence, out=_written_for(out, evidence))
    with tempfile.TemporaryDirectory() as folder:
        build.write(evidence, Path(folder))
        yield from _compared(Path(folder), out / "report")


def _written_for(out: Path, evidence: Evidence) -> str:
    """The directory that the page's commands name: it may have been moved since."""
    try:
        page = (out / "report" / "index.html").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return evidence.out
    found = re.search(r'<meta name="lossjax-out" content="([^"]*)">', page)
    return html.unescape(found[1]) if found else evidence.out


def _compared(fresh: Path, report: Path) -> Iterator[str]:
    """Files of the two reports that differ, and where."""

    def names(folder: Path) -> set[Path]:
        return {p.relative_to(folder) for p in folder.rglob("*") if p.is_file()}

    for name in sorted(names(fresh) | names(report)):
        mine, theirs = fresh / name, report / name
        if not theirs.is_file():
            yield f"report/{name}: missing"
        elif not mine.is_file():
            yield f"report/{name}: no part of this report"
        elif difference := agreement.files(mine, theirs, exact=name == ROWS):
            yield f"report/{name}: {difference}"
