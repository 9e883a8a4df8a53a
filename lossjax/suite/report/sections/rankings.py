"""Rankings with intervals: the primary metric as a figure, every metric as tables."""

import functools
import math
from collections.abc import Mapping

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lossjax.suite.report import columns, figures, markup, recipes, style, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.imagewise import OverImages, over_images
from lossjax.suite.report.markup import Field
from lossjax.suite.report.style import PAPER, RULE
from lossjax.suite.statistics import Interval, Ranking, Standing
from lossjax.suite.wording import listed

TEMPLATE = """
<p>Test images, mean over seeds with its 95 % interval; each seed at the learning rate
it chose. Bold, shaded and filled: tied for best by the paired test (sign-flip,
Holm-adjusted), not by overlapping intervals. A loss with a failed seed, none of
whose learning rates survived, is listed last, without a mean: a mean over the survivors
would reward failing. {{ covers }}</p>
{% if images %}
<p>A second interval, the thin line under each mark, is over test images with the seeds
held as they are: what another draw of as many images might give. It takes images as
drawn independently; crops of one photograph are not, and then it is too narrow. Metrics
of the code have none.</p>
{% endif %}
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="figures">{{ group.figure }}</div>
{{ group.table }}
{% for metric, details in group.details %}
<details><summary>{{ metric }} in full</summary>{{ details }}</details>
{% endfor %}
{% if group.derived %}
<details><summary>Derived metrics in full</summary>{{ group.derived }}</details>
{% endif %}
{% if group.commands %}
<details><summary>Commands of one loss</summary>{{ group.commands }}</details>
{% endif %}
{% for metric in group.unscored %}
<p class="note">{{ metric }} is not scored: no run of {{ group.name }} carries it
(metrics of the code need labelled images).</p>
{% endfor %}
{% endfor %}
"""
MOST_COMMANDS = 100  # beyond, Provenance has the form; the page stays below 8 MB


def build(evidence: Evidence, album: Album) -> Markup:
    groups = []
    second = False
    few = evidence.sweep.arms <= MOST_COMMANDS
    for group in evidence.groups:
        if not group.rankings:
            continue
        images = {
            metric: over_images(evidence, group, metric, ranking)
            for metric, ranking in group.rankings.items()
        }
        second = second or any(images.values())
        figure = Markup("")
        if ranking := group.rankings.get(evidence.primary):
            figure = album.add(
                f"ranking-{group.dataset}-{group.model}",
                figure_of(
                    evidence, evidence.primary, ranking, images[evidence.primary]
                ),
                _describe(group, ranking, evidence.primary),
                f"{group.name}: {evidence.primary} on test images. Filled marks are "
                "tied for best; the grey band is the margin of practical equivalence.",
            )
        full = {
            metric: _full(evidence, group, metric, ranking, images[metric])
            for metric, ranking in group.rankings.items()
        }
        groups.append(
            {
                "name": group.name,
                "figure": figure,
                "table": columns.folded(
                    group, group.rankings, functools.partial(_wide, evidence, group)
                ),
                "details": [
                    (metric, table)
                    for metric, table in full.items()
                    if metric not in group.derived
                ],
                "derived": Markup("").join(
                    table for metric, table in full.items() if metric in group.derived
                ),
                "unscored": group.unscored,
                "commands": _commands(evidence, group) if few else "",
            }
        )
    if not groups:
        return Markup("")
    return markup.render(TEMPLATE, groups=groups, images=second, covers=verdict.COVERS)


def _commands(evidence: Evidence, group: Group) -> Markup:
    """What trains the runs of one loss again, at every learning rate."""
    lines = Markup("")
    for arm in group.arms.values():
        for loss, rates in arm.arm.rates.items():
            axes = recipes.setting(evidence, group) | {"losses": [loss]}
            if set(rates) != set(evidence.sweep.learning_rates):
                axes["learning_rates"] = list(rates)
            line = recipes.copied(recipes.sweep(evidence, **axes))
            lines += Markup("<p><code>{}</code></p>{}").format(loss, line)
    return lines


def _wide(evidence: Evidence, group: Group, metrics: list[str]) -> Markup:
    """Every loss by these metrics."""
    marks = style.marks_of(evidence)
    first = group.rankings.get(group.primary, next(iter(group.rankings.values())))
    shown = {metric: group.rankings[metric] for metric in metrics}
    places = {metric: verdict.decimals(r.standings) for metric, r in shown.items()}
    rows = []
    for standing in first.standings:
        row = [markup.name(standing.loss, marks[standing.loss])]
        for metric, ranking in shown.items():
            own = ranking.of(standing.loss)
            if not math.isfinite(own.center):
                row.append(Field(verdict.absent(own), "", "num"))
                continue
            kind = "num best" if own.best_set else "num"
            row.append(markup.mean(own, places[metric], kind))
        rows.append(row)
    heads = [Field("loss"), *(columns.head(evidence, group, m) for m in metrics)]
    return markup.table(
        f"{group.name}: {listed(metrics)}; means on test images. {verdict.BOLD}",
        heads,
        rows,
        "dense",
        1 + metrics.index(group.primary) if group.primary in metrics else None,
    )


