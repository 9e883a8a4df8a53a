"""What is measured of variational models and not ranked, loss by loss."""

import math

from markupsafe import Markup

from lossjax.suite.report import markup, style, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.markup import Field
from lossjax.suite.statistics import NOTHING, Interval

TEMPLATE = """
<p>Test images, mean over seeds with half its 95 % interval; one draw of every code.
Nothing here is ranked: a bound is in its loss's own unit, and a code that says more is
not better by that. What can be compared, bits per dimension, is under Rankings.</p>
<ul>
{% for name, unit, note in rows %}
<li><code>{{ name }}</code> ({{ unit }}){{ ": " if note }}{{ note }}</li>
{% endfor %}
</ul>
{% for table in tables %}{{ table }}{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    groups = [group for group in evidence.groups if group.measures]
    if not groups:
        return Markup("")
    rows = [
        (name, row["unit"], row.get("note", ""))
        for name, row in evidence.metrics.items()
        if any(name in group.measures for group in groups)
    ]
    tables = [_table(evidence, group) for group in groups]
    return markup.render(TEMPLATE, rows=rows, tables=tables)


def _table(evidence: Evidence, group: Group) -> Markup:
    marks = style.marks_of(evidence)
    rows = []
    for loss in group.arms:
        row = [markup.name(loss, marks[loss])]
        for means in group.measures.values():
            mean = means.get(loss, NOTHING)
            row.append(markup.mean(mean, decimals(mean)))
        rows.append(row)
    heads = [Field("loss"), *(Field(name, kind="num") for name in group.measures)]
    silent = ""
    if group.silent:
        silent = f" Collapsed posterior on some seed: {', '.join(group.silent)}."
    caption = f"{group.name}: measured on test images, not ranked.{silent}"
    return markup.table(caption, heads, rows)


def decimals(mean: Interval) -> int:
    """Decimal places that the interval supports, and no more than four digits."""
    known = mean.center and math.isfinite(mean.center)
    size = math.floor(math.log10(abs(mean.center))) if known else 0
    width = mean.high - mean.low
    supported = verdict.places([width]) if math.isfinite(width) else 4
    return max(0, min(supported, 3 - size))
