"""Diagnostics: what the trained networks' gradients, codes and residuals look like."""

import math
import re

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lossjax.suite.report import figures, markup, style
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import ArmEvidence, Evidence, Group
from lossjax.suite.report.markup import Field
from lossjax.suite.wording import count

TEMPLATE = """
<p>Measured once on every run after its last step, on validation images (the gradient
ratio: on training batches); they explain a result, rank nothing and are in rows.csv as
<code>diag_</code> columns. Points are means over seeds, each at the learning rate it
chose; bars reach from minimum to maximum.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="figures">{% for figure in group.figures %}{{ figure }}{% endfor %}</div>
{{ group.tables | join }}
{% endfor %}
<dl class="facts">
{% for name, row in notes.items() %}
<dt><code>{{ name }}</code> ({{ row.unit }})</dt><dd>{{ row.note }}</dd>
{% endfor %}
</dl>
"""
_BAND = re.compile(r"residual_(\d+)")
_COLUMNS, _ROW, _HIGH = 2, 0.14, 0.62  # panels a line; inches a loss; of the rest


def build(evidence: Evidence, album: Album) -> Markup:
    groups = []
    for group in evidence.groups:
        panels = _panels(evidence, group)
        if panels is None:
            continue
        shown = [
            album.add(
                f"diagnostics-{group.dataset}-{group.model}",
                panels,
                _describe(evidence, group, _singles(evidence)),
                f"{group.name}: diagnostics, each in its own unit.",
            )
        ]
        spectrum = _spectrum(evidence, group)
        if spectrum is not None:
            shown.append(
                album.add(
                    f"residual-{group.dataset}-{group.model}",
                    spectrum,
                    _describe(evidence, group, _bands(evidence)),
                    f"{group.name}: power of the residual over that of the target, by "
                    "radial frequency; at the dotted line nothing of it is drawn."
                    + figures.coinciding(_means(evidence, group), "log"),
                )
            )
        groups.append(
            {
                "name": group.name,
                "figures": shown,
                "tables": [
                    _table(evidence, group, names, what)
                    for names, what in (
                        (_singles(evidence), "diagnostics"),
                        (_bands(evidence), "residual over target power by frequency"),
                    )
                    if names
                ],
            }
        )
    if not groups:
        return Markup("")
    return markup.render(TEMPLATE, groups=groups, notes=evidence.diagnostics)


def _table(evidence: Evidence, group: Group, names: list[str], what: str) -> Markup:
    marks = style.marks_of(evidence)
    rows = [
        [markup.name(loss, marks[loss])] + [_field(arm, name) for name in names]
        for loss, arm in group.arms.items()
    ]
    heads: list[str | Field] = ["loss"]
    heads += [Field(markup.breakable(name), kind="num") for name in names]
    return markup.table(
        f"{group.name}: {what}; mean over seeds, each at the learning rate it chose; "
        "in brackets how many have a value, where not all do.",
        heads,
        rows,
        "dense",
    )


def _field(arm: ArmEvidence, name: str) -> Field:
    found = _values(arm, name)
    if not found.size:
        return Field("–", "", "num")
    mean = float(found.mean())
    short = "" if len(found) == len(arm.seeds) else f" ({len(found)})"
    return Field(f"{_plain(mean)}{short}", float(f"{mean:.7g}"), "num")


def _plain(value: float) -> str:
    """Three digits without a power of ten."""
    if value == 0:
        return "0"
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{min(places, 5)}f}"


def _describe(evidence: Evidence, group: Group, names: list[str]) -> str:
    parts = []
    for name in names:
        found = {loss: _values(c, name) for loss, c in group.arms.items()}
        each = ", ".join(
            f"{loss} {_plain(float(v.mean()))}" for loss, v in found.items() if v.size
        )
        parts.append(f"{name}: {each or 'no run has it'}")
    seeds = count(len(evidence.sweep.seeds), "seed")
    return f"Diagnostics of {group.name}, mean over {seeds}. {'; '.join(parts)}."


def _singles(evidence: Evidence) -> list[str]:
    """The diagnostics that are no part of a spectrum."""
    return [name for name in evidence.diagnostics if not _BAND.fullmatch(name)]


