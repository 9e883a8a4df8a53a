"""Rate-response curves: was every loss given its own best learning rate?"""

import math

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from lossjax.suite.report import figures, markup, style, untuned, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group, StoredCell
from lossjax.suite.report.markup import Field
from lossjax.suite.report.style import Mark
from lossjax.suite.report.untuned import Point
from lossjax.suite.statistics import Interval
from lossjax.suite.wording import count

TEMPLATE = """
<p>Every learning rate is tried on the tuning seeds at equal budget; a ring marks the
one chosen by the loss's own value on validation images, a cross a rate at which a run
was lost, a bar reaches from the least seed to the most. Small panels: each loss in its
own unit, which cannot be compared across losses. Last panel: the primary metric, which
can.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="multiples">
{% for panel in group.panels %}
<figure><div role="img" aria-label="{{ panel.alt }}">{{ panel.picture }}</div>
<figcaption><b>{{ panel.who }}</b><br>{{ panel.words }}</figcaption></figure>
{% endfor %}
</div>
<div class="figures">{{ group.figure }}</div>
{% if group.untuned %}
<p>{{ group.common }}</p>
{{ group.untuned }}
{% endif %}
{% if group.every %}
<details><summary>Every rate of every loss</summary>{{ group.every }}</details>
{% else %}
<p>Every rate of every loss is in tables/rate-response.csv: too many for a page.</p>
{% endif %}
{% endfor %}
"""
MOST_ROWS = 1000  # of the whole curve in numbers; the page stays below 8 MB


def build(evidence: Evidence, album: Album) -> Markup:
    groups = []
    tried = sum(len(cell.plan.learning_rates) for _, cell in evidence.cells())
    few = tried <= MOST_ROWS
    for group in evidence.groups:
        panels = [p for p in (_panel(evidence, c) for c in group.cells.values()) if p]
        figure = _figure(evidence, group)
        if not panels or figure is None:
            continue
        metric = evidence.primary
        rows = untuned.rows(evidence, group, metric)
        groups.append(
            {
                "name": group.name,
                "panels": panels,
                "figure": album.add(
                    f"rates-{group.dataset}-{group.model}",
                    figure,
                    _describe(evidence, group),
                    f"{group.name}: {metric} on validation images, mean over tuning "
                    "seeds. Rings: chosen rates. Crosses at the edge: runs were lost.",
                ),
                "common": _common(evidence, group, rows),
                "untuned": _untuned(evidence, group, rows) if rows else "",
                "every": _every(evidence, group) if few else "",
            }
        )
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def _panel(evidence: Evidence, cell: StoredCell) -> dict[str, object] | None:
    tried = untuned.curve(evidence, cell, "validation_loss")
    if not tried:
        return None
    mark = style.marks(evidence.losses)[cell.loss]
    lost = [point.rate for point in tried if point.lost]
    chosen = cell.plan.learning_rate
    words = "not chosen yet" if chosen is None else f"chose {chosen:g}"
    if chosen is not None and cell.plan.edge:
        words += ", at the edge"
    values = ", ".join(
        f"{point.value.center:.4g} at {point.rate:g}"
        for point in tried
        if not point.lost
    )
    alt = f"{cell.loss} on validation against the rate: {values or 'no rate finished'}"
    if lost:
        alt += f"; runs lost at {', '.join(f'{rate:g}' for rate in lost)}"
    return {
        "picture": markup.sparkline(mark, tried, chosen),
        "who": cell.loss,
        "words": words,
        "alt": f"{alt}; {words}.",
    }


def _common(evidence: Evidence, group: Group, rows: list[untuned.Row]) -> str:
    """What one common rate would have said, in words."""
    if not rows:
        return ""
    rate = rows[0].untuned.rate
    words = (
        f"Had nobody tuned: {rate:g} is the rate of the grid that the losses rank best "
        "on average, each by its own value on validation images. "
    )
    first = [", ".join(row.loss for row in rows if row.places[i] == 1) for i in (0, 1)]
    lost = [row.loss for row in rows if row.untuned.lost]
    moved = sum(row.places[0] != row.places[1] for row in rows)
    if len(rows) > 1:
        words += (
            f"There the best validation {evidence.primary} is that of {first[0]}; "
            f"with each loss at its own rate it is that of {first[1]}"
        )
        words += f", and {moved} of {len(rows)} losses change place. "
    if lost:
        words += f"Lost on a seed there: {', '.join(lost)}. "
    return words + (
        "Both columns are means over the tuning seeds; the test scores above are of "
        "fresh ones."
    )


