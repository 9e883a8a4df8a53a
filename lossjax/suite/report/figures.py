"""The figures: pure functions from a group to a Figure.

matplotlib is used without pyplot, so nothing is global and no window system is asked
for; an Album writes them, within `style.applied()`.
"""

import math
from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from lossjax.suite.report import style, untuned, verdict
from lossjax.suite.report.evidence import Cell, Evidence, Group
from lossjax.suite.report.imagewise import OverImages
from lossjax.suite.report.style import COLOURS, INK, PAPER, RULE, Mark
from lossjax.suite.statistics import Ranking

_COLUMNS, _LINE = 2, 0.19  # of a legend; the height of a line in inches
WIDTH = 4.2  # inches: the width of a phone, so letters keep their size there


def ranking(
    evidence: Evidence,
    metric: str,
    ranking: Ranking,
    images: Mapping[str, OverImages],
) -> Figure:
    """Every loss's mean and intervals on one metric, the best on top.

    The thick line is over seeds, the thin one below it over test images.
    """
    marks = style.marks(evidence.losses)
    ranked = [s for s in ranking.standings if math.isfinite(s.center)]
    rest = [s for s in ranking.standings if not math.isfinite(s.center)]
    longest = max(len(s.loss) for s in ranking.standings)
    height = 0.24 * len(ranking.standings) + 0.1
    figure, axes = canvas(height, left=0.25 + 0.075 * longest)
    best = ranking.best
    if best is not None and ranking.margin > 0:
        sign = 1 if ranking.direction == "lower" else -1
        axes.axvspan(
            best.center,
            best.center + sign * ranking.margin,
            color=RULE,
            alpha=0.6,
            lw=0,
        )
    for row, standing in enumerate(ranked):
        mark = marks[standing.loss]
        if standing.high > standing.low:
            axes.plot(
                [standing.low, standing.high], [row, row], color=mark.colour, lw=2
            )
        if standing.loss in images:
            second = images[standing.loss].mean
            below = [row + 0.34] * 2
            axes.plot([second.low, second.high], below, color=mark.colour, lw=0.8)
        axes.plot(
            [standing.center],
            [row],
            marker=mark.marker,
            markersize=7,
            color=mark.colour,
            markerfacecolor=mark.colour if standing.best_set else PAPER,
            linestyle="none",
        )
    for row, standing in enumerate(rest, start=len(ranked)):
        count = standing.diverged or standing.failed
        note = f"{standing.relation} on {count} of {ranking.n}" if count else "no score"
        axes.annotate(
            note,
            (0.02, row),
            xycoords=("axes fraction", "data"),
            va="center",
            style="italic",
        )
    axes.set_yticks(range(len(ranking.standings)), [s.loss for s in ranking.standings])
    axes.set_ylim(len(ranking.standings) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    unit = evidence.metrics[metric].get("unit") or ""
    axes.set_xlabel(
        f"{metric}{f' ({unit})' if unit else ''}, {ranking.direction} is better"
    )
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(5))
    return figure


def learning(evidence: Evidence, group: Group) -> Figure | None:
    """Validation mse while training: mean over seeds, band from least to most."""
    marks = style.marks(evidence.losses)
    figure, axes = canvas(2.5, entries=len(group.cells))
    drawn = 0
    for loss, cell in group.cells.items():
        steps, values = curves(cell, "validation_mse")
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
            line(axes, mark, steps, kept.mean(axis=0))
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
    plain_log(axes.yaxis, (1, 2, 3, 5, 7))
    axes.set_xlabel("step")
    axes.set_ylabel("validation mse")
    legend(figure, group, marks)
    return figure


