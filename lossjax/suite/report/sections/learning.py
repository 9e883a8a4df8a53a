"""Learning curves on one comparable scale: validation mse, whatever was minimised."""

import math

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from lossjax.suite.report import figures, markup, style, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group, StoredCell

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
        figure = _figure(evidence, group)
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
        steps, values = _curves(cell, "validation_mse")
        if steps.size:
            last = values[:, -1]
            kept = last[last == last]
            end = f"{kept.mean():.3g}" if kept.size else "diverged"
            ends.append(f"{loss} {end}")
    return (
        f"Validation mse of {group.name} against the training step, "
        f"{verdict.count(len(ends), 'loss')}, at the last step: {', '.join(ends)}."
    ).replace("losss", "losses")


def _figure(evidence: Evidence, group: Group) -> Figure | None:
    """Validation mse while training: mean over seeds, band from least to most."""
    marks = style.marks(evidence.losses)
    figure, axes = figures.canvas(2.5, entries=len(group.cells))
    drawn = 0
    for loss, cell in group.cells.items():
        steps, values = _curves(cell, "validation_mse")
        if not steps.size:
            continue
        drawn += 1
        mark = marks[loss]
        whole = np.isfinite(values).all(axis=1)
        if whole.any():
            kept = values[whole]
            axes.fill_between(
                steps,
                kept.min(axis=0),
                kept.max(axis=0),
                color=mark.colour,
                alpha=0.14,
                lw=0,
            )
            figures.line(axes, mark, steps, kept.mean(axis=0))
        for broken in values[~whole]:
            upto = np.flatnonzero(np.isfinite(broken))
            axes.plot(
                steps[upto], broken[upto], color=mark.colour, lw=0.8, linestyle=":"
            )
            if upto.size:
                last = upto[-1]
                axes.plot(steps[last], broken[last], "x", color=mark.colour)
    if not drawn:
        return None
    axes.set_yscale("log")
    figures.plain_log(axes.yaxis, (1, 2, 3, 5, 7))
    axes.set_xlabel("step")
    axes.set_ylabel("validation mse")
    figures.legend(figure, group, marks)
    return figure


def _curves(cell: StoredCell, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps (t,) and the final runs' values (n, t), NaN where a run has none."""
    runs = [r for r in cell.final if r.curve.get("step") and r.curve.get(name)]
    if not runs:
        return np.empty(0), np.empty((0, 0))
    steps = max((r.curve["step"] for r in runs), key=len)
    values = np.full((len(runs), len(steps)), np.nan)
    for row, run in zip(values, runs, strict=True):
        own = [math.nan if v is None else v for v in run.curve[name]]
        row[: len(own)] = own
    return np.array(steps, float), values
