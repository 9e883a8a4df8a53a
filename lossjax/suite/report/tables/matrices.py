"""The tables of losses by metrics: the comparison, and how far behind the best."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from lossjax.suite.report import verdict
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.tables.forms import number
from lossjax.suite.statistics import NOTHING, Interval, Standing

Table = tuple[pd.DataFrame, pd.DataFrame]  # as shown, and in full precision


@dataclasses.dataclass(frozen=True)
class Distances:
    """How far every loss is behind the best by one metric, positive = worse."""

    unit: str  # "%" of the best mean, or the metric's own
    gaps: Mapping[str, Interval]  # by loss; NaN where it has no mean
    absent: Mapping[str, str]  # why it has none

    def words(self, loss: str) -> tuple[str, str]:
        """The distance and its limits, to the digits that the intervals support."""
        gap = self.gaps[loss]
        if not math.isfinite(gap.center):
            return self.absent[loss], ""
        places = verdict.places([g.high - g.low for g in self.gaps.values()])
        if self.unit == "%":
            places = min(places, 1)
        value = f"{gap.center:z.{places}f}"
        if gap.low == gap.high or not math.isfinite(gap.low):
            return value, ""
        return value, f"[{gap.low:z.{places}f}, {gap.high:z.{places}f}]"


def comparison(group: Group) -> Table:
    """Losses by metrics, `mean ± half interval`; those tied for best in bold."""
    order = [s.loss for s in by_primary(group)]
    table = {"loss": [verdict.marked(group, loss) for loss in order]}
    for metric, ranking in group.rankings.items():
        places = verdict.decimals(ranking.standings)
        table[verdict.heading(group, metric)] = [
            _score(ranking.of(loss), places) for loss in order
        ]
    return pd.DataFrame(table, dtype=object), _exact(group)


def noted(group: Group, *losses: str) -> dict[str, str]:
    """A column of its own where some loss has a dial; none elsewhere."""
    if not any(arm.arm.tuned for arm in group.arms.values()):
        return {}
    notes = (verdict.chosen_by(group, loss) for loss in losses)
    return {"dial": next(filter(None, notes), "")}


def by_primary(group: Group) -> tuple[Standing, ...]:
    """The standings by the metric that is named first."""
    ranking = group.rankings.get(group.primary)
    if ranking is None:
        ranking = next(iter(group.rankings.values()), None)
    return ranking.standings if ranking else ()


def _score(standing: Standing, places: int) -> str:
    if not math.isfinite(standing.center):
        return verdict.absent(standing)
    text = f"{standing.center:.{places}f}"
    if math.isfinite(standing.low):
        text += f" ± {(standing.high - standing.low) / 2:.{places}f}"
    return f"**{text}**" if standing.best_set else text


def _exact(group: Group) -> pd.DataFrame:
    lines = []
    for standing in by_primary(group):
        line: dict[str, Any] = {"loss": standing.loss, **noted(group, standing.loss)}
        for metric, ranking in group.rankings.items():
            own = ranking.of(standing.loss)
            line |= {
                f"{metric}_center": number(own.center),
                f"{metric}_low": number(own.low),
                f"{metric}_high": number(own.high),
                f"{metric}_word": own.word,
            }
        lines.append(line)
    return pd.DataFrame(lines, dtype=object)


def distances(evidence: Evidence, group: Group) -> dict[str, Distances]:
    """By metric, in the order of the rankings; the best is 0 behind itself."""
    return {metric: _distances(evidence, group, metric) for metric in group.rankings}


def _distances(evidence: Evidence, group: Group, metric: str) -> Distances:
    ranking, row = group.rankings[metric], evidence.metrics[metric]
    best = ranking.best.center if ranking.best else math.nan
    relative = bool(row["margin"]["relative"]) and best != 0
    scale = 100 / abs(best) if relative else 1.0
    gaps, absent = {}, {}
    for standing in ranking.standings:
        if standing is ranking.best:
            gap = Interval(0.0, 0.0, 0.0)
        else:
            gap = standing.behind or NOTHING
        ends = (gap.center * scale, gap.low * scale, gap.high * scale)
        gaps[standing.loss] = Interval(*ends)
        absent[standing.loss] = verdict.absent(standing)
    return Distances("%" if relative else row["unit"], gaps, absent)


def behind(evidence: Evidence, group: Group) -> Table | None:
    """Trained with the row, scored by the column: as shown, and exact, one a line."""
    if len(group.arms) < 2 or not group.rankings:
        return None
    columns = distances(evidence, group)
    order = [s.loss for s in by_primary(group)]
    shown = {"trained with": [verdict.marked(group, loss) for loss in order]}
    exact: list[dict[str, Any]] = []
    for metric, column in columns.items():
        lines = []
        for loss in order:
            standing, gap = group.rankings[metric].of(loss), column.gaps[loss]
            own = metric in verdict.trained_on(loss)
            text = " ".join(filter(None, column.words(loss)))
            text = f"**{text}**" if standing.best_set else text
            lines.append(f"{text} (trained on it)" if own else text)
            exact.append(
                {
                    "trained_with": loss,
                    **noted(group, loss),
                    "scored_by": metric,
                    "derived_from": group.derived.get(metric, ""),
                    "trained_on_it": own,
                    "behind": number(gap.center),
                    "low": number(gap.low),
                    "high": number(gap.high),
                    "unit": column.unit,
                    "word": standing.word,
                }
            )
        shown[verdict.heading(group, metric, column.unit)] = lines
    return pd.DataFrame(shown, dtype=object), pd.DataFrame(exact, dtype=object)
