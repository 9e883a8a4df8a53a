"""The tables of one fact a line: for every column, where a line has its value.

A line is a namespace of what it is about; columns that nobody computes name attributes.
"""

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from operator import attrgetter
from types import SimpleNamespace as Line
from typing import Any

from lossjax.suite.report import untuned
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.imagewise import over_images, unsure
from lossjax.suite.report.tables.forms import number
from lossjax.suite.report.untuned import NOTHING
from lossjax.suite.statistics import Ranking, safest
from lossjax.suite.store.results import Result

Columns = Mapping[str, Callable[[Any], Any]]


def _named(place: str, names: str) -> Columns:
    """Columns of the same names as the attributes that they show."""
    return {name: attrgetter(f"{place}.{name}") for name in names.split()}


def _interval(place: str, *names: str) -> Columns:
    """An interval's center, low and high, or its low and high alone."""
    ends = ("center", "low", "high")[-len(names) :]
    return {
        name: attrgetter(f"{place}.{end}")
        for name, end in zip(names, ends, strict=True)
    }


def cells(columns: Columns, line: Any) -> list[Any]:
    """A line's values; empty where there is no number."""
    values = (value(line) for value in columns.values())
    return [number(v) if isinstance(v, float) else v for v in values]


RUN: Columns = {
    **_named("run", "dataset model loss learning_rate seed stage"),
    "status": attrgetter("status"),
    "diverged_step": attrgetter("diverged_step"),
}
RUN_COLUMNS = tuple(RUN)
IDENTITY = RUN_COLUMNS.index("status")  # how many of them tell one run from another


def run_values(result: Result) -> list[Any]:
    """A run's cells under RUN_COLUMNS."""
    return cells(RUN, result)


def rows(evidence: Evidence) -> str:
    """rows.csv: one line a stored run of the grid, full precision."""
    names = [f"{split}_{m}" for split in ("val", "test") for m in evidence.metrics]
    names += [f"diag_{name}" for name in evidence.diagnostics]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*RUN_COLUMNS, *names])
    for result in evidence.results():
        scores = (number(result.metrics.get(name, math.nan)) for name in names)
        writer.writerow([*run_values(result), *scores])
    return buffer.getvalue()


def _judged(evidence: Evidence) -> Iterator[Line]:
    for group in evidence.groups:
        for metric, ranking in group.rankings.items():
            yield Line(evidence=evidence, group=group, metric=metric, ranking=ranking)


def _ranked(evidence: Evidence) -> Iterator[Line]:
    for line in _judged(evidence):
        images = over_images(evidence, line.group, line.metric, line.ranking)
        for place, standing in enumerate(line.ranking.standings, start=1):
            own = images.get(standing.loss)
            yield Line(
                **vars(line),
                place=place,
                standing=standing,
                behind=standing.behind or NOTHING,
                images=own.mean if own else NOTHING,
                behind_images=(own.behind if own else None) or NOTHING,
            )


RANKING: Columns = {
    **_named("group", "dataset model"),
    "metric": attrgetter("metric"),
    "direction": attrgetter("ranking.direction"),
    "place": attrgetter("place"),
    **_named("standing", "loss center low high n diverged failed best_set relation"),
    **_interval("behind", "behind", "behind_low", "behind_high"),
    "margin": attrgetter("ranking.margin"),
    "p_holm": attrgetter("standing.p"),
    "effect": attrgetter("standing.effect"),
    **_interval("images", "images_low", "images_high"),
    **_interval("behind_images", "behind_images_low", "behind_images_high"),
}


def _verdict(ranking: Ranking) -> str:
    """What a ranking shows, in two or three words."""
    if ranking.best is None:
        return "none finished"
    if len(ranking.standings) == 1:
        return "alone"
    if ranking.needed is not None:
        return "too few seeds"
    alike = len(ranking.best_set)
    return "best" if alike == 1 else f"{alike} not told apart"


def _worse(ranking: Ranking) -> str:
    worse = (s for s in ranking.standings if s.relation == "worse")
    return ", ".join(f"{s.loss} ({s.effect:.1f})" for s in worse)


def _counted(ranking: Ranking, status: str) -> str:
    """The losses with seeds that ended so, and how many of each."""
    counts = ((s.loss, getattr(s, status)) for s in ranking.standings)
    return ", ".join(f"{loss} {count}" for loss, count in counts if count)