def _untuned(evidence: Evidence, group: Group, rows: list[untuned.Row]) -> Markup:
    marks = style.marks(evidence.losses)
    points = [point for row in rows for point in (row.untuned, row.tuned)]
    places = verdict.places(_widths(points))
    table = []
    for row in rows:
        edge = " (edge)" if group.cells[row.loss].plan.edge else ""
        table.append(
            [
                markup.name(row.loss, marks[row.loss]),
                _score(row.untuned, places),
                Field(row.places[0], row.places[0], "num"),
                Field(f"{row.tuned.rate:g}{edge}", row.tuned.rate, "num"),
                _score(row.tuned, places),
                Field(row.places[1], row.places[1], "num"),
                _limits(row.gain, places),
            ]
        )
    metric, rate = evidence.primary, rows[0].untuned.rate
    heads: list[str | Field] = ["loss"] + [
        Field(head, kind="num")
        for head in (
            f"untuned, at {rate:g}",
            "place",
            "own rate",
            "tuned",
            "place",
            "gain of tuning",
        )
    ]
    return markup.table(
        f"{group.name}: validation {metric} at one common rate and at each loss's own, "
        f"mean over {count(rows[0].untuned.n, 'tuning seed')} with its 95 % "
        "interval; gain: paired, positive where tuning helped.",
        heads,
        table,
    )


def _every(evidence: Evidence, group: Group) -> Markup:
    """The whole rate-response curve in numbers."""
    marks = style.marks(evidence.losses)
    metric = evidence.primary
    table = []
    for loss, cell in group.cells.items():
        own = untuned.curve(evidence, cell, "validation_loss")
        scores = untuned.curve(evidence, cell, f"val_{metric}")
        places = verdict.places(_widths(own)), verdict.places(_widths(scores))
        for point, score in zip(own, scores, strict=True):
            notes = ["chosen"] if point.rate == cell.plan.learning_rate else []
            notes += ["extension of the grid"] if point.extension else []
            table.append(
                [
                    markup.name(loss, marks[loss]),
                    Field(f"{point.rate:g}", point.rate, "num"),
                    Field(", ".join(notes)),
                    Field(point.n, point.n, "num"),
                    Field(point.diverged, point.diverged, "num"),
                    _score(point, places[0]),
                    _score(score, places[1]),
                ]
            )
    heads: list[str | Field] = ["loss", Field("rate", kind="num"), ""]
    heads += [
        Field(head, kind="num")
        for head in ("n", "diverged", "own value", f"validation {metric}")
    ]
    return markup.table(
        f"{group.name}: every rate tried, mean over tuning seeds with its 95 % "
        "interval (Student's t: wide with two seeds); own value: the loss itself on "
        "validation images. A rate with a lost run has no mean.",
        heads,
        table,
    )


def _widths(points: list[Point]) -> list[float]:
    """What sets the decimal places: how far seeds differ, not the t interval of two."""
    return [point.seen[1] - point.seen[0] for point in points if not point.lost]


def _score(point: Point, places: int) -> Field:
    if point.lost:
        return Field(f"{point.lost} of {point.n} lost", "", "num")
    return _limits(point.value, places)


def _limits(value: Interval, places: int) -> Field:
    if not math.isfinite(value.center):
        return Field("–", "", "num")
    shown = Markup("{}").format(f"{value.center:.{places}f}")
    if math.isfinite(value.low):
        shown += Markup(' <span class="half">[{}, {}]</span>').format(
            f"{value.low:.{places}f}", f"{value.high:.{places}f}"
        )
    return Field(shown, float(f"{value.center:.7g}"), "num")


def _describe(evidence: Evidence, group: Group) -> str:
    parts = []
    for loss, cell in group.cells.items():
        for point in untuned.curve(evidence, cell, f"val_{evidence.primary}"):
            if point.rate == cell.plan.learning_rate and not point.lost:
                parts.append(f"{loss} {point.value.center:.4g} at {point.rate:g}")
    return (
        f"Validation {evidence.primary} of {group.name} against the learning rate; "
        f"at the chosen rates: {', '.join(parts) or 'none yet'}."
    )


def _figure(evidence: Evidence, group: Group) -> Figure | None:
    """The primary metric on validation against the rate, chosen rate ringed."""
    marks = style.marks(evidence.losses)
    metric = evidence.primary
    lower = evidence.metrics[metric]["direction"] == "lower"
    figure, axes = figures.canvas(2.5, entries=len(group.cells))
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
            figures.line(axes, mark, np.array(x), np.array(y))
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
    figures.plain_log(axes.xaxis, (1, 3))
    axes.set_xlabel("learning rate (log scale)")
    axes.set_ylabel(f"validation {metric}")
    figures.legend(figure, group, marks)
    return figure
