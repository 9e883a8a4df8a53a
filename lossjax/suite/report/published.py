"""Published evidence: a small committed copy of a report, and tables made from it.

`python -m lossjax.suite.report.published --out=DIR --study=NAME --figure=STEM` copies
what a reader may check into results/published/NAME. Every call then writes the tables
of README.md and docs/ again, each between
`<!-- table NAME DATASET MODEL METRIC ... -->` or
`<!-- dial NAME DATASET MODEL LOSS VALUE ... -->` and `<!-- end -->`.
"""

import json
import math
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from absl import flags

from lossjax.suite import statistics
from lossjax.suite.cli.commandline import parse
from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.cli.signals import run
from lossjax.suite.report import reconstructions, verdict
from lossjax.suite.report.evidence import read
from lossjax.suite.shipped import PUBLISHED, clone
from lossjax.suite.store import results, sealing
from lossjax.suite.wording import count

USAGE = """
python -m lossjax.suite.report.published [--out=DIR --study=NAME [--figure=STEM ...]]

Publishes DIR's report as results/published/NAME: rows.csv, summary.json, gallery.npz
and the named figures; then writes the tables of README.md and docs/ again.
"""
_TABLE = re.compile(r"(<!-- table ([^>]*?) -->\n).*?(<!-- end -->)", re.DOTALL)
_DIAL = re.compile(r"(<!-- dial ([^>]*?) -->\n).*?(<!-- end -->)", re.DOTALL)


def main(arguments: list[str]) -> int:
    values = flags.FlagValues()
    flags.DEFINE_string("out", None, "what a sweep wrote", flag_values=values)
    flags.DEFINE_string("study", None, "name of the evidence", flag_values=values)
    flags.DEFINE_multi_string(
        "figure", [], "figure to publish, by its file's stem", flag_values=values
    )
    parse(values, arguments, USAGE)
    root = clone("publishing")
    if bool(values.out) != bool(values.study):
        raise UserError("--out=DIR and --study=NAME belong together")
    if values.out:
        publish(Path(values.out), PUBLISHED / values.study, tuple(values.figure))
    for page in (root / "README.md", *root.glob("docs/*.md")):
        text = page.read_text(encoding="utf-8")
        if (fresh := refreshed(text, PUBLISHED)) != text:
            sealing.publish(page, fresh)
    return Exit.DONE


def publish(out: Path, study: Path, figures: tuple[str, ...] = ()) -> None:
    """Copy the evidence of a complete report: numbers, pictures, figures.

    Raises:
      UserError: runs are missing, or the report or a figure is.
    """
    evidence = read(out)
    if evidence.missing:
        runs = count(len(evidence.missing), "run")
        raise UserError(f"--out={out}: {runs} missing; only a whole sweep is published")
    names = ["rows.csv", "summary.json", *(f"figures/{name}.svg" for name in figures)]
    for name in names:
        if not (out / "report" / name).is_file():
            raise UserError(f"--out={out}: holds no report/{name}; ./run.sh report")
    study.mkdir(parents=True, exist_ok=True)
    for name in names:
        text = (out / "report" / name).read_text(encoding="utf-8")
        sealing.publish(study / Path(name).name, text)
    pictures: dict[str, np.ndarray] = {}
    for group, arm in evidence.arms():
        packed = evidence.description["datasets"][group.dataset].get("gallery")
        if packed is not None:
            pictures[f"{group.dataset}|original"] = results.unpack(packed)
        if arm.shown is not None and arm.shown.gallery is not None:
            pictures[f"{group.dataset}|{group.model}|{arm.loss}"] = arm.shown.gallery
    np.savez_compressed(study / "gallery.npz", **pictures)  # type: ignore[arg-type]
    reconstructions.write(study)


def refreshed(text: str, published: Path) -> str:
    """A Markdown text with every marked table made again from published evidence."""

    def again(match: re.Match[str]) -> str:
        made = dial if match[1].startswith("<!-- dial") else table
        study, dataset, model, *rest = match[2].split()
        path = published / study / "summary.json"
        summary = json.loads(path.read_text(encoding="utf-8"))
        return f"{match[1]}{made(summary, dataset, model, rest)}\n{match[3]}"

    return _DIAL.sub(again, _TABLE.sub(again, text))


def dial(summary: dict[str, Any], dataset: str, model: str, rest: list[str]) -> str:
    """The best value of a family's argument by every metric, and those like it.

    `rest`: the loss at the argument's default, as `power(g=0.5)`, then the values whose
    own standing is shown, as `0` and `1`.
    """
    whole, *values = rest
    family, argument = re.fullmatch(r"(\w+)\((\w+)=.+\)", whole).groups()  # type: ignore[union-attr]
    ranked = summary["datasets"][dataset]["models"][model]["metrics"]
    head = ["metric", f"best {argument}", "tied for best"]
    lines = [head + [f"{argument} = {value}" for value in values]]
    lines.append(["---"] + ["---:"] * (len(lines[0]) - 1))
    for metric, column in ranked.items():
        at = {}
        for row in column["ranking"]:
            name = row["loss"] if row["loss"] != family else whole
            if name.startswith(f"{family}({argument}=") and row["center"] is not None:
                at[float(name[len(family) + len(argument) + 2 : -1])] = row
        alike = [value for value, row in at.items() if row["best_set"]]
        arrow = "↓" if column["direction"] == "lower" else "↑"
        line = [f"{metric} {arrow}", verdict.scanned(next(iter(at)), at)]
        line.append(f"{min(alike):g} to {max(alike):g}" if alike else "none")
        lines.append(
            line + [_score(at[float(value)], column["ranking"]) for value in values]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table(summary: dict[str, Any], dataset: str, model: str, metrics: list[str]) -> str:
    """Losses by metrics in Markdown, ranked by the first; tied for best in bold."""
    ranked = summary["datasets"][dataset]["models"][model]["metrics"]
    columns = {name: ranked[name] for name in metrics or ranked}
    head = ["loss"]
    for name, column in columns.items():
        head.append(f"{name} {'↓' if column['direction'] == 'lower' else '↑'}")
    lines = [head, ["---"] + ["---:"] * len(columns)]
    first = next(iter(columns.values()))
    for row in first["ranking"]:
        line = [f"`{row['loss']}`"]
        for column in columns.values():
            own = [r for r in column["ranking"] if r["loss"] == row["loss"]]
            scores = [_score(r, column["ranking"]) for r in own]
            line += scores or [statistics.UNDEFINED]
        lines.append(line)
    shown = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"{shown}\n\n{verdict.BOLD}"


def _score(row: dict[str, Any], ranking: list[dict[str, Any]]) -> str:
    if row["center"] is None:
        lost = row.get("lost", row["diverged"])  # the older ones counted runs alone
        return f"{count(lost, 'seed')} failed" if lost else "no score"
    widths = [r["high"] - r["low"] for r in ranking if r["low"] is not None]
    places = verdict.places(widths)
    text = f"{row['center']:.{places}f}"
    if row["low"] is not None and math.isfinite(row["low"]):
        text += f" ± {(row['high'] - row['low']) / 2:.{places}f}"
    return f"**{text}**" if row["best_set"] else text


if __name__ == "__main__":
    run(main, sys.argv[1:])
