"""What variational models draw from the prior, the same codes for every loss."""

from markupsafe import Markup

from lossjax.suite.report import markup
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group, StoredCell
from lossjax.suite.report.sections.gallery import Shown, rows_of
from lossjax.suite.store.results import Result
from lossjax.suite.store.test_images import Drawn

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
    def shown(group: Group, loss: str, cell: StoredCell) -> Shown:
        if (found := drawn(cell)) is None:
            return None
        result, images = found[0], found[1].samples
        alt = f"{len(images)} samples of {group.name} trained with {loss}"
        return result, {"strip": markup.strip(images, alt)}

    groups = [{"name": g.name, "rows": rows} for g, rows in rows_of(evidence, shown)]
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def drawn(cell: StoredCell) -> tuple[Result, Drawn] | None:
    """The first final run that kept what it drew, and that."""
    return next(((r, r.drawn) for r in cell.final if r.drawn is not None), None)
