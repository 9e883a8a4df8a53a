"""The tables of losses by metrics: the comparison, and the regret matrix."""

import math
from typing import Any

import pandas as pd

from lossjax.suite import statistics
from lossjax.suite.report import verdict
from lossjax.suite.report.evidence import Group
from lossjax.suite.report.tables.forms import number
from lossjax.suite.statistics import Standing

Table = tuple[pd.DataFrame, pd.DataFrame]  # as shown, and in full precision


def comparison(group: Group) -> Table:
    """Losses by metrics, `mean ± half interval`; the best set of each in bold."""
    order = [s.loss for s in _by_primary(group)]
    table: dict[str, list[str]] = {"loss": order}
    for metric, ranking in group.rankings.items():
        places = verdict.decimals(ranking.standings)
        table[f"{metric} {verdict.arrow(ranking)}"] = [
            _score(ranking.of(loss), places) for loss in order
        ]
    return pd.DataFrame(table, dtype=object), _exact(group)


def _by_primary(group: Group) -> tuple[Standing, ...]:
    ranking = group.rankings.get(group.primary)
    if ranking is None:
        ranking = next(iter(group.rankings.values()), None)
    return ranking.standings if ranking else ()


def _score(standing: Standing, places: int) -> str:
    if not math.isfinite(standing.center):
        return standing.relation
    text = f"{standing.center:.{places}f}"
    if math.isfinite(standing.low):
        text += f" ± {(standing.high - standing.low) / 2:.{places}f}"
    return f"**{text}**" if standing.best_set else text


def _exact(group: Group) -> pd.DataFrame:
    lines = []
    for standing in _by_primary(group):
        line: dict[str, Any] = {"loss": standing.loss}
        for metric, ranking in group.rankings.items():
            own = ranking.of(standing.loss)
            line |= {
                f"{metric}_center": number(own.center),
                f"{metric}_low": number(own.low),
                f"{metric}_high": number(own.high),
                f"{metric}_best_set": own.best_set,
            }
        lines.append(line)
    return pd.DataFrame(lines, dtype=object)


def regret(group: Group) -> Table | None:
    """Trained with the row, scored by the column: as shown, and exact, one a line."""
    matrix = statistics.regrets(group.shared)
    if len(matrix) < 2:
        return None
    shown: list[dict[str, str]] = []
    exact: list[dict[str, Any]] = []
    for loss, row in matrix.items():
        line = {"trained with": loss}
        for metric, cell in row.items():
            text = f"{cell.center:z.2f}"
            if math.isfinite(cell.low) and cell.high > cell.low:
                text += f" [{cell.low:z.2f}, {cell.high:z.2f}]"
            own = verdict.family(loss) == metric
            line[metric] = f"**{text}**" if own else text
            exact.append(
                {
                    "trained_with": loss,
                    "scored_by": metric,
                    "own": own,
                    "regret": number(cell.center),
                    "low": number(cell.low),
                    "high": number(cell.high),
                }
            )
        shown.append(line)
    return pd.DataFrame(shown, dtype=object), pd.DataFrame(exact, dtype=object)
