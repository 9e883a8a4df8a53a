"""One directory of stored runs in, one report out; nothing is trained, jax not needed.

The whole report is written beside the old one and takes its place at the end, so an
interrupted build leaves the old report whole.
"""

import contextlib
import csv
import dataclasses
import errno
import json
import math
import os
import shutil
from pathlib import Path
from typing import Any

from markupsafe import Markup

from lossjax.suite import ranks, statistics
from lossjax.suite.report import (
    convergence,
    markup,
    recipes,
    style,
    tables,
    verdict,
)
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, read
from lossjax.suite.report.sections import SECTIONS, leaderboard
from lossjax.suite.report.tables import listings
from lossjax.suite.statistics import Interval, Standing
from lossjax.suite.store import ownership, packs, places, sealing
from lossjax.suite.wording import count, listed

SCHEMA = 2  # of summary.json


@dataclasses.dataclass(frozen=True)
class Summary:
    """What a report says, for the program that asked for it."""

    out: Path
    evidence: Evidence
    verdict: str
    content: dict[str, Any]  # summary.json

    @property
    def page(self) -> Path:
        return self.out / "report" / "index.html"


def build(out: Path) -> Summary:
    """Rebuild `out`/report from `out`/sweep.json and the stored runs.

    Raises:
      UserError: there is no readable sweep, or the report's folder is not ours alone.
      OSError: the report cannot be written.
    """
    if places.is_remote(out):
        with packs.nearby(out) as near:
            summary = build(near)
            ownership.send_report(near / "report", out / "report")
        return dataclasses.replace(summary, out=out)
    evidence = read(out)
    ownership.check_report(out / "report")
    try:
        while True:
            summary, newer = _build(out, evidence)
            if not newer:
                return summary
            # It took the place of a report that knew runs that we did not: a shard
            # that ended in the same second. The last one to end must know them all.
            now = read(out)
            if _known(now) == _known(evidence):
                return summary
            evidence = now
    except OSError as error:
        raise OSError(f"--out={out}: cannot write the report: {error}") from error


def content(evidence: Evidence) -> dict[str, Any]:
    """summary.json; a group with missing runs has no metrics."""
    datasets: dict[str, Any] = {}
    for group in evidence.groups:
        models = datasets.setdefault(group.dataset, {"models": {}})["models"]
        models[group.model] = {
            "metrics": {
                metric: {
                    "direction": ranking.direction,
                    "derived_from": group.derived.get(metric),
                    "margin": _number(ranking.margin),
                    "ranking": [
                        _ranked(s)
                        for s in ranking.standings
                        if s.word != statistics.UNDEFINED
                    ],
                }
                for metric, ranking in group.rankings.items()
            },
            "settled": convergence.settled(evidence, group),
            "pareto": statistics.pareto(group.counted),
        }
        if (half := evidence.half(group)) is not None and half.rankings:
            models[group.model]["change"] = {
                metric: convergence.change_of(half, group, metric)
                for metric in group.rankings
            }
        if group.measures:
            models[group.model]["measures"] = {
                name: {
                    "unit": evidence.metrics[name]["unit"],
                    "losses": {loss: _interval(mean) for loss, mean in means.items()},
                }
                for name, means in group.measures.items()
            }
    summary = {
        "schema": SCHEMA,
        "verdict": verdict.text(evidence),
        "datasets": datasets,
    }
    if mean_ranks := {
        model: {
            metric: {loss: _interval(x) for loss, x in ranks.means(own).items()}
            for metric, own in leaderboard.of_each(groups).items()
        }
        for model, groups in leaderboard.settings(evidence)
    }:
        summary["mean_ranks"] = mean_ranks
    return summary


def _ranked(standing: Standing) -> dict[str, Any]:
    """One loss in a ranking, as summary.json has it."""
    return {
        "loss": standing.loss,
        **_interval(standing),
        "n": standing.n,
        "lost": standing.lost,
        "diverged": standing.diverged,
        "failed": standing.failed,
        "best_set": standing.best_set,
        "word": standing.word,
        "behind": standing.behind and _interval(standing.behind),
        "p": _number(standing.p),
    }


