"""Diagnostics: what the trained networks' gradients, codes and residuals look like."""

import math

from markupsafe import Markup

from lossjax.suite.report import figures_of_diagnostics as figures
from lossjax.suite.report import markup, style
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group, StoredCell
from lossjax.suite.report.markup import Field
from lossjax.suite.wording import count

TEMPLATE = """
<p>Measured once on every final run after its last step, on validation images (the
gradient ratio: on training batches); they
explain a result, rank nothing and are in rows.csv as <code>diag_</code> columns. Points
are means over the seeds that finished, bars reach from the least to the most.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="figures">{% for figure in group.figures %}{{ figure }}{% endfor %}</div>
{{ group.table }}
{% endfor %}
<dl class="facts">
{% for name, row in notes.items() %}
<dt><code>{{ name }}</code> ({{ row.unit }})</dt><dd>{{ row.note }}</dd>
{% endfor %}
</dl>
"""


def build(evidence: Evidence, album: Album) -> Markup:
    groups = []
    for group in evidence.groups:
        panels = figures.panels(evidence, group)
        if panels is None:
            continue
        shown = [
            album.add(
                f"diagnostics-{group.dataset}-{group.model}",
                panels,
                _describe(evidence, group, figures.singles(evidence)),
                f"{group.name}: diagnostics, each in its own unit.",
            )
        ]
        spectrum = figures.spectrum(evidence, group)
        if spectrum is not None:
            shown.append(
                album.add(
                    f"residual-{group.dataset}-{group.model}",
                    spectrum,
                    _describe(evidence, group, figures.bands(evidence)),
                    f"{group.name}: power of the residual over that of the target, by "
                    "radial frequency; at the dotted line nothing of it is drawn.",
                )
            )
        groups.append(
            {"name": group.name, "figures": shown, "table": _table(evidence, group)}
        )
    if not groups:
        return Markup("")
    return markup.render(TEMPLATE, groups=groups, notes=evidence.diagnostics)


def _table(evidence: Evidence, group: Group) -> Markup:
    marks = style.marks(evidence.losses)
    rows = [
        [markup.name(loss, marks[loss])]
        + [_field(cell, name) for name in evidence.diagnostics]
        for loss, cell in group.cells.items()
    ]
    heads: list[str | Field] = ["loss"]
    heads += [Field(name, kind="num") for name in evidence.diagnostics]
    return markup.table(
        f"{group.name}: mean over the final runs that finished; in brackets how many "
        "have a value, where not all do.",
        heads,
        rows,
    )


def _field(cell: StoredCell, name: str) -> Field:
    found = figures.values(cell, name)
    if not found.size:
        return Field("–", "", "num")
    mean = float(found.mean())
    short = "" if len(found) == len(cell.final) else f" ({len(found)})"
    return Field(f"{_plain(mean)}{short}", float(f"{mean:.7g}"), "num")


def _plain(value: float) -> str:
    """Three digits without a power of ten."""
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(places, 5)}f}"


def _describe(evidence: Evidence, group: Group, names: list[str]) -> str:
    parts = []
    for name in names:
        found = {loss: figures.values(c, name) for loss, c in group.cells.items()}
        each = ", ".join(
            f"{loss} {_plain(float(v.mean()))}" for loss, v in found.items() if v.size
        )
        parts.append(f"{name}: {each or 'no run has it'}")
    seeds = count(len(evidence.sweep.seeds), "seed")
    return f"Diagnostics of {group.name}, mean over {seeds}. {'; '.join(parts)}."
