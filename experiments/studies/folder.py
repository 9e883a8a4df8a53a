"""What a study leaves in a folder, and how stored rows become a study again.

`FOLDER/rows.csv.gz` holds the runs, `FOLDER/made.json` how they were made: the judge,
sizes, minutes, versions. Everything else is computed from these two.
"""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import store
from experiments.commandline import ROOT
from experiments.config import UserError
from experiments.report import forms, style
from experiments.studies import rows
from experiments.studies.study import Drawing, Judge, Outcome, Study

PUBLISHED = ROOT / "results" / "published"
SCHEMA = 1
ROWS, MADE, SUMMARY = "rows.csv.gz", "made.json", "summary.json"


def stored(study: Study) -> bool:
    """Whether the rows of a full-size run of the study are committed."""
    return (PUBLISHED / study.name / ROWS).is_file()


def summary_of(study: Study) -> dict[str, Any] | None:
    """The published summary, if there is one."""
    path = PUBLISHED / study.name / SUMMARY
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def conclude(study: Study, folder: Path) -> tuple[Outcome, dict[str, Any]]:
    """Count again from a folder's rows; the outcome, and how the rows were made.

    Raises:
      UserError: the folder holds no rows, or not all that the study needs.
    """
    try:
        made = json.loads((folder / MADE).read_text(encoding="utf-8"))
        judge = Judge(**made["judge"])
        found = rows.unpacked((folder / ROWS).read_bytes(), judge.metric)
    except FileNotFoundError as error:
        raise UserError(
            f"study {study.name}: no stored rows, {error.filename} is missing; "
            f"./run.sh reproduce {study.name} trains them"
        ) from None
    except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"study {study.name}: {folder} is damaged: {error}") from error
    with style.applied():
        grids = study.grids(made["quick"])
        trials = rows.trials(grids, found, judge.metric)
        return study.conclude(trials, judge), made


def write(study: Study, outcome: Outcome, made: Mapping[str, Any], out: Path) -> None:
    """The figure (SVG, PNG, PDF), both tables (Markdown, LaTeX, CSV), summary.json."""
    for name in ("figures", "tables"):
        (out / name).mkdir(parents=True, exist_ok=True)
    forms.write(out / "tables" / study.name, outcome.table, outcome.table)
    lines = findings(outcome)
    forms.write(out / "tables" / f"{study.name}-findings", lines, lines)
    for kind in ("svg", "png", "pdf"):
        picture = drawn(outcome.drawing, kind)
        store.publish(out / "figures" / f"{study.name}.{kind}", picture)
    summary = {
        "schema": SCHEMA,
        "study": study.name,
        "what": study.what,
        "holds": outcome.holds,
        "made": dict(made),
        "findings": [vars(f) | {"verdict": f.verdict} for f in outcome.findings],
        "table": outcome.table.to_dict("records"),
        "counts": outcome.counts,
        "alt": outcome.drawing.alt,
    }
    text = json.dumps(summary, indent=1, ensure_ascii=False)
    store.publish(out / SUMMARY, text + "\n")


def findings(outcome: Outcome) -> pd.DataFrame:
    """One line a finding, as a reader wants it."""
    return pd.DataFrame(
        [
            {
                "what": f.what,
                "expected": f.expected,
                "ours": f.ours,
                "verdict": f.verdict,
                "reason": f.reason,
            }
            for f in outcome.findings
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


def publish(study: Study, out: Path) -> None:
    """Copy what is committed: rows, how they were made, summary, figure."""
    place = PUBLISHED / study.name
    place.mkdir(parents=True, exist_ok=True)
    for name in (ROWS, MADE, SUMMARY, f"figures/{study.name}.svg"):
        store.publish(place / Path(name).name, (out / name).read_bytes())
