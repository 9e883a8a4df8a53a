"""Learning curves on one comparable scale: validation mse, whatever was minimised."""

from markupsafe import Markup

from lossjax.suite.report import figures, markup
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.wording import count

TEMPLATE = """
<p>Mean squared error on a fixed part of the validation images while the final runs
train, so that losses with different units share one axis. Lines are means over seeds,
bands reach from the least to the most; a dotted line that ends in a cross diverged
there.</p>
<div class="figures">
{% for figure in figures %}{{ figure }}{% endfor %}
</div>
"""


def build(evidence: Evidence, album: Album) -> Markup:
    shown = []
    for group in evidence.groups:
        figure = figures.learning(evidence, group)
        if figure is not None:
            shown.append(
                album.add(
                    f"learning-{group.dataset}-{group.model}",
                    figure,
                    _describe(group),
                    f"{group.name}: validation mse while training, log scale.",
                )
            )
    return markup.render(TEMPLATE, figures=shown) if shown else Markup("")


def _describe(group: Group) -> str:
    ends = []
    for loss, cell in group.cells.items():
        steps, values = figures.curves(cell, "validation_mse")
        if steps.size:
            last = values[:, -1]
            kept = last[last == last]
            end = f"{kept.mean():.3g}" if kept.size else "diverged"
            ends.append(f"{loss} {end}")
    return (
        f"Validation mse of {group.name} against the training step, "
        f"{count(len(ends), 'loss')}, at the last step: {', '.join(ends)}."
    )
