"""Over several datasets: the mean rank of every loss, and which losses are tied."""

from collections.abc import Iterator, Mapping, Sequence
from string import ascii_uppercase
from typing import Any

import numpy as np
from markupsafe import Markup

from lossjax.suite import ranks
from lossjax.suite.report import columns, markup, style
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.markup import Field
from lossjax.suite.statistics import Interval, Ranking
from lossjax.suite.wording import count, listed

TEMPLATE = """
<p>Ranks are averaged over datasets, errors never are: a loss's rank on a dataset is
that of its mean test score there, equal ones share the mean rank, and one with a failed
seed is last. In brackets the 95 % interval of the bootstrap over datasets. It speaks of
these datasets, and of others only if they are like these.</p>
{% for board in boards %}
<div class="verdict">
<p class="group">{{ board.name }}</p>
<p class="headline">{{ board.says }}</p>
<p class="sure">{{ board.sure }}</p>
</div>
{{ board.table }}
<details><summary>Rank on each dataset, by {{ primary }}</summary>{{ board.each }}
</details>
{% endfor %}
"""


def settings(evidence: Evidence) -> Iterator[tuple[str, Sequence[Group]]]:
    """Every model with its complete groups, of two datasets or more."""
    by_model: dict[str, list[Group]] = {}
    for group in () if evidence.missing else evidence.groups:
        if group.primary in group.rankings and len(group.arms) > 1:
            by_model.setdefault(group.model, []).append(group)
    for model, groups in by_model.items():
        if len(groups) > 1:
            yield model, groups


def of_each(groups: Sequence[Group]) -> dict[str, dict[str, np.ndarray]]:
    """Ranks (datasets,) by loss, of every metric that two datasets count."""
    metrics = dict.fromkeys(metric for group in groups for metric in group.counted)
    found = {
        metric: ranks.on_each(
            [g.rankings[metric] for g in groups if metric in g.counted]
        )
        for metric in metrics
    }
    return {metric: own for metric, own in found.items() if _datasets(own) > 1}


def _datasets(of_loss: Mapping[str, np.ndarray]) -> int:
    return max(map(len, of_loss.values()), default=0)


def build(evidence: Evidence, album: Album) -> Markup:
    boards: list[dict[str, Any]] = []
    for model, groups in settings(evidence):
        every = of_each(groups)
        if evidence.primary not in every:
            continue
        tied = list(ranks.ties(every[evidence.primary]))
        n = tied[0].n
        boards.append(
            {
                "name": f"{model}, {count(n, 'dataset')}",
                "says": _says(evidence, tied[0]),
                "sure": _sure(tied[0]),
                "table": _table(evidence, model, groups, every, tied),
                "each": _each(evidence, model, groups, every[evidence.primary]),
            }
        )
    if not boards:
        return Markup("")
    return markup.render(TEMPLATE, boards=boards, primary=evidence.primary)


def _says(evidence: Evidence, first: Ranking) -> str:
    names = [s.loss for s in first.best_set]
    tied = f", tied with {listed(names[1:])}" if names[1:] else ""
    return f"Lowest mean rank by {evidence.primary}: {names[0]}{tied}."


def _sure(first: Ranking) -> str:
    if first.needed is not None:
        return (
            f"How sure: {count(first.n, 'dataset')} cannot separate any two of these "
            f"losses by their ranks (needed: {first.needed})."
        )
    return f"How sure: paired over {count(first.n, 'dataset')}, sign-flip and Holm."


def _table(
    evidence: Evidence,
    model: str,
    groups: Sequence[Group],
    every: Mapping[str, dict[str, np.ndarray]],
    tied: Sequence[Ranking],
) -> Markup:
    marks = style.marks_of(evidence)
    order = sorted(every, key=lambda metric: metric != evidence.primary)
    means = {metric: ranks.means(every[metric]) for metric in order}
    leaders = {
        metric: {s.loss for s in next(ranks.ties(every[metric])).best_set}
        for metric in order
    }
    letter = {
        s.loss: ascii_uppercase[min(place, len(ascii_uppercase) - 1)]
        for place, ranking in enumerate(tied)
        for s in ranking.best_set
    }
    span = (1.0, float(len(letter)))
    rows = []
    for loss in sorted(letter, key=lambda loss: means[evidence.primary][loss].center):
        own = means[evidence.primary][loss]
        best = sum(g.rankings[evidence.primary].of(loss).best_set for g in groups)
        row = [
            markup.name(loss, marks[loss]),
            Field(letter[loss], letter[loss], "num"),
            Field(
                markup.forest(marks[loss], own.low, own.center, own.high, span),
                own.center,
            ),
        ]
        row += [
            _rank(means[metric][loss], "num best" if loss in leaders[metric] else "num")
            for metric in order
        ]
        rows.append([*row, Field(f"{best} of {len(groups)}", best, "num")])
    return markup.table(
        f"{model}: mean rank over {count(len(groups), 'dataset')} by {listed(order)}. "
        "Bold: tied with the lowest mean rank by the paired test over datasets; losses "
        f"of one letter are tied by {evidence.primary}.",
        [
            Field("loss"),
            Field("tie group", kind="num"),
            Field(f"rank 1 to {len(letter)}"),
            *(
                columns.head(evidence, groups[0], metric, _unit(own, groups))
                for metric, own in ((metric, every[metric]) for metric in order)
            ),
            Field(
                f"tied for best by {evidence.primary}", "", "num", first="descending"
            ),
        ],
        rows,
        "dense",
        1,
    )


def _unit(of_loss: Mapping[str, np.ndarray], groups: Sequence[Group]) -> str:
    """What stands in a metric's column, and of how many datasets if not of all."""
    n = _datasets(of_loss)
    return "mean rank" if n == len(groups) else f"mean rank, {n} datasets"


def _rank(mean: Interval, kind: str) -> Field:
    shown = Markup('{} <span class="half">[{}, {}]</span>').format(
        *(f"{end:.1f}" for end in (mean.center, mean.low, mean.high))
    )
    return Field(shown, float(f"{mean.center:.7g}"), kind)


def _each(
    evidence: Evidence,
    model: str,
    groups: Sequence[Group],
    of_loss: Mapping[str, np.ndarray],
) -> Markup:
    marks = style.marks_of(evidence)
    rows = [
        [markup.name(loss, marks[loss]), *(Field(f"{x:g}", x, "num") for x in own)]
        for loss, own in sorted(of_loss.items(), key=lambda one: one[1].mean())
    ]
    heads = [Field(group.dataset, group.dataset, "num") for group in groups]
    return markup.table(
        f"{model}: rank on each dataset by {evidence.primary}; 1 is best",
        [Field("loss"), *heads],
        rows,
        "dense",
    )
