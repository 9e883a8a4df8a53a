"""Figures of the diagnostics: panels of single numbers, spectra of residuals."""

import math
import re

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lossjax.suite.report import figures, style
from lossjax.suite.report.evidence import Cell, Evidence, Group

_BAND = re.compile(r"residual_(\d+)")
_COLUMNS, _ROW, _HIGH = 2, 0.13, 0.62  # panels a line; inches a loss; of the rest


def singles(evidence: Evidence) -> list[str]:
    """The diagnostics that are no part of a spectrum."""
    return [name for name in evidence.diagnostics if not _BAND.fullmatch(name)]


def bands(evidence: Evidence) -> list[str]:
    """Those that are, by frequency."""
    return [name for name in evidence.diagnostics if _BAND.fullmatch(name)]


def values(cell: Cell, name: str) -> np.ndarray:
    """A diagnostic of the final runs that finished and have it, (n,)."""
    found = (
        result.metrics.get(f"diag_{name}", math.nan)
        for result in cell.final
        if result.status == "ok"
    )
    return np.array([value for value in found if math.isfinite(value)], float)


def panels(evidence: Evidence, group: Group) -> Figure | None:
    """Every single number of every loss: mean over seeds, from the least to the most.

    None where no run of the group has any.
    """
    names = singles(evidence)
    marks = style.marks(evidence.losses)
    lines = math.ceil(len(names) / _COLUMNS)
    high = max(0.5, _ROW * len(group.cells))
    figure, below = figures.board(lines * (high + _HIGH), entries=len(group.cells))
    total, across = float(figure.get_figheight()), figures.WIDTH / _COLUMNS
    drawn = 0
    for place, name in enumerate(names):
        line, column = divmod(place, _COLUMNS)
        bottom = below + (lines - 1 - line) * (high + _HIGH) + 0.32
        box = (
            (column * across + 0.15) / figures.WIDTH,
            bottom / total,
            (across - 0.3) / figures.WIDTH,
            high / total,
        )
        axes = figure.add_axes(box)
        for row, (loss, cell) in enumerate(group.cells.items()):
            found = values(cell, name)
            if not found.size:
                continue
            drawn += 1
            mark = marks[loss]
            axes.plot([found.min(), found.max()], [row, row], color=mark.colour, lw=1)
            axes.plot(
                found.mean(), row, marker=mark.marker, markersize=5, color=mark.colour
            )
        axes.set_title(name, loc="left", fontsize=9)
        axes.set_yticks([])
        axes.set_ylim(len(group.cells) - 0.4, -0.6)
        axes.xaxis.set_major_locator(MaxNLocator(3))
        _from_zero(axes)
    if not drawn:
        return None
    figures.legend(figure, group, marks)
    return figure


def _from_zero(axes: Axes) -> None:
    """Shares and ratios are read against 0; a panel without any gets 0 to 1."""
    low, high = axes.get_xlim() if axes.lines else (0.0, 1.0)
    axes.set_xlim(-0.03 * high, max(high, 1e-3))


def spectrum(evidence: Evidence, group: Group) -> Figure | None:
    """What of each band's power every loss leaves undrawn; mean over seeds."""
    names = bands(evidence)
    marks = style.marks(evidence.losses)
    figure, axes = figures.canvas(2.0, entries=len(group.cells))
    centres = (np.arange(len(names)) + 0.5) / 8
    drawn = 0
    for loss, cell in group.cells.items():
        found = [values(cell, name) for name in names]
        shown = np.array([each.mean() if each.size else math.nan for each in found])
        if np.isfinite(shown).any():
            drawn += 1
            figures.line(axes, marks[loss], centres, shown)
    if not drawn:
        return None
    axes.axhline(1, color=style.INK, lw=0.8, linestyle=":")
    axes.set_yscale("log")
    figures.plain_log(axes.yaxis, (1, 2, 5))
    axes.set_xticks(centres, [f"{k / 8:g}+" for k in range(len(names))])
    axes.set_xlabel("cycles a pixel, from")
    axes.set_ylabel("residual over target power")
    figures.legend(figure, group, marks)
    return figure
