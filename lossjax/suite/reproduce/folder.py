"""What a study leaves in a folder, and how stored rows become a study again.

`FOLDER/rows.csv.gz` holds the runs, `FOLDER/STEP.csv.gz` what each step computed,
`FOLDER/made.json` how they were made: the judge, sizes, minutes, versions. Everything
else is computed from these. A study in parts has all of it in `FOLDER/SWEEP`, for each
sweep that is there.
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
from lossjax.suite.report.inert import slug
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
    return bool(_there(study, PUBLISHED / study.name))


def part_of(folder: Path, sweep: str) -> Path:
    """Where the evidence of one sweep of a study in parts lies."""
    return folder / slug(sweep)


def _there(study: Study, folder: Path) -> dict[str, Path]:
    """The folders that hold evidence, by the names of their sweeps if in parts."""
    places = {"": folder}
    if study.parts:
        places = {name: part_of(folder, name) for name in study.sweeps(Size.USUAL)}
    return {name: p for name, p in places.items() if (p / MADE).is_file()}


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
    there = _there(study, folder)
    if not study.parts or not there:
        return _record(study, folder)
    records = {name: _record(study, place, name) for name, place in there.items()}
    first = next(iter(records.values()))
    tables = {
        step: pd.concat(
            [r.tables[step].assign(sweep=name) for name, r in records.items()],
            ignore_index=True,
        )
        for step in study.steps
    }
    return Record(
        {name: record.trials[name] for name, record in records.items()},
        tables,
        first.judge,
        _together({name: record.made for name, record in records.items()}),
        first.judges,
    )


def _together(parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """How a study in parts was made: sums over its parts, and each of them.

    Of several versions the provenance is that of the oldest numbers.
    """
    every = list(parts.values())
    oldest = min(every, key=lambda made: made["provenance"]["numerics"])
    return {
        **oldest,
        "runs": sum(made["runs"] for made in every),
        "minutes": round(sum(made["minutes"] for made in every), 1),
        "memory_mb": max(made["memory_mb"] for made in every),
        "data": {name: facts for made in every for name, facts in made["data"].items()},
        "parts": {
            name: {key: made[key] for key in ("runs", "minutes", "provenance")}
            for name, made in parts.items()
        },
    }


def _record(study: Study, folder: Path, part: str = "") -> Record:
    """What a folder's rows hold: a study's, or those of one of its sweeps."""
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
    if part:
        grids = {part: grids[part]}
    if grids and judge is None:
        raise UserError(f"study {study.name}: {folder / MADE} names no judge")
    trials = rows.trials(grids, found, columns, judge.metric if judge else "")
    judges = {each["metric"]: Judge(**each) for each in made.get("judges", ())}
    return Record(trials, tables, judge, made, judges)


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


def publish_rows(study: Study, out: Path) -> Path:
    """Copy the rows and how they were made; where they are published.

    The parts of a study that are published already and not in `out` stay.
    """
    place = PUBLISHED / study.name
    for source in _there(study, out).values():
        target = place / source.relative_to(out)
        target.mkdir(parents=True, exist_ok=True)
        for name in evidence_files(study, Size.USUAL):
            sealing.publish(target / name, (source / name).read_bytes())
    return place


def publish(study: Study, out: Path, *, with_rows: bool = True) -> None:
    """Copy what is committed: rows, and what is said of them, summary and figures."""
    place = PUBLISHED / study.name
    place.mkdir(parents=True, exist_ok=True)
    if with_rows:
        publish_rows(study, out)
    summary = json.loads((out / SUMMARY).read_text(encoding="utf-8"))
    figures = [f"figures/{figure['file']}" for figure in summary["figures"]]
    for name in (SUMMARY, *figures):
        sealing.publish(place / Path(name).name, (out / name).read_bytes())
