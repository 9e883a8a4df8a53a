"""One look for every figure and table: a loss's colour and marker, and its icon.

Both are fixed by the loss's place in the display order of sweep.json, so they agree
between figures, survive a subset and need no second list of losses. Colours are told
apart by colour-blind readers and stand on white and on dark paper alike; the marker
says the same in print.
"""

import dataclasses
import functools
import math
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import matplotlib.style
from markupsafe import Markup
from matplotlib import font_manager

COLOURS = (
    "#0072b2",
    "#d98c00",
    "#009e73",
    "#cc6fa3",
    "#d55e00",
    "#3fa2dd",
    "#808890",
)
Polygon = tuple[tuple[float, float], ...]

# Stand-ins that the page replaces by CSS variables; files keep them as they are.
INK, RULE, PAPER = "#1c2024", "#d9dce1", "#fefefe"
RC: dict[Any, Any] = {
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
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
}


def applied() -> AbstractContextManager[None]:
    """The report's style and no other, whatever the user's matplotlibrc says."""
    _own_font()
    return matplotlib.style.context(["default", RC])


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


def _ring(corners: int, start: float = 90.0, inner: float | None = None) -> Polygon:
    """Corners on the unit circle; with `inner`, a star of as many points."""
    count = corners if inner is None else 2 * corners
    points = []
    for i in range(count):
        radius = 1.0 if inner is None or i % 2 == 0 else inner
        angle = math.radians(start + 360.0 * i / count)
        points.append(
            (round(radius * math.cos(angle), 4), round(radius * math.sin(angle), 4))
        )
    return tuple(points)


def _cross(arm: float, turn: float) -> Polygon:
    """A plus with arms of half-width `arm`, turned by so many degrees."""
    outline = [(-arm, 1), (arm, 1), (arm, arm), (1, arm), (1, -arm), (arm, -arm)]
    outline += [(-x, -y) for x, y in outline]
    cosine, sine = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    return tuple(
        (round(x * cosine - y * sine, 4), round(x * sine + y * cosine, 4))
        for x, y in outline
    )


# Ten shapes and seven colours share no factor: seventy losses stay distinct.
SHAPES: tuple[Polygon, ...] = (
    _ring(24),
    _ring(4, 45.0),
    _ring(3),
    _ring(4),
    _ring(3, 270.0),
    _cross(0.36, 0.0),
    _ring(5, inner=0.45),
    _cross(0.36, 45.0),
    _ring(6),
    _ring(3, 0.0),
)


@dataclasses.dataclass(frozen=True)
class Mark:
    """How one loss is drawn."""

    index: int
    colour: str
    shape: Polygon

    @property
    def outline(self) -> list[tuple[float, float]]:
        """The shape as matplotlib takes a marker."""
        return [*self.shape, self.shape[0]]

    def points(self, x: float, y: float, size: float) -> str:
        """The shape as SVG points around (x, y)."""
        return " ".join(f"{x + size * a:.1f},{y - size * b:.1f}" for a, b in self.shape)

    def symbol(self) -> Markup:
        """The shape, defined once in the page; `use` shows it wherever it is needed."""
        return Markup(
            '<symbol id="mark-{}" viewBox="-6 -6 12 12">'
            '<polygon points="{}" fill="{}"/></symbol>'
        ).format(self.index, self.points(0, 0, 5), self.colour)

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


def marks(losses: tuple[str, ...]) -> dict[str, Mark]:
    """Every loss's mark, by its place in the display order."""
    return {
        loss: Mark(i, COLOURS[i % len(COLOURS)], SHAPES[i % len(SHAPES)])
        for i, loss in enumerate(losses)
    }
