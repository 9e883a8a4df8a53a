"""Rankings with intervals: the primary metric as a figure, every metric as tables."""

import math
from collections.abc import Mapping

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lossjax.suite.report import figures, markup, recipes, style, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.imagewise import OverImages, over_images
from lossjax.suite.report.markup import Field
from lossjax.suite.report.style import PAPER, RULE
from lossjax.suite.statistics import Interval, Ranking

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
        groups.append(
            {
                "name": group.name,
                "figure": figure,
                "table": _wide(evidence, group),
                "details": [
                    (metric, _full(evidence, group, metric, ranking, images[metric]))
                    for metric, ranking in group.rankings.items()
                ],
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


def _wide(evidence: Evidence, group: Group) -> Markup:
    """Every loss by every metric."""
    marks = style.marks_of(evidence)
    first = group.rankings.get(group.primary, next(iter(group.rankings.values())))
    places = {
        metric: verdict.decimals(ranking.standings)
        for metric, ranking in group.rankings.items()
    }
    rows = []
    for standing in first.standings:
        row = [markup.name(standing.loss, marks[standing.loss])]
        for metric, ranking in group.rankings.items():
            own = ranking.of(standing.loss)
            if not math.isfinite(own.center):
                row.append(Field(verdict.absent(own), "", "num"))
                continue
            kind = "num best" if own.best_set else "num"
            row.append(markup.mean(own, places[metric], kind))
        rows.append(row)
    heads = [Field("loss")] + [
        Field(verdict.heading(group, metric), kind="num") for metric in group.rankings
    ]
    return markup.table(
        f"{group.name}: every metric on test images; ↓ lower is better, ↑ higher is "
        f"better. {verdict.BOLD}",
        heads,
        rows,
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
        gap: Field = markup.number(math.nan, 0)
        if behind is not None:
            words = f"{behind.center:.{places}f}"
            if math.isfinite(behind.low):
                words += f" [{behind.low:.{places}f}, {behind.high:.{places}f}]"
            gap = Field(words, behind.center, "num")
        own = images.get(standing.loss)
        kind = "num best" if standing.best_set else "num"
        rows.append(
            [
                markup.name(standing.loss, mark),
                Field(
                    markup.number(standing.center, places).shown, standing.center, kind
                )
                if math.isfinite(standing.center)
                else markup.number(math.nan, 0),
                _limits(Interval(standing.center, standing.low, standing.high), places),
                Field(glyph),
                *([_limits(own.mean if own else None, places)] if images else []),
                Field(standing.n, standing.n, "num"),
                Field(standing.lost, standing.lost, "num"),
                Field(standing.diverged, standing.diverged, "num"),
                gap,
                *([_limits(own.behind if own else None, places)] if images else []),
                markup.number(standing.effect, 1),
                markup.number(standing.p, 4),
                Field(standing.word, standing.word),
            ]
        )
    heads: list[str | Field] = [
        "loss",
        *(Field(name, kind="num") for name in ("mean", "95 % over seeds")),
        "",
        *([Field("95 % over images", kind="num")] if images else []),
        *(
            Field(name, kind="num")
            for name in ("n", "failed seeds", "diverged", "behind")
        ),
        *([Field("behind, over images", kind="num")] if images else []),
        *(Field(name, kind="num") for name in ("effect", "p (Holm)")),
        "word",
    ]
    margin = f"{ranking.margin:.2g}" if math.isfinite(ranking.margin) else "–"
    return markup.table(
        f"{group.name}, {metric}, {ranking.direction} is better; margin {margin}. "
        "n: seeds with a result; failed seeds: those without; diverged: runs, at any "
        "learning rate. Behind: mean paired difference to the best, 95 % interval. "
        "Effect: that difference in its own standard deviations. p: of being behind by "
        f"no more than the margin. {verdict.BOLD}",
        heads,
        rows,
    )


def _limits(interval: Interval | None, places: int) -> Field:
    if interval is None or not math.isfinite(interval.low):
        return Field("–", "", "num")
    shown = f"{interval.low:.{places}f} to {interval.high:.{places}f}"
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