VERDICTS: Columns = {
    **_named("group", "dataset model"),
    "metric": attrgetter("metric"),
    "primary": lambda x: x.metric == x.group.primary,
    "verdict": lambda x: _verdict(x.ranking),
    "best": lambda x: x.ranking.best.loss if x.ranking.best else "",
    "best_set": lambda x: ", ".join(s.loss for s in x.ranking.best_set),
    "worse": lambda x: _worse(x.ranking),
    "unsure_over_images": lambda x: ", ".join(unsure(x.evidence, x.group, x.metric)),
    "n": attrgetter("ranking.n"),
    "needed": lambda x: x.ranking.needed or "",
    "diverged": lambda x: _counted(x.ranking, "diverged"),
    "failed": lambda x: _counted(x.ranking, "failed"),
}


def _safest(evidence: Evidence) -> Iterator[Line]:
    for group in evidence.groups:
        losses, worst, metric = safest(group.shared)
        few = any(ranking.needed is not None for ranking in group.rankings.values())
        if losses and not few:
            yield Line(group=group, losses=losses, worst=worst, metric=metric)


SAFEST: Columns = {
    **_named("group", "dataset model"),
    "losses": lambda x: ", ".join(x.losses),
    "worst_case_regret": attrgetter("worst"),
    "on_metric": attrgetter("metric"),
}


def _tuned(evidence: Evidence) -> Iterator[Line]:
    for group, cell in evidence.cells():
        yield Line(group=group, cell=cell, plan=cell.plan)


RATES: Columns = {
    **_named("group", "dataset model"),
    "loss": attrgetter("cell.loss"),
    "learning_rate": attrgetter("plan.learning_rate"),
    "edge": attrgetter("plan.edge"),
    "tried": lambda x: " ".join(f"{rate:g}" for rate in x.plan.learning_rates),
    "tuning_runs": lambda x: len(x.cell.tuning),
    "final_runs": lambda x: len(x.cell.final),
    "missing": lambda x: len(x.plan.pending),
    "diverged": lambda x: len(x.cell.status("diverged")),
    "failed": lambda x: len(x.cell.status("failed")),
}


def _tried(evidence: Evidence) -> Iterator[Line]:
    """Every rate: the loss's own value and the primary metric, on validation images."""
    for line in _tuned(evidence):
        for name in ("validation_loss", f"val_{evidence.primary}"):
            for point in untuned.curve(evidence, line.cell, name):
                yield Line(**vars(line), metric=name, point=point)


CURVES: Columns = {
    **_named("group", "dataset model"),
    "loss": attrgetter("cell.loss"),
    "learning_rate": attrgetter("point.rate"),
    "chosen": lambda x: x.point.rate == x.plan.learning_rate,
    "extension": attrgetter("point.extension"),
    "metric": attrgetter("metric"),
    **_interval("point.value", "center", "low", "high"),
    "least": lambda x: x.point.seen[0],
    "most": lambda x: x.point.seen[1],
    **_named("point", "n diverged lost"),
}


def _untuned(evidence: Evidence) -> Iterator[Line]:
    for group in evidence.groups:
        for metric in evidence.metrics:
            for row in untuned.rows(evidence, group, metric):
                yield Line(group=group, metric=metric, **vars(row))


UNTUNED: Columns = {
    **_named("group", "dataset model"),
    "loss": attrgetter("loss"),
    "metric": attrgetter("metric"),
    "common_rate": attrgetter("untuned.rate"),
    **_interval("untuned.value", "untuned_center", "untuned_low", "untuned_high"),
    "untuned_place": lambda x: x.places[0],
    "own_rate": attrgetter("tuned.rate"),
    **_interval("tuned.value", "tuned_center", "tuned_low", "tuned_high"),
    "tuned_place": lambda x: x.places[1],
    **_interval("gain", "gain", "gain_low", "gain_high"),
    "n": attrgetter("untuned.n"),
    "untuned_lost": attrgetter("untuned.lost"),
    "tuned_lost": attrgetter("tuned.lost"),
}
# The files' stem, the columns, and what makes the lines.
LISTINGS: Mapping[str, tuple[Columns, Callable[[Evidence], Iterable[Line]]]] = {
    "ranking": (RANKING, _ranked),
    "verdicts": (VERDICTS, _judged),
    "safest": (SAFEST, _safest),
    "rates": (RATES, _tuned),
    "rate-response": (CURVES, _tried),
    "untuned": (UNTUNED, _untuned),
}
