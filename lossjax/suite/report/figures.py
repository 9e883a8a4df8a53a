"""What figures are drawn on and with.

matplotlib is used without pyplot, so nothing is global and no window system is asked
for; each section draws its own, and an Album writes them, within `style.applied()`.
"""

import math
import re
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from lossjax.suite.report.evidence import Group
from lossjax.suite.report.style import Mark
from lossjax.suite.wording import listed
from lossjax.syntax import dial_of

_LETTERS = 22  # of a name that fit a column of a legend
_COLUMNS, _LINE = 2, 0.19  # of a legend; the height of a line in inches
_LINE_WIDTH = 0.006  # of a line, as a share of what the curves span
WIDTH = 4.2  # inches: the width of a phone, so letters keep their size there


def canvas(
    height: float, *, left: float = 0.75, entries: int = 0
) -> tuple[Figure, Axes]:
    """Axes of so many inches of height above room for a legend of so many entries.

    Margins are set by hand: matplotlib's layout engine costs a third of the report.
    """
    figure, legends = board(height + 0.6, entries=entries)
    total = float(figure.get_figheight())
    left = min(left, 0.6 * WIDTH)
    below = 0.5 + legends
    box = (left / WIDTH, below / total, 1 - (left + 0.15) / WIDTH, height / total)
    return figure, figure.add_axes(box)


def board(height: float, *, entries: int) -> tuple[Figure, float]:
    """A figure with so many inches above a legend, and how high the legend is."""
    legends = _LINE * math.ceil(entries / _COLUMNS) + (0.1 if entries else 0)
    return Figure(figsize=(WIDTH, height + legends)), legends


def line(axes: Axes, mark: Mark, x: np.ndarray, y: np.ndarray) -> None:
    """One loss's line, with its marker at a few of the points.

    Of lines that lie on one another each shows: the broken ones are on top, and the
    markers of neighbours are at other points.
    """
    step = max(1, len(x) // 8)
    axes.plot(
        x,
        y,
        color=mark.colour,
        linestyle=mark.line,
        zorder=2 + 0.1 * (mark.line != "-"),
        marker=mark.marker,
        markersize=5,
        markevery=(mark.index % step, step),
    )


def coinciding(curves: Mapping[str, Sequence[float] | np.ndarray], scale: str) -> str:
    """Says which curves of a figure lie on one another; empty where none do.

    Args:
      curves: values at the same places, by loss.
      scale: "log" or "linear", of the axis.
    """
    drawn = {loss: np.asarray(values, float) for loss, values in curves.items()}
    if scale == "log":
        with np.errstate(divide="ignore", invalid="ignore"):
            drawn = {loss: np.log(values) for loss, values in drawn.items()}
    drawn = {k: v for k, v in drawn.items() if v.size and np.isfinite(v).all()}
    if len(drawn) < 2:
        return ""
    every = np.concatenate(list(drawn.values()))
    width = _LINE_WIDTH * float(np.ptp(every))
    groups: list[list[str]] = []
    for loss, values in drawn.items():
        for group in groups:
            first = drawn[group[0]]
            if first.shape == values.shape and np.abs(first - values).max() <= width:
                group.append(loss)
                break
        else:
            groups.append([loss])
    together = "; ".join(listed(group) for group in groups if len(group) > 1)
    return f" These lie on one another: {together}." if together else ""


def legend(figure: Figure, group: Group, marks: dict[str, Mark]) -> None:
    """Every loss of the group by name, below the axes, in display order."""
    rows = math.ceil(len(group.arms) / _COLUMNS)
    total = float(figure.get_figheight())
    axes = figure.add_axes((0, 0, 1, rows * _LINE / total))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(rows - 0.4, -0.6)
    for place, loss in enumerate(group.arms):
        column, row = divmod(place, rows)
        x = 0.25 + column * (WIDTH - 0.25) / _COLUMNS
        mark = marks[loss]
        axes.plot(
            [x, x + 0.14, x + 0.28],
            [row] * 3,
            color=mark.colour,
            linestyle=mark.line,
            marker=mark.marker,
            markersize=5,
            markevery=[1],
        )
        shown, size = short(loss)
        axes.text(x + 0.36, row, shown, va="center", fontsize=size)


def short(loss: str) -> tuple[str, float]:
    """A loss's name where there is little room, and the size of its letters."""
    shown, size = loss, 8.5
    if dial_of(loss)[1]:  # its values stand in the tables
        shown = re.sub(r"=tune\(.*?\)", "=tune", loss)
        size *= min(1, _LETTERS / len(shown))
    return shown, size


def plain_log(axis: matplotlib.axis.Axis, steps: tuple[float, ...]) -> None:
    """These steps of every decade, written out: no powers to decode."""
    axis.set_major_locator(matplotlib.ticker.LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
