"""Which loss is best at which class of images, by every metric."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from lossjax.suite.report import classwise, columns, markup, style, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.markup import Field
from lossjax.suite.report.style import Mark
from lossjax.suite.statistics import Ranking
from lossjax.suite.wording import count, listed

TEMPLATE = """
<p>Test images of one class at a time: the loss with the best mean over seeds, that
mean, and the losses tied with it by the same paired test. Every class and metric is a
comparison of its own, so that among so many a few differences are luck; nothing here
counts in the verdict.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
{{ group.table }}
{% for metric, table in group.details %}
<details><summary>{{ metric }} of every loss and class</summary>{{ table }}</details>
{% endfor %}
{% endfor %}
"""
Rankings = Mapping[str, Mapping[int, Ranking]]  # by metric, then class


def build(evidence: Evidence, album: Album) -> Markup:
    groups: list[dict[str, Any]] = []
    for group in evidence.groups:
        rankings = {
            metric: dict(classwise.rankings(evidence, group, metric))
            for metric in classwise.metrics(evidence, group)
        }
        if rankings:
            groups.append(
                {
                    "name": group.name,
                    "table": _best(evidence, group, rankings),
                    "details": [
                        (metric, _all(evidence, group, metric, by_class))
                        for metric, by_class in rankings.items()
                    ],
                }
            )
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def _best(evidence: Evidence, group: Group, rankings: Rankings) -> Markup:
    marks = style.marks_of(evidence)
    rows = []
    for label, images in classwise.sizes(evidence, group).items():
        shown = Markup('{} <span class="half">{}</span>').format(
            label, count(images, "image")
        )
        row = [Field(shown, label)]
        for metric, by_class in rankings.items():
            row.append(_winner(marks, metric, by_class[label]))
        rows.append(row)
    heads = [
        dataclasses.replace(columns.head(evidence, group, metric), kind="")
        for metric in rankings
    ]
    return markup.table(
        f"{group.name}: the best loss of each class by {listed(list(rankings))}; means "
        f"on test images over {count(len(evidence.sweep.seeds), 'seed')}.",
        [Field("class"), *heads],
        rows,
        "stack",
        0,
    )


def _winner(marks: Mapping[str, Mark], metric: str, ranking: Ranking) -> Field:
    best = ranking.best
    if best is None:
        return Field("none finished", "", "wrap", metric)
    tied = [s.loss for s in ranking.best_set if s is not best]
    value = f"{best.center:.{verdict.decimals(ranking.standings)}f}"
    shown = markup.chip(best.loss, marks[best.loss]) + Markup(
        ' <span class="half">{}{}</span>'
    ).format(value, f"; tied: {', '.join(tied)}" if tied else "")
    return Field(shown, float(f"{best.center:.7g}"), "wrap", metric)


def _all(
    evidence: Evidence, group: Group, metric: str, by_class: Mapping[int, Ranking]
) -> Markup:
    marks = style.marks_of(evidence)
    places = verdict.decimals([s for r in by_class.values() for s in r.standings])
    higher = evidence.metrics[metric]["direction"] == "higher"
    rows = []
    for loss in group.arms:
        row = [markup.name(loss, marks[loss])]
        for ranking in by_class.values():
            standing = ranking.of(loss)
            kind = "num best" if standing.best_set else "num"
            row.append(markup.mean(standing, places, kind))
        rows.append(row)
    first = "descending" if higher else ""
    return markup.table(
        f"{group.name}: {metric} by class, mean over seeds with half its 95 % "
        f"interval. {verdict.BOLD}",
        [Field("loss"), *(Field(x, x, "num", first=first) for x in by_class)],
        rows,
        "dense",
    )