def rates(evidence: Evidence, group: Group) -> Figure | None:
    """The primary metric on validation against the rate, chosen rate ringed."""
    marks = style.marks(evidence.losses)
    metric = evidence.primary
    lower = evidence.metrics[metric]["direction"] == "lower"
    figure, axes = canvas(2.5, entries=len(group.cells))
    lost: list[tuple[float, Mark]] = []
    drawn = 0
    for loss, cell in group.cells.items():
        tried = untuned.curve(evidence, cell, f"val_{metric}")
        if not tried:
            continue
        drawn += 1
        mark = marks[loss]
        fine = [point for point in tried if not point.lost]
        lost += [(point.rate, mark) for point in tried if point.lost]
        for point in fine:
            axes.plot([point.rate] * 2, point.seen, color=mark.colour, lw=0.9)
        if fine:
            x, y = zip(*((p.rate, p.value.center) for p in fine), strict=True)
            line(axes, mark, np.array(x), np.array(y))
        for point in fine:
            if point.rate == cell.plan.learning_rate:
                axes.plot(
                    point.rate,
                    point.value.center,
                    marker="o",
                    markersize=11,
                    markerfacecolor="none",
                    color=mark.colour,
                    linestyle="none",
                )
    if not drawn:
        return None
    for i, (rate, mark) in enumerate(lost):
        axes.plot(
            rate,
            (0.97 if lower else 0.03) + (-0.035 if lower else 0.035) * (i % 6),
            "x",
            color=mark.colour,
            transform=axes.get_xaxis_transform(),
        )
    axes.set_xscale("log")
    plain_log(axes.xaxis, (1, 3))
    axes.set_xlabel("learning rate (log scale)")
    axes.set_ylabel(f"validation {metric}")
    legend(figure, group, marks)
    return figure


def dial(
    evidence: Evidence,
    metric: str,
    ranking: Ranking,
    losses: Mapping[float, str],
    label: str,
    references: Mapping[float, str],
) -> Figure:
    """One metric against one argument of a family; filled points are the best set.

    `losses` maps each value of the argument to its loss, `references` a value to what
    the family is there.
    """
    figure, axes = canvas(1.7, left=0.85)
    colour = COLOURS[0]
    shown = [(x, ranking.of(loss)) for x, loss in losses.items()]
    shown = [(x, standing) for x, standing in shown if math.isfinite(standing.center)]
    lost = [
        x for x, loss in losses.items() if not math.isfinite(ranking.of(loss).center)
    ]
    for x, name in references.items():
        axes.axvline(x, color=INK, lw=0.8, linestyle=":")
        axes.annotate(
            name,
            (x, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(3, -2),
            textcoords="offset points",
            va="top",
            fontsize=8.5,
        )
    values = [x for x, _ in shown]
    low, high = ([getattr(s, end) for _, s in shown] for end in ("low", "high"))
    axes.fill_between(values, low, high, color=colour, alpha=0.16, lw=0)
    axes.plot(values, [s.center for _, s in shown], color=colour)
    for x, standing in shown:
        axes.plot(
            x,
            standing.center,
            "o",
            markersize=5,
            color=colour,
            markerfacecolor=colour if standing.best_set else PAPER,
        )
    for x in lost:
        axes.plot(x, 0.04, "x", color=colour, transform=axes.get_xaxis_transform())
    unit = evidence.metrics[metric].get("unit") or ""
    axes.set_xlabel(label)
    axes.set_ylabel(f"{metric}{f' ({unit})' if unit else ''}")
    return figure


def curves(cell: Cell, name: str) -> tuple[np.ndarray, np.ndarray]:
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


def describe(group: Group, ranking: Ranking, metric: str) -> str:
    """A ranking in one sentence, for those who do not see the figure."""
    scores = ", ".join(
        f"{s.loss} {verdict.measured(s)}"
        if math.isfinite(s.center)
        else f"{s.loss} {s.relation}"
        for s in ranking.standings
    )
    return f"{metric} on the test images of {group.name}, best first: {scores}."


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
    """One loss's line, with its marker at a few of the points."""
    axes.plot(
        x,
        y,
        color=mark.colour,
        marker=mark.marker,
        markersize=5,
        markevery=max(1, len(x) // 8),
    )


def legend(figure: Figure, group: Group, marks: dict[str, Mark]) -> None:
    """Every loss of the group by name, below the axes, in display order."""
    rows = math.ceil(len(group.cells) / _COLUMNS)
    total = float(figure.get_figheight())
    axes = figure.add_axes((0, 0, 1, rows * _LINE / total))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(rows - 0.4, -0.6)
    for place, loss in enumerate(group.cells):
        column, row = divmod(place, rows)
        x = 0.25 + column * (WIDTH - 0.25) / _COLUMNS
        mark = marks[loss]
        axes.plot(
            [x, x + 0.14, x + 0.28],
            [row] * 3,
            color=mark.colour,
            marker=mark.marker,
            markersize=5,
            markevery=[1],
        )
        axes.text(x + 0.36, row, loss, va="center", fontsize=8.5)


def plain_log(axis: matplotlib.axis.Axis, steps: tuple[float, ...]) -> None:
    """These steps of every decade, written out: no powers to decode."""
    axis.set_major_locator(matplotlib.ticker.LogLocator(subs=steps))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())
