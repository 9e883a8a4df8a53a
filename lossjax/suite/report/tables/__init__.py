"""The tables of a report, each as Markdown, LaTeX and CSV."""

from pathlib import Path

from lossjax.suite.report.album import slug
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.tables import forms
from lossjax.suite.report.tables.listings import LISTINGS, cells
from lossjax.suite.report.tables.matrices import comparison, regret


def write(evidence: Evidence, directory: Path) -> None:
    """Every table, in every form."""
    directory.mkdir(parents=True, exist_ok=True)
    used: list[str] = []
    for group in evidence.groups:
        name = slug(f"comparison-{group.dataset}-{group.model}")
        while name in used:
            name += "_"
        used.append(name)
        forms.write(directory / name, *comparison(group))
        if matrix := regret(group):
            stem = directory / name.replace("comparison", "regret", 1)
            forms.write(stem, *matrix)
    for title, (columns, lines) in LISTINGS.items():
        values = [cells(columns, line) for line in lines(evidence)]
        forms.write_long(directory / title, list(columns), values)
