"""One style for every figure and table: how a loss is marked, and its icon.

A loss looks the same in every report, see lossjax.suite.report.looks; what else a study
draws is marked by its place.
"""

import dataclasses
import functools
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib import font_manager
from matplotlib.markers import MarkerStyle
from matplotlib.transforms import Affine2D

from lossjax.suite import protocol
from lossjax.suite.report import verdict
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.looks import LOOKS, look
from lossjax.syntax import dial_of

COLOURS = (
    "#0072b2",
    "#d98c00",
    "#009e73",
    "#cc6fa3",
    "#d55e00",
    "#3fa2dd",
    "#808890",
)

# Stand-ins that the page replaces by CSS variables; files keep them as they are.
INK, RULE, PAPER = "#1c2024", "#d9dce1", "#fefefe"
RC: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": RULE,
    "axes.facecolor": PAPER,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": 9.5,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.facecolor": PAPER,
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same bytes everywhere
    "font.size": 9,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 6,
    "savefig.dpi": 160,
    "svg.fonttype": "path",
    "svg.hashsalt": "lossjax",
    "text.color": INK,
    "text.parse_math": False,  # a name with dollars is a name
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
}


def applied(more: Mapping[str, Any] = RC) -> AbstractContextManager[None]:
    """matplotlib's defaults with the report's style, or another, and no user's.

    Not by `matplotlib.style`, which reads every file of the user's own styles.
    """
    _own_font()
    default: dict[Any, Any] = dict(matplotlib.rcParamsDefault)
    del default["backend"]  # a figure is written by the canvas of its file's format
    return matplotlib.rc_context(default | dict(more))


@functools.cache
def _own_font() -> None:
    """Draw with the font that ships with matplotlib, not with the system's.

    Both are DejaVu Sans; glyph numbers, and with them the bytes of a figure, differ.
    """
    family, manager = RC["font.family"], font_manager.fontManager
    manager.ttflist = [font for font in manager.ttflist if font.name != family]
    folder = Path(matplotlib.get_data_path(), "fonts", "ttf")
    for file in sorted(folder.glob(f"{family.replace(' ', '')}*.ttf")):
        manager.addfont(file)


# Ten shapes and seven colours share no factor: seventy series stay distinct.
MARKERS = ("o", "s", "^", "D", "v", "P", "*", "X", "h", "<")


@dataclasses.dataclass(frozen=True)
class Mark:
    """How one loss, or one series of a study, is drawn."""

    index: int
    colour: str
    marker: str  # as matplotlib names it
    line: str = "-"
    note: str = ""  # beside its name in every table

    def symbol(self) -> Markup:
        """The shape, defined once in the page; `use` shows it wherever it is needed."""
        marker = MarkerStyle(self.marker)
        # The widest, a square on its corner, is 1.42 across; y points down.
        scaled = marker.get_transform() + Affine2D().scale(8.4, -8.4)
        corners = np.vstack(marker.get_path().to_polygons(scaled))[:-1]
        points = " ".join(f"{x:z.1f},{y:z.1f}" for x, y in corners)
        return Markup(
            '<symbol id="mark-{}" viewBox="-6 -6 12 12">'
            '<polygon points="{}" fill="{}"/></symbol>'
        ).format(self.index, points, self.colour)

    def use(self, x: float, y: float, size: float) -> Markup:
        """The shape inside a picture, around (x, y)."""
        return Markup(
            '<use href="#mark-{}" x="{:.1f}" y="{:.1f}" width="{:g}" height="{:g}"/>'
        ).format(self.index, x - size, y - size, 2 * size, 2 * size)

    def icon(self) -> Markup:
        """The shape beside a loss's name in the page; the name says what it is."""
        return Markup(
            '<svg class="icon" aria-hidden="true"><use href="#mark-{}"/></svg>'
        ).format(self.index)


def marks_of(evidence: Evidence) -> dict[str, Mark]:
    """The marks of a report's losses.

    One with a dial says by which metric, the primary one, it was chosen.
    """
    return {
        loss: Mark(
            i,
            *look(loss),
            protocol.chosen_by(evidence.primary) if dial_of(loss)[1] else "",
        )
        for i, loss in enumerate(evidence.losses)
    }


def marks(series: tuple[str, ...]) -> dict[str, Mark]:
    """The marks of what a study draws: of losses those of every report, else by place.

    What is no loss are targets, laws, forms.
    """
    losses = all(verdict.family(name) in LOOKS for name in series)
    return {
        name: Mark(i, *look(name))
        if losses
        else Mark(i, COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
        for i, name in enumerate(series)
    }
