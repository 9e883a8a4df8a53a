"""Every loss at its worst: the test images it scored worst on, beside the originals."""

from markupsafe import Markup

from lossjax.suite.report import markup
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group, StoredCell
from lossjax.suite.report.sections.gallery import Shown, rows_of
from lossjax.suite.store.results import Result

TEMPLATE = """
<p>The test images that one seed of each loss scored worst on, the worst first: the
originals
above, reconstructions below. Numbers are places among the test images; an image that is
hard for every loss turns up under several.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="worst">
{% for row in group.rows %}
<figure>{{ row.originals }}{{ row.read_outs }}
<figcaption>{{ row.who }}: {{ row.words }}</figcaption></figure>
{% endfor %}
</div>
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    def shown(group: Group, loss: str, cell: StoredCell) -> Shown:
        result = _first(cell)
        if result is None or result.kept is None or result.kept.worst is None:
            return None
        worst = result.kept.worst
        scores = ", ".join(
            f"#{place} ({score:.4g})"
            for place, score in zip(worst.places, worst.scores, strict=True)
        )
        words = f"worst {worst.metric} of seed {result.run.seed}, {scores}"
        count = len(worst.places)
        return result, {
            "words": words,
            "originals": markup.strip(
                worst.originals,
                f"{count} originals of {group.dataset}: {loss} has its {words}",
            ),
            "read_outs": markup.strip(
                worst.read_outs, f"the same {count} test images through {loss}"
            ),
        }

    groups = [{"name": g.name, "rows": rows} for g, rows in rows_of(evidence, shown)]
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def _first(cell: StoredCell) -> Result | None:
    """The first final run that kept its worst images."""
    return next((r for r in cell.final if r.kept and r.kept.worst), None)
