"""Rate-response curves: was every loss given its own best learning rate?"""

import math

from markupsafe import Markup

from experiments.report import figures, markup, style
from experiments.report.album import Album
from experiments.report.evidence import Cell, Evidence, Group
from experiments.report.markup import Field

TEMPLATE = """
<p>Every learning rate is tried on the tuning seeds at equal budget; a ring marks the
one chosen by the loss's own value on validation images, a cross a rate at which a run
was lost. Small panels: each loss in its own unit, which cannot be compared across
losses. Last panel: the primary metric, which can.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="multiples">
{% for panel in group.panels %}
<figure><div role="img" aria-label="{{ panel.alt }}">{{ panel.picture }}</div>
<figcaption><b>{{ panel.who }}</b><br>{{ panel.words }}</figcaption></figure>
{% endfor %}
</div>
<div class="figures">{{ group.figure }}</div>
{{ group.table }}
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    groups = []
    for group in evidence.groups:
        panels = [p for p in (_panel(evidence, c) for c in group.cells.values()) if p]
        figure = figures.rates(evidence, group)
        if not panels or figure is None:
            continue
        metric = evidence.primary
        groups.append(
            {
                "name": group.name,
                "panels": panels,
                "figure": album.add(
                    f"rates-{group.dataset}-{group.model}",
                    figure,
                    _describe(evidence, group),
                    f"{group.name}: {metric} on validation images, mean over tuning "
                    "seeds. Rings: chosen rates. Crosses at the edge: runs were lost.",
                ),
                "table": _table(evidence, group),
            }
        )
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def _panel(evidence: Evidence, cell: Cell) -> dict[str, object] | None:
    tried = figures.response(cell.tuning, "validation_loss")
    if not tried:
        return None
    mark = style.marks(evidence.losses)[cell.loss]
    fine = [(rate, mean) for rate, mean, lost in tried if not lost]
    lost = [rate for rate, _, count in tried if count]
    chosen = cell.plan.learning_rate
    words = "not chosen yet" if chosen is None else f"chose {chosen:g}"
    if chosen is not None and cell.plan.edge:
        words += ", at the edge"
    values = ", ".join(f"{mean:.4g} at {rate:g}" for rate, mean in fine)
    alt = f"{cell.loss} on validation against the rate: {values or 'no rate finished'}"
    if lost:
        alt += f"; runs lost at {', '.join(f'{rate:g}' for rate in lost)}"
    return {
        "picture": markup.sparkline(mark, fine, lost, chosen),
        "who": cell.loss,
        "words": words,
        "alt": f"{alt}; {words}.",
    }


def _table(evidence: Evidence, group: Group) -> Markup:
    marks = style.marks(evidence.losses)
    metric = evidence.primary
    grid = sorted(evidence.sweep.learning_rates)
    common = grid[len(grid) // 2]
    rows = []
    for loss, cell in group.cells.items():
        chosen = cell.plan.learning_rate
        lost = len(cell.status("diverged"))
        at = {
            rate: mean
            for rate, mean, _ in figures.response(cell.tuning, f"val_{metric}")
        }
        rows.append(
            [
                markup.name(loss, marks[loss]),
                Field("–", "", "num")
                if chosen is None
                else Field(f"{chosen:g}", chosen, "num"),
                Field("at the edge" if cell.plan.edge else "inside"),
                markup.number(at.get(chosen or 0.0, math.nan), 4),
                markup.number(at.get(common, math.nan), 4),
                Field(lost, lost, "num"),
            ]
        )
    heads: list[str | Field] = [
        "loss",
        Field("chosen rate", kind="num"),
        "in the grid",
        Field("there", kind="num"),
        Field(f"untuned, at {common:g}", kind="num"),
        Field("diverged runs", kind="num"),
    ]
    tried = sorted({r for c in group.cells.values() for r in c.plan.learning_rates})
    return markup.table(
        f"{group.name}: the rate of every loss, and validation {metric} there and at "
        f"one common rate, the middle of the grid: what tuning is worth. Rates tried: "
        f"{', '.join(f'{rate:g}' for rate in tried)}.",
        heads,
        rows,
    )


def _describe(evidence: Evidence, group: Group) -> str:
    parts = []
    for loss, cell in group.cells.items():
        tried = figures.response(cell.tuning, f"val_{evidence.primary}")
        at = {rate: mean for rate, mean, _ in tried}.get(
            cell.plan.learning_rate or 0.0, math.nan
        )
        if math.isfinite(at):
            parts.append(f"{loss} {at:.4g} at {cell.plan.learning_rate:g}")
    return (
        f"Validation {evidence.primary} of {group.name} against the learning rate; "
        f"at the chosen rates: {', '.join(parts) or 'none yet'}."
    )
