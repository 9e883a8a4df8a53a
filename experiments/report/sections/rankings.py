"""Rankings with intervals: the primary metric as a figure, every metric as tables."""

import math

from markupsafe import Markup

from experiments.report import figures, markup, style, verdict
from experiments.report.album import Album
from experiments.report.evidence import Evidence, Group
from experiments.report.markup import Field
from experiments.statistics import Ranking

TEMPLATE = """
<p>Test images, mean over seeds with its 95 % interval. Shaded and filled: the best set,
not shown worse than the best mean by more than the margin (paired sign-flip test,
Holm-adjusted). A loss that diverged or failed on any seed is listed last, without a
mean: a mean over the survivors would reward failing.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="figures">{{ group.figure }}</div>
{{ group.table }}
{% for metric, details in group.details %}
<details><summary>{{ metric }} in full</summary>{{ details }}</details>
{% endfor %}
{% for metric in group.unscored %}
<p class="note">{{ metric }} is not scored: no run of {{ group.name }} carries it
(metrics of the code need labelled images).</p>
{% endfor %}
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    groups = []
    for group in evidence.groups:
        if not group.rankings:
            continue
        figure = Markup("")
        if ranking := group.rankings.get(evidence.primary):
            figure = album.add(
                f"ranking-{group.dataset}-{group.model}",
                figures.ranking(evidence, group, evidence.primary, ranking),
                figures.describe(group, ranking, evidence.primary),
                f"{group.name}: {evidence.primary} on test images. Filled marks are "
                "the best set; the grey band is the margin of practical equivalence.",
            )
        groups.append(
            {
                "name": group.name,
                "figure": figure,
                "table": _wide(evidence, group),
                "details": [
                    (metric, _full(evidence, group, metric, ranking))
                    for metric, ranking in group.rankings.items()
                ],
                "unscored": group.unscored,
            }
        )
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def _wide(evidence: Evidence, group: Group) -> Markup:
    """Every loss by every metric."""
    marks = style.marks(evidence.losses)
    first = group.rankings.get(group.primary, next(iter(group.rankings.values())))
    places = {
        metric: verdict.decimals(ranking.standings)
        for metric, ranking in group.rankings.items()
    }
    rows = []
    for standing in first.standings:
        row = [markup.name(standing.loss, marks[standing.loss])]
        for metric, ranking in group.rankings.items():
            own = ranking.of(standing.loss)
            if not math.isfinite(own.center):
                row.append(Field(own.relation, "", "num"))
                continue
            shown = Markup("{}").format(f"{own.center:.{places[metric]}f}")
            if math.isfinite(own.low):
                half = f"{(own.high - own.low) / 2:.{places[metric]}f}"
                shown += Markup(' <span class="half">±{}</span>').format(half)
            kind = "num best" if own.best_set else "num"
            row.append(Field(shown, own.center, kind))
        rows.append(row)
    heads = [Field("loss")] + [
        Field(f"{metric} {verdict.arrow(ranking)}", kind="num")
        for metric, ranking in group.rankings.items()
    ]
    return markup.table(
        f"{group.name}: every metric on test images, best set shaded; "
        "↓ lower is better, ↑ higher is better",
        heads,
        rows,
    )


def _full(evidence: Evidence, group: Group, metric: str, ranking: Ranking) -> Markup:
    """One metric with everything that its ranking rests on."""
    marks = style.marks(evidence.losses)
    places = verdict.decimals(ranking.standings)
    lows = [s.low for s in ranking.standings if math.isfinite(s.low)]
    highs = [s.high for s in ranking.standings if math.isfinite(s.high)]
    span = (min(lows), max(highs)) if lows else (0.0, 1.0)
    rows = []
    for standing in ranking.standings:
        mark = marks[standing.loss]
        behind = standing.behind
        glyph = (
            markup.forest(mark, standing.low, standing.center, standing.high, span)
            if math.isfinite(standing.low)
            else Markup("")
        )
        gap: Field = markup.number(math.nan, 0)
        if behind is not None:
            words = f"{behind.center:.{places}f}"
            if math.isfinite(behind.low):
                words += f" [{behind.low:.{places}f}, {behind.high:.{places}f}]"
            gap = Field(words, behind.center, "num")
        kind = "num best" if standing.best_set else "num"
        rows.append(
            [
                markup.name(standing.loss, mark),
                Field(
                    markup.number(standing.center, places).shown, standing.center, kind
                )
                if math.isfinite(standing.center)
                else markup.number(math.nan, 0),
                Field(
                    f"{standing.low:.{places}f} to {standing.high:.{places}f}"
                    if math.isfinite(standing.low)
                    else "–",
                    standing.low if math.isfinite(standing.low) else "",
                    "num",
                ),
                Field(glyph),
                Field(standing.n, standing.n, "num"),
                Field(standing.diverged, standing.diverged, "num"),
                gap,
                markup.number(standing.effect, 1),
                markup.number(standing.p, 4),
                Field(standing.relation, standing.relation),
            ]
        )
    heads: list[str | Field] = [
        "loss",
        *(Field(name, kind="num") for name in ("mean", "95 % interval")),
        "",
        *(Field(name, kind="num") for name in ("n", "diverged", "behind the best")),
        *(Field(name, kind="num") for name in ("effect", "p (Holm)")),
        "relation",
    ]
    margin = f"{ranking.margin:.2g}" if math.isfinite(ranking.margin) else "–"
    return markup.table(
        f"{group.name}, {metric}, {ranking.direction} is better; margin {margin}. "
        "Behind the best: mean paired difference with its 95 % interval. Effect: that "
        "difference in its own standard deviations. p: of being worse by no more than "
        "the margin.",
        heads,
        rows,
    )