def _bands(evidence: Evidence) -> list[str]:
    """Those that are, by frequency."""
    return [name for name in evidence.diagnostics if _BAND.fullmatch(name)]


def _values(arm: ArmEvidence, name: str) -> np.ndarray:
    """A diagnostic of the chosen runs that have it, (n,)."""
    found = (result.metrics.get(f"diag_{name}", math.nan) for result in arm.chosen)
    return np.array([value for value in found if math.isfinite(value)], float)


def _panels(evidence: Evidence, group: Group) -> Figure | None:
    """Every single number of every loss: mean over seeds, from minimum to maximum.

    A panel's title is the number's name, its lines are the losses, named on the left.
    None where no run of the group has any.
    """
    names = _singles(evidence)
    marks = style.marks_of(evidence)
    lines = math.ceil(len(names) / _COLUMNS)
    high = max(0.5, _ROW * len(group.arms))
    figure = Figure(figsize=(figures.WIDTH, max(1, lines) * (high + _HIGH)))
    total = float(figure.get_figheight())
    shown = [figures.short(loss) for loss in group.arms]
    left = min(1.6, 0.2 + 0.068 * max(len(name) for name, _ in shown))
    across = (figures.WIDTH - left) / _COLUMNS
    drawn = 0
    for place, name in enumerate(names):
        line, column = divmod(place, _COLUMNS)
        bottom = (lines - 1 - line) * (high + _HIGH) + 0.32
        box = (
            (left + column * across) / figures.WIDTH,
            bottom / total,
            (across - 0.15) / figures.WIDTH,
            high / total,
        )
        axes = figure.add_axes(box)
        for row, (loss, arm) in enumerate(group.arms.items()):
            found = _values(arm, name)
            if not found.size:
                continue
            drawn += 1
            mark = marks[loss]
            axes.plot([found.min(), found.max()], [row, row], color=mark.colour, lw=1)
            axes.plot(
                found.mean(), row, marker=mark.marker, markersize=5, color=mark.colour
            )
        if not axes.lines:
            middle = axes.transAxes
            axes.text(
                0.5, 0.5, "no run has one", fontsize=7.5, ha="center", transform=middle
            )
        axes.set_title(name, loc="left", fontsize=9)
        axes.set_yticks(range(len(shown)), ["" if column else n for n, _ in shown])
        for label, (_, size) in zip(axes.get_yticklabels(), shown, strict=True):
            label.set_fontsize(min(size, 7.5))
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(len(group.arms) - 0.4, -0.6)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        _from_zero(axes)
    return figure if drawn else None


def _from_zero(axes: Axes) -> None:
    """Shares and ratios are read against 0; a panel without any gets 0 to 1."""
    low, high = axes.get_xlim() if axes.lines else (0.0, 1.0)
    axes.set_xlim(-0.03 * high, max(high, 1e-3))


def _means(evidence: Evidence, group: Group) -> dict[str, np.ndarray]:
    """The lines of the spectrum, by loss."""
    found = {
        loss: [_values(arm, name) for name in _bands(evidence)]
        for loss, arm in group.arms.items()
    }
    return {
        loss: np.array([each.mean() if each.size else math.nan for each in values])
        for loss, values in found.items()
    }


def _spectrum(evidence: Evidence, group: Group) -> Figure | None:
    """What of each band's power every loss leaves undrawn; mean over seeds."""
    names = _bands(evidence)
    marks = style.marks_of(evidence)
    figure, axes = figures.canvas(2.0, entries=len(group.arms))
    centres = (np.arange(len(names)) + 0.5) / 8
    drawn = 0
    for loss, shown in _means(evidence, group).items():
        if np.isfinite(shown).any():
            drawn += 1
            figures.line(axes, marks[loss], centres, shown)
    if not drawn:
        return None
    axes.axhline(1, color=style.INK, lw=0.8, linestyle=":")
    axes.set_yscale("log")
    figures.plain_log(axes.yaxis, (1, 2, 5))
    axes.set_xticks(centres, [f"{k / 8:g}+" for k in range(len(names))])
    axes.set_xlabel("cycles per pixel, from")
    axes.set_ylabel("residual over target power")
    figures.legend(figure, group, marks)
    return figure
