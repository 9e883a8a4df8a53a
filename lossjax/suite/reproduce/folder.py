"""What a study leaves in a folder, and how stored rows become a study again.

`FOLDER/rows.csv.gz` holds the runs, `FOLDER/STEP.csv.gz` what each step computed,
`FOLDER/made.json` how they were made: the judge, sizes, minutes, versions. Everything
else is computed from these.
"""

import csv
import gzip
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from lossjax import NUMERICS
from lossjax.suite.cli.errors import UserError
from lossjax.suite.report import style
from lossjax.suite.report.tables import forms
from lossjax.suite.reproduce import rows
from lossjax.suite.reproduce.finding import signed
from lossjax.suite.reproduce.study import (
    Conclusion,
    Drawing,
    Judge,
    Record,
    Size,
    Study,
)
from lossjax.suite.shipped import PUBLISHED
from lossjax.suite.store import schemas, sealing
from lossjax.suite.store.untrusted import gunzip_bytes, read_bytes, read_json

SCHEMA = 3
ROWS, MADE, SUMMARY = "rows.csv.gz", "made.json", "summary.json"


def stored(study: Study) -> bool:
    """Whether the rows of the study at its usual size are committed."""
    return (PUBLISHED / study.name / MADE).is_file()


def summary_of(study: Study) -> dict[str, Any] | None:
    """The published summary, if there is one."""
    path = PUBLISHED / study.name / SUMMARY
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def size_of(made: Mapping[str, Any]) -> Size:
    """At which size rows were made."""
    if made["quick"]:
        return Size.QUICK
    return Size.FULL if made.get("full") else Size.USUAL


def age(made: Mapping[str, Any]) -> str:
    """What to say of rows whose numbers today's code would not give; else empty."""
    numerics = made["provenance"]["numerics"]
    return f"made with NUMERICS {numerics}" if numerics < NUMERICS else ""


def record_of(study: Study, folder: Path) -> Record:
    """What a folder's rows hold.

    Raises:
      UserError: the folder holds no rows, or not all that the study needs.
    """
    try:
        made = read_json(folder / MADE, schemas.MADE)
        judge = Judge(**made["judge"]) if made["judge"] else None
        found: list[rows.Row] = []
        columns: tuple[str, ...] = ()
        if judge is not None:
            found, columns = rows.unpacked(read_bytes(folder / ROWS), folder / ROWS)
        tables = {name: read_step(folder, name) for name in study.steps}
    except FileNotFoundError as error:
        raise UserError(
            f"study {study.name}: no stored rows, {error.filename} is missing; "
            f"./run.sh reproduce {study.name} makes them"
        ) from None
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise UserError(f"study {study.name}: {folder} is damaged: {error}") from error
    grids = study.sweeps(size_of(made))
    if grids and judge is None:
        raise UserError(f"study {study.name}: {folder / MADE} names no judge")
    trials = rows.trials(grids, found, columns, judge.metric if judge else "")
    return Record(trials, tables, judge, made)


def conclude(study: Study, folder: Path) -> tuple[Conclusion, Mapping[str, Any]]:
    """Count again from a folder's rows; the conclusion, and how the rows were made.

    Raises:
      UserError: as `record_of`.
    """
    record = record_of(study, folder)
    with style.applied():
        conclusion = study.conclude(record)
    for kind, many in (
        ("findings", [finding.what for finding in conclusion.findings]),
        ("keys of findings", [finding.key for finding in conclusion.findings]),
        ("figures", [drawing.name for drawing in conclusion.drawings]),
    ):
        if len(set(many)) < len(many):
            raise ValueError(f"study {study.name}: two {kind} of one name: {many}")
    return conclusion, record.made


def write_step(folder: Path, name: str, table: pd.DataFrame) -> None:
    """A step's table; twelve digits, the same table gives the same bytes."""
    text = table.to_csv(index=False, lineterminator="\n", float_format="%.12g")
    content = gzip.compress(text.encode(), 9, mtime=0)
    sealing.publish(folder / f"{name}.csv.gz", content)


def read_step(folder: Path, name: str) -> pd.DataFrame:
    """The table that `write_step` wrote."""
    path = folder / f"{name}.csv.gz"
    return pd.read_csv(io.BytesIO(gunzip_bytes(read_bytes(path), path)))


def write(
    study: Study, conclusion: Conclusion, made: Mapping[str, Any], out: Path
) -> None:
    """Figures (SVG, PNG, PDF), both tables (Markdown, LaTeX, CSV), summary.json."""
    for name in ("figures", "tables"):
        (out / name).mkdir(parents=True, exist_ok=True)
    forms.write(out / "tables" / study.name, conclusion.table, conclusion.table)
    lines = findings(conclusion)
    forms.write(out / "tables" / f"{study.name}-findings", lines, lines)
    for drawing in conclusion.drawings:
        stem = figure_stem(study, drawing.name)
        for kind in ("svg", "png", "pdf"):
            picture = drawn(drawing, kind)
            sealing.publish(out / "figures" / f"{stem}.{kind}", picture)
    summary = {
        "schema": SCHEMA,
        "study": study.name,
        "what": study.what,
        "made": dict(made),
        "findings": [finding.to_json() for finding in conclusion.findings],
        "table": conclusion.table.to_dict("records"),
        "counts": conclusion.counts,
        "figures": [
            {"file": f"{figure_stem(study, d.name)}.svg", "alt": d.alt}
            for d in conclusion.drawings
        ],
    }
    text = json.dumps(
        summary, indent=1, ensure_ascii=False, allow_nan=False, default=_plain
    )
    sealing.publish(out / SUMMARY, text + "\n")


def _plain(value: Any) -> Any:
    """numpy's numbers and truth values as Python's."""
    return value.item()


def figure_stem(study: Study, name: str) -> str:
    """A figure's file without its ending."""
    return f"{study.name}-{name}" if name else study.name


def findings(conclusion: Conclusion) -> pd.DataFrame:
    """One line per finding, as a reader wants it."""
    return pd.DataFrame(
        [
            {
                "what": f.what,
                "expected": f.expected,
                "ours": f.ours,
                "difference": signed(f.difference),
                "verdict": f.words,
                "reason": f.reason,
                "source": ""
                if f.published is None
                else f"{f.published.source} [{f.published.tag}]",
            }
            for f in conclusion.findings
        ],
        dtype=object,
    )


def drawn(drawing: Drawing, kind: str) -> bytes:
    """The figure's file; the same rows give the same bytes."""
    dates = {
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
        "png": {"Software": None},
    }
    buffer = io.BytesIO()
    with style.applied():
        drawing.figure.savefig(buffer, format=kind, metadata=dates[kind])
    return buffer.getvalue()


def evidence_files(study: Study, size: Size) -> list[str]:
    """The files that everything else is computed from."""
    own = [ROWS] if study.sweeps(size) else []
    return [*own, *(f"{name}.csv.gz" for name in study.steps), MADE]


def publish(study: Study, out: Path, *, with_rows: bool = True) -> None:
    """Copy what is committed: rows, how they were made, summary, figures."""
    place = PUBLISHED / study.name
    place.mkdir(parents=True, exist_ok=True)
    summary = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
    figures = [f"figures/{figure['file']}" for figure in summary["figures"]]
    evidence = evidence_files(study, Size.USUAL) if with_rows else []
    for name in (*evidence, SUMMARY, *figures):
        sealing.publish(place / Path(name).name, (out / name).read_bytes())
