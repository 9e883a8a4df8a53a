"""Every loss at its worst: the test images it scored worst on, beside the originals."""

from markupsafe import Markup

from experiments.report import markup, style
from experiments.report.album import Album
from experiments.report.evidence import Cell, Evidence
from experiments.report.sections.gallery import caveat
from experiments.store import Result

TEMPLATE = """
<p>The test images that one seed of each loss scored worst on, the worst first: the
originals
above, reconstructions below. Numbers are places among the test images; an image that is
hard for every loss turns up under several.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="worst">
{% for loss in group.losses %}
<figure>{{ loss.originals }}{{ loss.read_outs }}
<figcaption>{{ loss.who }}: {{ loss.words }}</figcaption></figure>
{% endfor %}
</div>
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    marks = style.marks(evidence.losses)
    groups = []
    for group in evidence.groups:
        losses = []
        for loss, cell in group.cells.items():
            result = _first(cell)
            if result is None or result.kept is None or result.kept.worst is None:
                continue
            worst = result.kept.worst
            scores = ", ".join(
                f"#{place} ({score:.4g})"
                for place, score in zip(worst.places, worst.scores, strict=True)
            )
            words = f"worst {worst.metric} of seed {result.run.seed}, {scores}"
            count = len(worst.places)
            losses.append(
                {
                    "who": Markup("{}<code>{}</code>{}").format(
                        marks[loss].icon(), loss, caveat(result)
                    ),
                    "words": words,
                    "originals": markup.strip(
                        worst.originals,
                        f"{count} originals of {group.dataset}: {loss} has its {words}",
                    ),
                    "read_outs": markup.strip(
                        worst.read_outs, f"the same {count} test images through {loss}"
                    ),
                }
            )
        if losses:
            groups.append({"name": group.name, "losses": losses})
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def _first(cell: Cell) -> Result | None:
    """The first final run that kept its worst images."""
    return next((r for r in cell.final if r.kept and r.kept.worst), None)
