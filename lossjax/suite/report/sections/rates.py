"""Rate-response curves: was every loss given its own best learning rate?"""

import math

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from lossjax.suite.report import figures, markup, style, untuned, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import ArmEvidence, Evidence, Group
from lossjax.suite.report.markup import Field
from lossjax.suite.report.style import Mark
from lossjax.suite.report.untuned import Point
from lossjax.suite.statistics import Interval
from lossjax.suite.wording import count

TEMPLATE = """
<p>Every learning rate is trained with every seed at equal budget, and each seed chooses
one by its own training loss on validation images. Rings mark the rates that were
chosen, the fainter the fewer seeds; a cross is a rate at which a run diverged or
failed; a bar reaches from minimum to maximum over seeds. Small panels: each loss in its
own unit, which cannot be compared across losses. Last panel: the primary metric, which
can.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
{% for line in group.edges %}<p class="note">{{ line }}</p>{% endfor %}
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
    sweep = evidence.sweep
    few = sweep.arms * sweep.tries <= MOST_ROWS
    for group in evidence.groups:
        panels = [
            panel
            for loss, member in group.members
            if (panel := _panel(evidence, loss, member))
        ]
        figure = _figure(evidence, group)
        if not panels or figure is None:
            continue
        metric = evidence.primary
        rows = untuned.rows(evidence, group, metric)
        groups.append(
            {
                "name": group.name,
                "edges": list(verdict.edges(evidence, group)),
                "panels": panels,
                "figure": album.add(
                    f"rates-{group.dataset}-{group.model}",
                    figure,
                    _describe(evidence, group),
                    f"{group.name}: {metric} on validation images, mean over seeds. "
                    "Rings: chosen rates. Crosses at the edge: a run diverged or "
                    f"failed.{_coinciding(evidence, group)}",
                ),
                "common": _common(evidence, rows),
                "untuned": _untuned(evidence, group, rows) if rows else "",
                "every": _every(evidence, group) if few else "",
            }
        )
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def _panel(evidence: Evidence, loss: str, arm: ArmEvidence) -> dict[str, object] | None:
    """The curve of one loss that is trained; `loss` is the arm that it is of."""
    tried = untuned.curve(arm, untuned.OWN_LOSS)
    if not tried:
        return None
    mark = style.marks_of(evidence)[loss]
    lost = [point.rate for point in tried if point.lost]
    words = f"chosen: {verdict.chosen(arm) or 'by no seed'}"
    if mark.note:
        words += f"; {mark.note}, of {loss}"
    if arm.edge is not None:
        words += f"; {arm.edge:g} is at the edge"
    values = ", ".join(
        f"{point.value.center:.4g} at {point.rate:g}"
        for point in tried
        if not point.lost
    )
    alt = f"{arm.loss} on validation against the rate: {values or 'no rate finished'}"
    if lost:
        alt += f"; runs diverged or failed at {', '.join(f'{r:g}' for r in lost)}"
    return {
        "picture": markup.sparkline(mark, tried),
        "who": arm.loss,
        "words": words,
        "alt": f"{alt}; {words}.",
    }


def _common(evidence: Evidence, rows: list[untuned.Tuning]) -> str:
    """What one common rate would have said, in words."""
    if not rows:
        return ""
    rate = rows[0].untuned.rate
    words = (
        f"Without tuning: {rate:g} is the rate of the grid that the losses rank best "
        "on average, each by its own training loss on validation. "
    )
    first = [", ".join(row.loss for row in rows if row.places[i] == 1) for i in (0, 1)]
    lost = [row.loss for row in rows if row.untuned.lost]
    moved = sum(row.places[0] != row.places[1] for row in rows)
    if len(rows) > 1:
        words += (
            f"There the best validation {evidence.primary} is that of {first[0]}; "
            f"with each seed at the rate it chose it is that of {first[1]}, "
            f"and {moved} of {len(rows)} losses change place. "
        )
    if lost:
        words += f"A run diverged or failed there: {', '.join(lost)}. "
    return words + (
        "Both columns are on validation images, which chose the rates; the test scores "
        "above had no part in that."
    )


def _untuned(evidence: Evidence, group: Group, rows: list[untuned.Tuning]) -> Markup:
    marks = style.marks_of(evidence)
    means = [mean for row in rows for mean in (row.untuned.value, row.tuned)]
    places = verdict.places([mean.high - mean.low for mean in means])
    table = [
        [
            markup.name(row.loss, marks[row.loss]),
            _score(row.untuned, places),
            Field(row.places[0], row.places[0], "num"),
            Field(verdict.chosen(group.arms[row.loss])),
            _limits(row.tuned, places),
            Field(row.places[1], row.places[1], "num"),
            _limits(row.gain, places),
        ]
        for row in rows
    ]
    metric, rate = evidence.primary, rows[0].untuned.rate
    heads: list[str | Field] = [
        "loss",
        Field(f"untuned, at {rate:g}", kind="num"),
        Field("place", kind="num"),
        "chosen rates (seeds)",
        *(Field(head, kind="num") for head in ("tuned", "place", "gain of tuning")),
    ]
    return markup.table(
        f"{group.name}: validation {metric} at one common rate and with each seed at "
        f"the rate it chose, mean over {count(rows[0].untuned.n, 'seed')} with its "
        "95 % interval; gain: paired, positive where tuning helped.",
        heads,
        table,
        "dense",
    )


def _every(evidence: Evidence, group: Group) -> Markup:
    """The whole rate-response curve in numbers."""
    marks = style.marks_of(evidence)
    metric = evidence.primary
    table = []
    for loss, arm in group.members:
        own = untuned.curve(arm, untuned.OWN_LOSS)
        scores = untuned.curve(arm, f"val_{metric}")
        places = verdict.places(_widths(own)), verdict.places(_widths(scores))
        for point, score in zip(own, scores, strict=True):
            table.append(
                [
                    markup.name(arm.loss, marks[loss]),
                    Field(f"{point.rate:g}", point.rate, "num"),
                    Field(point.chosen, point.chosen, "num"),
                    Field(point.n, point.n, "num"),
                    Field(point.diverged, point.diverged, "num"),
                    _score(point, places[0]),
                    _score(score, places[1]),
                ]
            )
    heads: list[str | Field] = ["loss"]
    heads += [
        Field(head, kind="num")
        for head in (
            *("rate", "seeds that chose it", "runs", "diverged"),
            *("own loss", f"validation {metric}"),
        )
    ]
    return markup.table(
        f"{group.name}: every learning rate, mean over seeds with its 95 % interval; "
        "own loss: its own training loss on validation images. A rate with a diverged "
        "or failed run has no mean.",
        heads,
        table,
        "dense",
    )


def _widths(points: list[Point]) -> list[float]:
    """What sets the decimal places."""
    return [point.value.high - point.value.low for point in points if not point.lost]


def _score(point: Point, places: int) -> Field:
    if point.lost:
        return Field(f"{point.lost} of {point.n} without", "", "num")
    return _limits(point.value, places)


def _limits(value: Interval, places: int) -> Field:
    if not math.isfinite(value.center):
        return Field("–", "", "num")
    shown = Markup("{}").format(f"{value.center:z.{places}f}")
    if math.isfinite(value.low):
        shown += Markup(' <span class="half">[{}, {}]</span>').format(
            f"{value.low:z.{places}f}", f"{value.high:z.{places}f}"
        )
    return Field(shown, float(f"{value.center:.7g}"), "num")


def _describe(evidence: Evidence, group: Group) -> str:
    parts = []
    for _, arm in group.members:
        for point in untuned.curve(arm, f"val_{evidence.primary}"):
            if point.chosen and not point.lost:
                parts.append(f"{arm.loss} {point.value.center:.4g} at {point.rate:g}")
    return (
        f"Validation {evidence.primary} of {group.name} against the learning rate; "
        f"at the chosen rates: {', '.join(parts) or 'none yet'}."
    )


def _coinciding(evidence: Evidence, group: Group) -> str:
    tried = {
        loss: untuned.curve(arm, f"val_{evidence.primary}")
        for loss, arm in group.members
    }
    centers = {
        loss: [math.nan if p.lost else p.value.center for p in points]
        for loss, points in tried.items()
    }
    return figures.coinciding(centers, "linear")


def _figure(evidence: Evidence, group: Group) -> Figure | None:
    """The primary metric on validation against the rate, chosen rates ringed."""
    marks = style.marks_of(evidence)
    metric = evidence.primary
    lower = evidence.metrics[metric]["direction"] == "lower"
    figure, axes = figures.canvas(2.5, entries=len(group.arms))
    lost: list[tuple[float, Mark]] = []
    drawn = 0
    for loss, arm in group.members:
        tried = untuned.curve(arm, f"val_{metric}")
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
            if point.chosen:
                axes.plot(
                    point.rate,
                    point.value.center,
                    marker="o",
                    markersize=11,
                    markerfacecolor="none",
                    color=mark.colour,
                    alpha=markup.share(point),
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
