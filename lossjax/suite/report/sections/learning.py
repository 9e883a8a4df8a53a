"""Learning curves on one comparable scale: validation mse, whatever was minimised."""

import math

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from lossjax.suite.report import figures, markup, style
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import ArmEvidence, Evidence, Group, Seed
from lossjax.suite.store.results import Result
from lossjax.suite.wording import count

TEMPLATE = """
<p>Mean squared error on a fixed part of the validation images during training, so that
losses with different units share one axis; each seed at the learning rate it chose.
Lines are means over seeds, bands reach from minimum to maximum. A dotted line that ends
in a cross is a failed seed: the run of it that lasted longest.</p>
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
                    f"{group.name}: validation mse while training, log scale."
                    + figures.coinciding(_means(group), "log"),
                )
            )
    return markup.render(TEMPLATE, figures=shown) if shown else Markup("")


def _means(group: Group) -> dict[str, np.ndarray]:
    """The lines of the figure, by loss."""
    curves = {
        loss: _curves(arm, "validation_mse")[1] for loss, arm in group.arms.items()
    }
    whole = {loss: v[np.isfinite(v).all(axis=1)] for loss, v in curves.items()}
    return {loss: values.mean(axis=0) for loss, values in whole.items() if values.size}


def _describe(group: Group) -> str:
    ends = []
    for loss, arm in group.arms.items():
        steps, values = _curves(arm, "validation_mse")
        if steps.size:
            last = values[:, -1]
            kept = last[last == last]
            end = f"{kept.mean():.3g}" if kept.size else "diverged"
            ends.append(f"{loss} {end}")
    return (
        f"Validation mse of {group.name} against the training step, "
        f"{count(len(ends), 'loss')}, at the last step: {', '.join(ends)}."
    )


def _figure(evidence: Evidence, group: Group) -> Figure | None:
    """Validation mse while training: mean over seeds, band from minimum to maximum."""
    marks = style.marks_of(evidence)
    figure, axes = figures.canvas(2.5, entries=len(group.arms))
    drawn = 0
    for loss, arm in group.arms.items():
        steps, values = _curves(arm, "validation_mse")
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


def _curves(arm: ArmEvidence, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps (t,) and the values of each seed's run (n, t), NaN where it has none."""
    curves = [
        (run.curve["step"], run.curve[name])
        for seed in arm.seeds
        if (run := _shown(seed)) and run.curve.get("step") and run.curve.get(name)
    ]
    if not curves:
        return np.empty(0), np.empty((0, 0))
    steps = max((steps for steps, _ in curves), key=len)
    values = np.full((len(curves), len(steps)), np.nan)
    for row, (_, run_values) in zip(values, curves, strict=True):
        known = [math.nan if v is None else v for v in run_values]
        row[: len(known)] = known
    return np.array(steps, float), values


def _shown(seed: Seed) -> Result | None:
    """The run that counts; of a lost seed the one that lasted longest."""
    if seed.chosen is not None:
        return seed.chosen
    gone = [r for r in seed.results if r.status == "diverged"]
    return max(gone, key=lambda r: r.diverged_step or 0, default=None)
