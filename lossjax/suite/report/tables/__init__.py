"""The tables of a report, each as Markdown, LaTeX and CSV."""

from pathlib import Path

from lossjax.suite.report import verdict
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.inert import slug
from lossjax.suite.report.tables import forms
from lossjax.suite.report.tables.listings import DIALS, LISTINGS, cells
from lossjax.suite.report.tables.matrices import behind, comparison


def write(evidence: Evidence, directory: Path) -> None:
    """Every table, in every form."""
    directory.mkdir(parents=True, exist_ok=True)
    used: list[str] = []
    for group in evidence.groups:
        name = slug(f"comparison-{group.dataset}-{group.model}")
        while name in used:
            name += "_"
        used.append(name)
        forms.write(directory / name, *comparison(group), note=verdict.BOLD)
        if matrix := behind(evidence, group):
            stem = directory / name.replace("comparison", "behind", 1)
            forms.write(stem, *matrix, note=verdict.BOLD)
    for title, (columns, lines) in LISTINGS.items():
        if evidence.sweep.tuned:
            columns = {**columns, **DIALS.get(title, {})}
        values = [cells(columns, line) for line in lines(evidence)]
        forms.write_long(directory / title, list(columns), values)
