"""Would more training change the answer? Every loss against the training steps."""

import math
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lossjax.suite.report import columns, convergence, figures, markup, style, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.markup import Field
from lossjax.suite.statistics import Standing

TEMPLATE = """
<p>The same comparison at several numbers of training steps, each seed choosing its
learning rate anew. A result is settled where the same losses are tied for best with
half of the steps and no significant difference is reversed; it is not known where half
of the steps was not trained. Bars are 95 % intervals over seeds; filled marks are tied
for best.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="figures">{{ group.figure }}</div>
{{ group.table }}
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    alike: dict[tuple[str, str, int], list[Group]] = {}
    for group in evidence.groups:
        if group.rankings:
            alike.setdefault(group.setting[:3], []).append(group)
    groups: list[dict[str, Any]] = []
    for settings in alike.values():
        if len(settings) < 2:
            continue
        settings.sort(key=lambda group: group.setting[3])
        name = _name(evidence, settings[0])
        figure = _figure(evidence, settings)
        groups.append(
            {
                "name": name,
                "figure": album.add(
                    f"budgets-{name}",
                    figure,
                    _describe(evidence, settings, name),
                    f"{name}: {evidence.primary} on test images against the training "
                    "steps; a loss with a failed seed has no mean.",
                )
                if figure is not None
                else "",
                "table": _table(evidence, settings, name),
            }
        )
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def _name(evidence: Evidence, group: Group) -> str:
    dataset, model, latent_dim, _ = group.setting
    several = len(evidence.sweep.code_sizes) > 1
    return f"{dataset} / {model}" + (f"[latent_dim={latent_dim}]" if several else "")


def _table(evidence: Evidence, settings: list[Group], name: str) -> Markup:
    metrics = list(settings[-1].rankings)
    rows = []
    for group in settings:
        half = evidence.half(group)
        steps = group.setting[3]
        row = [
            Field(f"{steps:,}", steps, "num"),
            Field(convergence.settled(evidence, group)),
        ]
        for metric in metrics:
            change = None
            if half is not None and metric in group.rankings:
                change = convergence.change_of(half, group, metric)
            shown = "–" if change is None else f"{100 * change:+z.1f} %"
            row.append(Field(shown, "" if change is None else change, "num"))
        rows.append(row)
    heads = [Field("steps", kind="num"), Field("result")] + [
        columns.head(evidence, settings[-1], metric) for metric in metrics
    ]
    return markup.table(
        f"{name}: whether the result is settled, and how the best mean of each metric "
        "changes from half of the steps to all of them.",
        heads,
        rows,
    )


def _standings(evidence: Evidence, settings: list[Group]) -> dict[str, list[Standing]]:
    """By loss, at every number of steps: where it stands on the primary metric."""
    return {
        loss: [
            group.rankings[evidence.primary].of(loss)
            for group in settings
            if evidence.primary in group.rankings
        ]
        for loss in settings[0].arms
    }


def _describe(evidence: Evidence, settings: list[Group], name: str) -> str:
    steps = [group.setting[3] for group in settings]
    lines = []
    for loss, standings in _standings(evidence, settings).items():
        shown = (
            verdict.measured(s) if math.isfinite(s.center) else verdict.absent(s)
            for s in standings
        )
        lines.append(f"{loss} {', '.join(shown)}")
    return (
        f"{evidence.primary} of {name} after {', '.join(map(str, steps))} steps: "
        f"{'; '.join(lines)}."
    )


def _figure(evidence: Evidence, settings: list[Group]) -> Figure | None:
    """The primary metric of every loss against the training steps."""
    if any(evidence.primary not in group.rankings for group in settings):
        return None
    marks = style.marks_of(evidence)
    figure, axes = figures.canvas(2.5, entries=len(settings[0].arms))
    steps = np.array([group.setting[3] for group in settings], float)
    for loss, standings in _standings(evidence, settings).items():
        mark = marks[loss]
        axes.plot(steps, [s.center for s in standings], mark.line, color=mark.colour)
        for x, standing in zip(steps, standings, strict=True):
            if not math.isfinite(standing.center):
                continue
            if standing.high > standing.low:
                limits = [standing.low, standing.high]
                axes.plot([x, x], limits, color=mark.colour, lw=0.9)
            axes.plot(
                x,
                standing.center,
                marker=mark.marker,
                markersize=6,
                color=mark.colour,
                markerfacecolor=mark.colour if standing.best_set else style.PAPER,
            )
    axes.set_xscale("log")
    axes.set_xticks(steps, [f"{int(x):,}" for x in steps])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.set_xlabel("training steps (log scale)")
    axes.set_ylabel(f"test {evidence.primary}")
    figures.legend(figure, settings[0], marks)
    return figure
