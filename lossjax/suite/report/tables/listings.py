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

from lossjax.suite.report import convergence, untuned, verdict
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.imagewise import over_images, unsure
from lossjax.suite.report.inert import csv_cell
from lossjax.suite.report.tables.forms import number
from lossjax.suite.report.tables.matrices import noted
from lossjax.suite.statistics import NOTHING, Ranking, pareto
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


# What tells one run of a grid from another.
IDENTITY = ("dataset", "model", "loss", "learning_rate", "seed")
SETTING = ("latent_dim", "train_steps")
RUN: Columns = {
    **_named("result.run", " ".join(IDENTITY)),
    "chosen": attrgetter("chosen"),
    **_named("result", "status diverged_step"),
    **_named("result.run", " ".join(SETTING)),
}
RUN_COLUMNS = tuple(RUN)


def run_values(result: Result, chosen: bool) -> list[Any]:
    """A run's cells under RUN_COLUMNS; `chosen`: its seed's learning rate is this."""
    return cells(RUN, Line(result=result, chosen=chosen))


def rows(evidence: Evidence) -> str:
    """rows.csv: one line a stored run of the grid, full precision.

    Test scores of runs that no seed chose stay in the store: nobody is to read them.
    Where some loss has a dial, the arm stands beside the loss that was trained.
    """
    names = [f"{split}_{m}" for split in ("val", "test") for m in evidence.metrics]
    names += [f"diag_{name}" for name in evidence.diagnostics]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    tuned = bool(evidence.sweep.tuned)
    writer.writerow([*RUN_COLUMNS, *["arm"] * tuned, *map(csv_cell, names)])
    for _, arm in evidence.arms():
        for result, chosen in arm.counted:
            scores = (
                number(result.metrics.get(name, math.nan))
                if chosen or not name.startswith("test_")
                else ""
                for name in names
            )
            values = [*run_values(result, chosen), *[arm.loss] * tuned]
            writer.writerow([*map(csv_cell, values), *scores])
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
    "derived_from": lambda x: x.group.derived.get(x.metric, ""),
    "direction": attrgetter("ranking.direction"),
    "place": attrgetter("place"),
    **_named("standing", "loss center low high n lost diverged failed best_set word"),
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
    tied = len(ranking.best_set)
    return "best" if tied == 1 else f"{tied} tied for best"


def _worse(ranking: Ranking) -> str:
    return ", ".join(f"{s.loss} ({s.effect:.1f})" for s in verdict.worse(ranking))


def _of(word: str) -> Callable[[Line], str]:
    """The losses that a word is said of."""
    return lambda x: ", ".join(s.loss for s in x.ranking.standings if s.word == word)


def _counted(ranking: Ranking, status: str) -> str:
    """The losses with seeds or runs that ended so, and how many of each."""
    counts = ((s.loss, getattr(s, status)) for s in ranking.standings)
    return ", ".join(f"{loss} {count}" for loss, count in counts if count)


VERDICTS: Columns = {
    **_named("group", "dataset model"),
    "metric": attrgetter("metric"),
    "primary": lambda x: x.metric == x.group.primary,
    "verdict": lambda x: _verdict(x.ranking),
    "derived_from": lambda x: x.group.derived.get(x.metric, ""),
    "best": _of("best"),
    "equivalent": _of("equivalent"),
    "undecided": _of("undecided"),
    "worse": lambda x: _worse(x.ranking),
    "unsure_over_images": lambda x: ", ".join(unsure(x.evidence, x.group, x.metric)),
    "n": attrgetter("ranking.n"),
    "needed": lambda x: x.ranking.needed or "",
    "lost": lambda x: _counted(x.ranking, "lost"),
    "diverged": lambda x: _counted(x.ranking, "diverged"),
    "failed": lambda x: _counted(x.ranking, "failed"),
}


def _settings(evidence: Evidence) -> Iterator[Line]:
    for group in evidence.groups:
        if group.rankings:
            latent_dim, train_steps = group.setting[2:]
            yield Line(
                evidence=evidence,
                group=group,
                latent_dim=latent_dim,
                train_steps=train_steps,
            )


SETTINGS: Columns = {
    **_named("group", "dataset model"),
    "latent_dim": attrgetter("latent_dim"),
    "train_steps": attrgetter("train_steps"),
    "settled": lambda x: convergence.settled(x.evidence, x.group),
    "no_other_better_by_every_metric": lambda x: ", ".join(pareto(x.group.counted)),
}


def _changes(evidence: Evidence) -> Iterator[Line]:
    """Every metric's best mean at half of the steps and at all of them."""
    for line in _settings(evidence):
        if (half := evidence.half(line.group)) is None:
            continue
        for metric, ranking in line.group.rankings.items():
            change = convergence.change_of(half, line.group, metric)
            if change is not None:
                before = half.rankings[metric]
                each = {"metric": metric, "before": before, "after": ranking}
                yield Line(**vars(line), **each, change=change)


