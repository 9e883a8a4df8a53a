"""Where each loss puts the test images: mean codes on two axes, labels as digits."""

from markupsafe import Markup

from lossjax.suite.report import figures_of_codes, markup
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.sections.samples import drawn

TEMPLATE = """
<p>Mean codes of test images on their two principal axes (the code itself where it has
two units), one seed of each loss. Each panel has its own scale, from -1 to 1 at least;
where images are labelled, each is drawn as its label. A collapsed code is a dot.</p>
{% for name, figure in groups %}
<h3>{{ name }}</h3>
<div class="figures">{{ figure }}</div>
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    groups = []
    for group in evidence.groups:
        maps = {
            loss: found[1]
            for loss, cell in group.cells.items()
            if (found := drawn(cell)) is not None
        }
        if not maps:
            continue
        figure = album.add(
            f"map-{group.dataset}-{group.model}",
            figures_of_codes.maps(maps),
            f"Codes of test images of {group.name} in two dimensions, a panel for each "
            f"of {', '.join(maps)}.",
        )
        groups.append((group.name, figure))
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")