def write(evidence: Evidence, directory: Path) -> dict[str, Any]:
    """Write every file of the report into `directory`; returns summary.json."""
    summary = content(evidence)
    album = Album(directory / "figures")
    tables.write(evidence, directory / "tables")
    sealing.publish(directory / "rows.csv", listings.rows(evidence))
    text = json.dumps(summary, indent=1, ensure_ascii=False)
    sealing.publish(directory / "summary.json", text + "\n")
    with style.applied():
        sealing.publish(directory / "index.html", _page(evidence, album))
    ownership.record_report(directory)
    return summary


def _build(out: Path, evidence: Evidence) -> tuple[Summary, bool]:
    """The report put in its place, and whether the one before it knew more runs."""
    fresh = out / sealing.temporary_name("report")
    try:
        summary = write(evidence, fresh)
        known = _runs(fresh)
        newer = bool(swap(fresh, out / "report") - known)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return Summary(out, evidence, summary["verdict"], summary), newer


def _known(evidence: Evidence) -> list[str]:
    return [result.run.run_id for result, _ in evidence.results()]


def _runs(report: Path) -> set[tuple[str, ...]]:
    """The runs that a report was made from: what identifies a row of rows.csv."""
    names = (*listings.IDENTITY, *listings.SETTING)
    try:
        with open(report / "rows.csv", encoding="utf-8", newline="") as file:
            return {tuple(row[name] for name in names) for row in csv.DictReader(file)}
    # Absent, damaged, or of an earlier version: it is replaced.
    except (OSError, ValueError, KeyError, csv.Error):
        return set()


def swap(fresh: Path, place: Path) -> set[tuple[str, ...]]:
    """Put a whole report in the place of another, whoever else does the same.

    Where that fails the other report is there again.

    Returns:
      The runs of every report that was replaced.

    Raises:
      UserError: something there is not a report's.
    """
    old = fresh.with_name(sealing.temporary_name(place.name))
    replaced: set[tuple[str, ...]] = set()
    while fresh.exists():
        ownership.check_report(place)
        try:
            with contextlib.suppress(FileNotFoundError):
                os.replace(place, old)
            os.replace(fresh, place)
        except BaseException as error:
            # Another process was quicker: its directory goes the same way.
            full = (errno.ENOTEMPTY, errno.EEXIST)
            if not (isinstance(error, OSError) and error.errno in full):
                with contextlib.suppress(OSError):
                    os.replace(old, place)
                raise
        replaced |= _runs(old)
        shutil.rmtree(old, ignore_errors=True)
    return replaced


def _page(evidence: Evidence, album: Album) -> str:
    shown = []
    behind = recipes.block(evidence)
    for section in SECTIONS:
        if body := section.build(evidence, album):
            body += behind if section.commands else ""
            shown.append({"key": section.key, "title": section.title, "body": body})
    sweep = evidence.sweep
    question = f"Which reconstruction loss for {listed(sweep.datasets)}?"
    parts = [
        count(len(evidence.losses), "loss"),
        count(len(sweep.datasets), "dataset"),
        count(len(sweep.models), "model"),
        count(len(sweep.learning_rates), "learning rate"),
        count(len(sweep.seeds), "seed"),
    ]
    if len(sweep.code_sizes) > 1:
        parts.append(count(len(sweep.code_sizes), "latent size"))
    dials = " and, of a dial, its own value" if sweep.tuned else ""
    steps = " or ".join(count(steps, "step") for steps in sweep.step_counts)
    runs = sum(1 for _ in evidence.results())
    return markup.page(
        title=f"{question} · lossjax",
        question=question,
        lede=f"{', '.join(parts)}: {count(runs, 'stored run')} of "
        f"{steps}. Each seed chooses its own learning rate{dials}. Primary metric: "
        f"{sweep.primary_metric}.",
        out=evidence.out,
        sections=shown,
        symbols=Markup("").join(
            mark.symbol() for mark in style.marks_of(evidence).values()
        ),
        footer=f"Rebuilt from stored runs by {recipes.report(evidence)}; beside this "
        "page: rows.csv, summary.json, tables/ and figures/.",
    )


def _interval(value: Interval | Standing) -> dict[str, float | None]:
    ends = {"center": value.center, "low": value.low, "high": value.high}
    return {name: _number(end) for name, end in ends.items()}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
