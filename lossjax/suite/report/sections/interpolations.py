"""From one test image to another through the code, on a straight line of means."""

from markupsafe import Markup

from lossjax.suite.report import markup
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group, StoredCell
from lossjax.suite.report.sections.gallery import Shown, rows_of
from lossjax.suite.report.sections.samples import drawn

TEMPLATE = """
<p>Read-outs along the straight line between the mean codes of two test images, one seed
of each loss, the same pairs for all.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="gallery">
{% for row in group.rows %}
<div class="row"><div class="who">{{ row.who }}</div>
<div>{% for strip in row.strips %}{{ strip }}<br>{% endfor %}</div></div>
{% endfor %}
</div>
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    def shown(group: Group, loss: str, cell: StoredCell) -> Shown:
        if (found := drawn(cell)) is None:
            return None
        strips = [
            markup.strip(
                pair, f"{len(pair)} steps between two test images through {loss}"
            )
            for pair in found[1].interpolations
        ]
        return found[0], {"strips": strips}

    groups = [{"name": g.name, "rows": rows} for g, rows in rows_of(evidence, shown)]
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")