CHANGES: Columns = {
    **_named("group", "dataset model"),
    "metric": attrgetter("metric"),
    "derived_from": lambda x: x.group.derived.get(x.metric, ""),
    "half_steps": lambda x: x.train_steps // 2,
    "train_steps": attrgetter("train_steps"),
    "best_at_half": attrgetter("before.best.loss"),
    "center_at_half": attrgetter("before.best.center"),
    "best": attrgetter("after.best.loss"),
    "center": attrgetter("after.best.center"),
    "change": attrgetter("change"),
}


def _tuned(evidence: Evidence) -> Iterator[Line]:
    for group, arm in evidence.arms():
        yield Line(group=group, arm=arm)


RATES: Columns = {
    **_named("group", "dataset model"),
    "loss": attrgetter("arm.loss"),
    "chosen": lambda x: verdict.chosen(x.arm),
    "edge": lambda x: x.arm.edge or "",
    "seeds": lambda x: len(x.arm.seeds),
    "lost": lambda x: x.arm.lost if not x.arm.missing else "",
    "runs": lambda x: len(x.arm.results),
    "missing": lambda x: len(x.arm.missing),
    "diverged": lambda x: len(x.arm.status("diverged")),
    "failed": lambda x: len(x.arm.status("failed")),
}


def _tried(evidence: Evidence) -> Iterator[Line]:
    """Every rate: the loss's own value and the primary metric, on validation images."""
    for group, arm in evidence.arms():
        for loss, member in arm.members.items():
            for name in (untuned.OWN_LOSS, f"val_{evidence.primary}"):
                for point in untuned.curve(member, name):
                    yield Line(
                        group=group, arm=arm, loss=loss, metric=name, point=point
                    )


CURVES: Columns = {
    **_named("group", "dataset model"),
    "loss": attrgetter("loss"),
    "learning_rate": attrgetter("point.rate"),
    "seeds_that_chose": attrgetter("point.chosen"),
    "metric": attrgetter("metric"),
    **_interval("point.value", "center", "low", "high"),
    "minimum": lambda x: x.point.seen[0],
    "maximum": lambda x: x.point.seen[1],
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
    **_interval("tuned", "tuned_center", "tuned_low", "tuned_high"),
    "tuned_place": lambda x: x.places[1],
    **_interval("gain", "gain", "gain_low", "gain_high"),
    "n": attrgetter("untuned.n"),
    "untuned_lost": attrgetter("untuned.lost"),
}


def counted(evidence: Evidence) -> Iterator[Line]:
    """Every split of every dataset: how many of its pixels count, and what they are."""
    for name, described in evidence.description["datasets"].items():
        facts = described.get("pixels", {"levels": 256, "black": 0, "white": 255})
        for split in ("train", "validation", "test"):
            values = described[split] * math.prod(described["shape"])
            number_counted = facts.get("counted", {}).get(split, values)
            yield Line(
                dataset=name,
                split=split,
                images=described[split],
                values=values,
                counted=number_counted,
                share=number_counted / values,
                levels=facts["levels"] or "any",
                black=float(facts["black"]),
                white=float(facts["white"]),
            )


PIXELS: Columns = {
    name: attrgetter(name)
    for name in (
        *("dataset", "split", "images", "values", "counted", "share"),
        *("levels", "black", "white"),
    )
}


def _dial(losses: Callable[[Line], Iterable[str]]) -> Columns:
    """The mark of losses with a dial, where a line is of them."""
    return {"dial": lambda x: noted(x.group, *losses(x)).get("dial", "")}


def _all(line: Line) -> Iterable[str]:
    return line.group.arms


# The columns more of a sweep in which some loss has a dial.
DIALS: Mapping[str, Columns] = {
    "ranking": _dial(lambda x: [x.standing.loss]),
    **dict.fromkeys(("verdicts", "settings", "budgets"), _dial(_all)),
    "rates": {
        **_dial(lambda x: [x.arm.loss]),
        "values": lambda x: verdict.dialled(x.arm),
    },
    "rate-response": {
        **_dial(lambda x: [x.arm.loss]),
        "arm": attrgetter("arm.loss"),
    },
}
# The files' stem, the columns, and what makes the lines.
LISTINGS: Mapping[str, tuple[Columns, Callable[[Evidence], Iterable[Line]]]] = {
    "ranking": (RANKING, _ranked),
    "verdicts": (VERDICTS, _judged),
    "settings": (SETTINGS, _settings),
    "budgets": (CHANGES, _changes),
    "rates": (RATES, _tuned),
    "rate-response": (CURVES, _tried),
    "untuned": (UNTUNED, _untuned),
    "pixels": (PIXELS, counted),
}
