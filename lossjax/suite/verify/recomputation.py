"""Recomputes every number of a report from the stored runs."""

import csv
import dataclasses
import html
import json
import math
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from lossjax.suite.cli.errors import UserError
from lossjax.suite.report import build
from lossjax.suite.report.evidence import Evidence, Group, read
from lossjax.suite.store import results
from lossjax.suite.store.test_images import sizes
from lossjax.suite.verify import agreement
from lossjax.suite.wording import count

ROWS = Path("rows.csv")  # stored numbers, not computed ones
# What must be equal between runs that are compared seed by seed.
ALIKE = ("numerics", "precision", "backend", "layout")


def problems(out: Path) -> Iterator[str]:
    """Everything that does not hold, each in one line; nothing where all does.

    Raises:
      UserError: there is no sweep or no report to verify.
    """
    if not (out / "sweep.json").is_file():
        read(out)  # says in its own words what is not there
    if not (out / "report").is_dir():
        raise UserError(f"--out={out}: holds no report; ./run.sh report --out={out}")
    try:
        results.read_sweep(out)
    except ValueError as error:
        yield str(error)
        return
    evidence = read(out)
    broken = list(_stored(out, evidence))
    yield from broken
    if broken:
        yield "the report's numbers were not compared: mend the stored runs first"
        return
    evidence = dataclasses.replace(evidence, out=_written_for(out, evidence))
    with tempfile.TemporaryDirectory() as folder:
        build.write(evidence, Path(folder))
        different = list(_compared(Path(folder), out / "report"))
    yield from different
    if not different:
        yield from _averaged(evidence, out / "report")


def warnings(evidence: Evidence) -> Iterator[str]:
    """What a reader should know although every number holds."""
    sources = {str(r.provenance.get("source")) for r in evidence.results()}
    if len(sources) > 1:
        yield f"runs of {len(sources)} versions of the source are mixed"
    if evidence.foreign:
        runs = count(len(evidence.foreign), "stored run")
        yield f"not in the current grid, not used: {runs}"


def _stored(out: Path, evidence: Evidence) -> Iterator[str]:
    """What is wrong with the runs themselves."""
    for path, wrong in evidence.damaged.items():
        yield f"{path}: {wrong}"
    for folder in sorted((out / "runs").glob("*")):
        if not (folder / "result.json").is_file():
            yield f"runs/{folder.name}: holds no result.json"
    for group, cell in evidence.cells():
        if pending := cell.plan.pending:
            runs = count(len(pending), "run")
            yield f"{group.name} / {cell.loss}: {runs} missing, {pending[0].run_id} one"
    numerics = evidence.description["provenance"]["numerics"]
    precision = evidence.sweep.precision
    for title, name, own in (
        ("NUMERICS", "numerics", numerics),
        ("precision", "precision", precision),
    ):
        other = [r for r in evidence.foreign if r.fixed.get(name) != own]
        if other:
            yield (
                f"mixed {title}: the sweep has {own}, {other[0].run_id} has "
                f"{other[0].fixed.get(name)}"
            )
    for group in evidence.groups:
        yield from _alike(group)
        images = evidence.description["datasets"][group.dataset].get("test")
        if images:
            yield from _grouped(group, sizes(images))


def _grouped(group: Group, counts: np.ndarray) -> Iterator[str]:
    """What was kept of groups of test images must average to the score of all."""
    for cell in group.cells.values():
        for result in cell.final:
            for name in result.kept.metrics if result.kept else ():
                means = result.kept.of(name) if result.kept else None
                score = result.metrics.get(f"test_{name}", math.nan)
                whole = math.nan
                if means is not None and len(means) == len(counts):
                    whole = float(np.average(means.astype(float), weights=counts))
                unscored = math.isnan(score) and math.isnan(whole)
                if not (unscored or math.isclose(whole, score, rel_tol=1e-4)):
                    yield (
                        f"{result.run.run_id}: its groups of test images give {name} "
                        f"{whole:.6g}, its score is {score:.6g}"
                    )


def _alike(group: Group) -> Iterator[str]:
    """Final runs of one group are compared in pairs, so they must be made alike."""
    for name in ALIKE:
        made: dict[str, str] = {}
        for cell in group.cells.values():
            for result in cell.final:
                value = result.provenance.get(name, result.run.fixed.get(name))
                value = _bitwise(value) if name == "layout" else value
                made.setdefault(results.canonical(value), result.run.run_id)
        if len(made) > 1:
            each = ", ".join(f"{value} ({run_id})" for value, run_id in made.items())
            yield f"{group.name}: mixed {name} in one comparison: {each}"


def _bitwise(layout: Any) -> Any:
    """What the bits of a run depend on: one mapped after the other is as if alone."""
    one_by_one = isinstance(layout, dict) and layout.get("mapping") == "map"
    return "map" if one_by_one else layout


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


def _averaged(evidence: Evidence, report: Path) -> Iterator[str]:
    """Every mean of summary.json once more, from rows.csv alone."""
    scores: dict[tuple[str, str, str], list[dict[str, str]]] = {}
    with open(report / "rows.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["stage"] == "final":
                key = (row["dataset"], row["model"], row["loss"])
                scores.setdefault(key, []).append(row)
    summary = json.loads((report / "summary.json").read_text(encoding="utf-8"))
    for group in evidence.groups:
        models = summary["datasets"][group.dataset]["models"]
        for metric, ranked in models[group.model]["metrics"].items():
            for standing in ranked["ranking"]:
                if standing["center"] is None:
                    continue
                rows = scores[group.dataset, group.model, standing["loss"]]
                mean = math.fsum(float(row[f"test_{metric}"]) for row in rows)
                mean /= len(rows)
                if not math.isclose(mean, standing["center"], rel_tol=1e-12):
                    yield (
                        f"{group.name} / {standing['loss']}: {metric} is "
                        f"{standing['center']!r} in summary.json, {mean!r} in rows.csv"
                    )
