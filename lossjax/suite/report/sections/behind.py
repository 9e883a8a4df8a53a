"""How far every loss is behind the best, by every metric, with paired intervals."""

import functools
import math
from typing import Any

from markupsafe import Markup

from lossjax.suite.report import columns, markup, style, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.markup import Field
from lossjax.suite.report.tables import matrices
from lossjax.suite.wording import listed

TEMPLATE = """
<p>Rows are trained with, columns are scored by, on test images. A cell says how far the
loss is behind the best mean of its column: in per cent of that mean, or in the metric's
unit where its margin is absolute; in brackets the 95 % interval of the paired
difference. {{ bold }} An outline marks a loss that is judged by itself. A column
"from" another metric is a function of it: shown, never counted. {{ covers }}</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
{{ group.table }}
{% if group.unbeaten %}<p><strong>{{ group.unbeaten }}</strong></p>{% endif %}
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    groups: list[dict[str, Any]] = [
        {
            "name": group.name,
            "table": columns.folded(
                group, group.rankings, functools.partial(_table, evidence, group)
            ),
            "unbeaten": verdict.unbeaten(group),
        }
        for group in evidence.groups
        if group.rankings and len(group.arms) > 1
    ]
    if not groups:
        return Markup("")
    return markup.render(
        TEMPLATE, groups=groups, bold=verdict.BOLD, covers=verdict.COVERS
    )


def _table(evidence: Evidence, group: Group, metrics: list[str]) -> Markup:
    marks = style.marks_of(evidence)
    every = matrices.distances(evidence, group)
    distances = {metric: every[metric] for metric in metrics}
    rows = []
    for standing in matrices.by_primary(group):
        row = [markup.name(standing.loss, marks[standing.loss])]
        for metric, distance in distances.items():
            own = group.rankings[metric].of(standing.loss)
            kind = "num best" if own.best_set else "num"
            if metric in verdict.trained_on(standing.loss):
                kind += " own"
            gap = distance.gaps[standing.loss]
            value, limits = distance.words(standing.loss)
            shown = Markup("<span>{}{}</span>").format(
                value, Markup(' <span class="half">{}</span>').format(limits)
            )
            sort = float(f"{gap.center:.7g}") if math.isfinite(gap.center) else ""
            row.append(Field(shown, sort, kind))
        rows.append(row)
    heads = [Field("trained with")] + [
        columns.head(evidence, group, metric, distance.unit)
        for metric, distance in distances.items()
    ]
    return markup.table(
        f"{group.name}: behind the best by {listed(metrics)}; on test images, "
        "positive is worse. "
        f"{verdict.BOLD} A loss with a failed seed has no mean and is never tied.",
        heads,
        rows,
        "matrix dense",
        1 + metrics.index(group.primary) if group.primary in metrics else None,
    )
