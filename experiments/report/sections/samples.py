"""What variational models draw from the prior, the same codes for every loss."""

from markupsafe import Markup

from experiments.report import markup, style
from experiments.report.album import Album
from experiments.report.evidence import Cell, Evidence
from experiments.report.sections.gallery import caveat
from experiments.store import Result

TEMPLATE = """
<p>Read-outs of codes drawn from the prior, one seed of each loss, the same codes for
all. A read-out is the mean of a pixel, not a draw of it.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="gallery">
{% for row in group.rows %}
<div class="row"><div class="who">{{ row.who }}</div><div>{{ row.strip }}</div></div>
{% endfor %}
</div>
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    marks = style.marks(evidence.losses)
    groups = []
    for group in evidence.groups:
        rows = []
        for loss, cell in group.cells.items():
            result = drawn(cell)
            if result is None or result.drawn is None:
                continue
            images = result.drawn.samples
            alt = f"{len(images)} samples of {group.name} trained with {loss}"
            who = Markup("{}<code>{}</code>{}").format(
                marks[loss].icon(), loss, caveat(result)
            )
            rows.append({"who": who, "strip": markup.strip(images, alt)})
        if rows:
            groups.append({"name": group.name, "rows": rows})
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def drawn(cell: Cell) -> Result | None:
    """The first final run that kept what it drew."""
    return next((r for r in cell.final if r.drawn is not None), None)
