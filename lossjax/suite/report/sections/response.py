"""Response curves: a family of losses as one dial, every metric against it."""

import dataclasses
import math
from collections.abc import Iterator, Mapping

from markupsafe import Markup
from matplotlib.figure import Figure

from lossjax.suite.report import figures, markup, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.markup import Field
from lossjax.suite.report.style import COLOURS, INK, PAPER
from lossjax.suite.statistics import Ranking

TEMPLATE = """
<p>Losses of one family that differ in one argument, scored on test images: mean over
seeds with its 95 % interval. Filled points are tied for best among all losses of the
sweep, crosses have a failed seed.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
{{ group.table }}
<div class="figures">{% for figure in group.figures %}{{ figure }}{% endfor %}</div>
{% endfor %}
"""
FEWEST = 3  # values of the argument that make a curve
# What a family is at some values of its argument, where that has a name.
REFERENCES: Mapping[str, Mapping[float, str]] = {"power": {0.0: "BCE", 1.0: "half-MSE"}}


@dataclasses.dataclass(frozen=True)
class LossAxis:
    """Losses of one family along one argument, in order of its value."""

    family: str
    argument: str
    losses: Mapping[float, str]

    @property
    def label(self) -> str:
        mix = self.family.endswith(")")
        head = f"{self.family[:-1]}, " if mix else f"{self.family}("
        return f"{self.argument} of {head}{self.argument}=...)"

    def optimum(self, ranking: Ranking) -> tuple[float, float, float] | None:
        """The value of best mean; the smallest and the largest value tied for best.

        Among all losses of the sweep; None where none has a mean.
        """
        own = {loss: value for value, loss in self.losses.items()}
        ranked = [s for s in ranking.standings if s.loss in own]
        if not math.isfinite(ranked[0].center):
            return None
        best = own[ranked[0].loss]
        alike = [own[s.loss] for s in ranked if s.best_set] or [best]
        return best, min(alike), max(alike)


def dials(evidence: Evidence) -> Iterator[LossAxis]:
    """Every family with enough losses that differ in one argument only."""
    hypers: Mapping[str, Mapping[str, float]] = evidence.description.get("hypers", {})
    families: dict[str, list[str]] = {}
    for loss in evidence.losses:
        families.setdefault(verdict.family(loss), []).append(loss)
    for family, losses in families.items():
        known = [loss for loss in losses if loss in hypers]
        names = {name for loss in known for name in hypers[loss]}
        varied = [
            n for n in sorted(names) if len({hypers[x].get(n) for x in known}) > 1
        ]
        if len(known) >= FEWEST and len(varied) == 1:
            values = sorted((hypers[loss][varied[0]], loss) for loss in known)
            yield LossAxis(family, varied[0], dict(values))


def build(evidence: Evidence, album: Album) -> Markup:
    groups = []
    for dial in dials(evidence):
        for group in evidence.groups:
            if not group.rankings:
                continue
            groups.append(
                {
                    "name": f"{group.name}: {dial.label}",
                    "table": _table(group, dial),
                    "figures": [
                        _figure(evidence, album, group, dial, metric, ranking)
                        for metric, ranking in group.rankings.items()
                    ],
                }
            )
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def words(dial: LossAxis, ranking: Ranking) -> str:
    """Where the best value is, and which values are tied for best."""
    found = dial.optimum(ranking)
    if found is None:
        return "no value finished every seed"
    best, low, high = found
    at = f"best at {verdict.scanned(best, dial.losses)}"
    if ranking.needed is not None:
        return f"too few seeds ({ranking.n}, need {ranking.needed})"
    if not any(ranking.of(loss).best_set for loss in dial.losses.values()):
        other = ranking.best.loss if ranking.best else ""
        return f"{at}, significantly worse than {other}"
    if low == high:
        return f"{at}, alone"
    return f"{at}; {low:g} to {high:g} tied for best"


def _table(group: Group, dial: LossAxis) -> Markup:
    rows = []
    for metric, ranking in group.rankings.items():
        found = dial.optimum(ranking)
        best = found[0] if found else math.nan
        rows.append(
            [
                Field(verdict.heading(group, metric), metric),
                markup.number(best, 2),
                Field(words(dial, ranking), kind="wrap"),
            ]
        )
    return markup.table(
        f"{group.name}: the best {dial.argument} of {dial.family} by every metric",
        ["metric", Field(f"best {dial.argument}", kind="num"), "in words"],
        rows,
    )


def _figure(
    evidence: Evidence,
    album: Album,
    group: Group,
    dial: LossAxis,
    metric: str,
    ranking: Ranking,
) -> Markup:
    spread = (min(dial.losses), max(dial.losses))
    references = {
        value: name
        for value, name in REFERENCES.get(dial.family, {}).items()
        if spread[0] <= value <= spread[1]
    }
    figure = _plot(evidence, metric, ranking, dial.losses, dial.label, references)
    scores = ", ".join(
        f"{value:g}: {verdict.measured(ranking.of(loss))}"
        if math.isfinite(ranking.of(loss).center)
        else f"{value:g}: {verdict.absent(ranking.of(loss))}"
        for value, loss in dial.losses.items()
    )
    return album.add(
        f"response-{group.dataset}-{group.model}-{dial.family}-{metric}",
        figure,
        f"{metric} of {group.name} against {dial.label}; {scores}.",
        f"{metric}, {ranking.direction} is better: {words(dial, ranking)}.",
    )


def _plot(
    evidence: Evidence,
    metric: str,
    ranking: Ranking,
    losses: Mapping[float, str],
    label: str,
    references: Mapping[float, str],
) -> Figure:
    """One metric against one argument of a family; filled points are tied for best.

    `losses` maps each value of the argument to its loss, `references` a value to what
    the family is there.
    """
    figure, axes = figures.canvas(1.7, left=0.85)
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
