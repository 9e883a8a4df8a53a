"""From one test image to another through the code, on a straight line of means."""

import numpy as np
from markupsafe import Markup

from experiments.report import markup, style
from experiments.report.album import Album
from experiments.report.evidence import Evidence
from experiments.report.sections.gallery import caveat
from experiments.report.sections.samples import drawn

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
    marks = style.marks(evidence.losses)
    groups = []
    for group in evidence.groups:
        rows = []
        for loss, cell in group.cells.items():
            result = drawn(cell)
            if result is None or result.drawn is None:
                continue
            pairs: np.ndarray = result.drawn.interpolations
            strips = [
                markup.strip(
                    pair, f"{len(pair)} steps between two test images through {loss}"
                )
                for pair in pairs
            ]
            who = Markup("{}<code>{}</code>{}").format(
                marks[loss].icon(), loss, caveat(result)
            )
            rows.append({"who": who, "strips": strips})
        if rows:
            groups.append({"name": group.name, "rows": rows})
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")
