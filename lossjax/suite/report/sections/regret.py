"""Trained with one loss, scored by every metric: does training on it win at it?"""

import math
from collections.abc import Iterator
from typing import Any

from markupsafe import Markup

from lossjax.suite import statistics
from lossjax.suite.report import markup, style, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.markup import Field
from lossjax.suite.statistics import Interval
from lossjax.suite.wording import count

TEMPLATE = """
<p>Rows are trained with, columns are scored by. 0 is the best mean on a metric, 1 the
worst of the losses compared, so that columns of different units can be read across;
brackets are the 95 % interval of the paired difference to the best. An outline marks a
loss at the metric it was trained on.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
{{ group.table }}
{% if group.diagonal %}
<p><strong>{{ group.headline }}</strong></p>
<ul>{% for line in group.diagonal %}<li>{{ line }}</li>{% endfor %}</ul>
{% endif %}
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    groups: list[dict[str, Any]] = []
    for group in evidence.groups:
        matrix = statistics.regrets(group.shared)
        if len(matrix) < 2:
            continue
        own = list(diagonal(group))
        groups.append(
            {
                "name": group.name,
                "table": _table(evidence, group, matrix),
                "headline": _headline(group, [metric for metric, _ in own]),
                "diagonal": [line for _, line in own],
            }
        )
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def diagonal(group: Group) -> Iterator[tuple[str, str]]:
    """For each metric that a loss was trained on: how that loss fares there."""
    tested = []
    for metric, ranking in group.rankings.items():
        for standing in ranking.standings:
            if standing.loss == metric and math.isfinite(standing.center):
                gain, p = statistics.advantage(
                    group.arms[metric], metric, direction=ranking.direction
                )
                tested.append((metric, ranking, standing, gain, p))
    if len(group.cells) < 2:
        return
    adjusted = statistics.holm([p for *_, p in tested])
    for (metric, ranking, standing, gain, _), p in zip(tested, adjusted, strict=True):
        place = 1 + [s.loss for s in ranking.standings].index(standing.loss)
        best = ranking.best
        words = f"{metric} trained on itself is "
        if standing.relation == "best":
            alone = len(ranking.best_set) == 1
            words += "best, alone" if alone else "best, not alone in the best set"
        elif standing.best_set and best is not None:
            words += f"in the best set, behind {best.loss} by the mean"
        elif best is not None:
            words += f"place {place} of {len(ranking.standings)}; {best.loss} wins"
        side = "better" if gain.center >= 0 else "worse"
        size = f"{abs(gain.center):.2f} of the range"
        yield (
            metric,
            f"{words}. Against the mean of its rivals it is {size} {side} "
            f"(advantage {_interval(gain)}, p = {p:.2g}, Holm-adjusted).",
        )


def _headline(group: Group, metrics: list[str]) -> str:
    """In one sentence: on how many metrics does the loss of that name hold its own?"""
    kept = [m for m in metrics if group.rankings[m].of(m).best_set]
    few = any(group.rankings[m].needed is not None for m in metrics)
    if few:
        return "Does training on a metric win at it? Too few seeds to tell."
    return (
        "Does training on a metric win at it? In the best set on "
        f"{len(kept)} of {count(len(metrics), 'metric')}"
        + (f" ({', '.join(kept)})." if kept else ".")
    )


def _table(
    evidence: Evidence, group: Group, matrix: dict[str, dict[str, Interval]]
) -> Markup:
    marks = style.marks(evidence.losses)
    rows = []
    for loss, row in matrix.items():
        worst = max(cell.center for cell in row.values())
        line = [markup.name(loss, marks[loss])]
        for metric, cell in row.items():
            limits = (
                Markup(' <span class="half">{}</span>').format(_interval(cell))
                if cell.high > cell.low
                else ""
            )
            kind = "num heat own" if verdict.family(loss) == metric else "num heat"
            line.append(
                Field(
                    Markup('<span style="--r:{}">{}{}</span>').format(
                        f"{cell.center:z.2f}", f"{cell.center:z.2f}", limits
                    ),
                    f"{cell.center:.4f}",
                    kind,
                )
            )
        rows.append([*line, markup.number(worst, 2)])
    heads: list[str | Field] = ["trained with"]
    heads += [Field(metric, kind="num") for metric in group.shared]
    heads.append(Field("worst", kind="num"))
    return markup.table(
        f"{group.name}: regret on test images, 0 best, 1 worst; the last column is the "
        "worst case of a loss. Losses that were lost on a seed are left out.",
        heads,
        rows,
        "matrix",
    )


def _interval(cell: Interval) -> str:
    if not math.isfinite(cell.low):
        return "one seed"
    return f"[{cell.low:z.2f}, {cell.high:z.2f}]"