def _full(
    evidence: Evidence,
    group: Group,
    metric: str,
    ranking: Ranking,
    images: dict[str, OverImages],
) -> Markup:
    """One metric with everything that its ranking rests on."""
    marks = style.marks_of(evidence)
    places = verdict.decimals(ranking.standings)
    lows = [s.low for s in ranking.standings if math.isfinite(s.low)]
    highs = [s.high for s in ranking.standings if math.isfinite(s.high)]
    span = (min(lows), max(highs)) if lows else (0.0, 1.0)
    rows = []
    for standing in ranking.standings:
        mark = marks[standing.loss]
        behind = standing.behind
        glyph = (
            markup.forest(mark, standing.low, standing.center, standing.high, span)
            if math.isfinite(standing.low)
            else Markup("")
        )
        own = images.get(standing.loss)
        kind = "num best" if standing.best_set else "num"
        rows.append(
            [
                markup.name(standing.loss, mark),
                _limits(standing, places, kind),
                Field(glyph),
                *([_ends(own.mean if own else None, places)] if images else []),
                _limits(behind, places),
                *([_ends(own.behind if own else None, places)] if images else []),
                _effect(standing.effect),
                markup.number(standing.p, 4),
                Field(standing.word, standing.word),
                _seeds(standing),
            ]
        )
    heads: list[str | Field] = [
        "loss",
        columns.head(evidence, group, metric),
        "",
        *([Field("95 % over images", kind="num")] if images else []),
        Field("behind", kind="num"),
        *([Field("behind, over images", kind="num")] if images else []),
        *(Field(name, kind="num") for name in ("effect", "p (Holm)")),
        "word",
        Field("seeds", kind="num"),
    ]
    margin = f"{ranking.margin:.2g}" if math.isfinite(ranking.margin) else "–"
    return markup.table(
        f"{group.name}, {metric}, {ranking.direction} is better; margin {margin}. "
        "Seeds: those with a result; failed: those without; diverged: runs, at any "
        "learning rate. Behind: mean paired difference to the best, 95 % interval. "
        "Effect: that difference in its own standard deviations. p: of being behind by "
        f"no more than the margin. {verdict.BOLD}",
        heads,
        rows,
        "dense",
        1,
    )


def _limits(value: Interval | Standing | None, places: int, kind: str = "num") -> Field:
    """A mean, and its 95 % interval over seeds below it."""
    if value is None or not math.isfinite(value.center):
        return markup.number(math.nan, 0)
    shown = Markup("{}").format(f"{value.center:.{places}f}")
    if math.isfinite(value.low):
        shown += Markup(' <span class="half">{}</span>').format(
            f"[{value.low:.{places}f}, {value.high:.{places}f}]"
        )
    return Field(shown, value.center, kind)


def _effect(value: float) -> Field:
    """Where differences hardly vary, its many digits say nothing."""
    return Field(">999", value, "num") if value > 999 else markup.number(value, 1)


def _seeds(standing: Standing) -> Field:
    counts = {"failed": standing.lost, "diverged": standing.diverged}
    gone = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    shown = Markup('{} <span class="half">{}</span>').format(standing.n, gone)
    return Field(shown if gone else standing.n, standing.n, "num")


def _ends(interval: Interval | None, places: int) -> Field:
    if interval is None or not math.isfinite(interval.low):
        return Field("–", "", "num")
    shown = Markup('{} <span class="half">to {}</span>').format(
        f"{interval.low:.{places}f}", f"{interval.high:.{places}f}"
    )
    return Field(shown, float(f"{interval.low:.7g}"), "num")


def figure_of(
    evidence: Evidence,
    metric: str,
    ranking: Ranking,
    images: Mapping[str, OverImages],
) -> Figure:
    """Every loss's mean and intervals on one metric, the best on top.

    The thick line is over seeds, the thin one below it over test images.
    """
    marks = style.marks_of(evidence)
    ranked = [s for s in ranking.standings if math.isfinite(s.center)]
    rest = [s for s in ranking.standings if not math.isfinite(s.center)]
    longest = max(len(s.loss) for s in ranking.standings)
    height = 0.24 * len(ranking.standings) + 0.1
    figure, axes = figures.canvas(height, left=0.25 + 0.075 * longest)
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
        axes.annotate(
            verdict.absent(standing),
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
    axes.xaxis.set_major_locator(MaxNLocator(5))
    return figure


def _describe(group: Group, ranking: Ranking, metric: str) -> str:
    """A ranking in one sentence, for those who do not see the figure."""
    scores = ", ".join(
        f"{s.loss} {verdict.measured(s)}"
        if math.isfinite(s.center)
        else f"{s.loss} {verdict.absent(s)}"
        for s in ranking.standings
    )
    return f"{metric} on the test images of {group.name}, best first: {scores}."
