"""The tables as files: what each of them holds."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import pandas as pd

from lossjax.suite import statistics
from lossjax.suite.report import forms, verdict
from lossjax.suite.report.album import slug
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.forms import number
from lossjax.suite.report.imagewise import OverImages, over_images
from lossjax.suite.report.tables_of_rates import tuned
from lossjax.suite.report.tables_of_verdicts import judged
from lossjax.suite.statistics import Ranking, Standing
from lossjax.suite.store.results import Result

RUN_COLUMNS = (
    "dataset",
    "model",
    "loss",
    "learning_rate",
    "seed",
    "stage",
    "status",
    "diverged_step",
)
IDENTITY = RUN_COLUMNS.index("status")  # how many of them tell one run from another


def run_values(result: Result) -> list[Any]:
    """A run's cells under RUN_COLUMNS."""
    run = result.run
    return [
        run.dataset,
        run.model,
        run.loss,
        run.learning_rate,
        run.seed,
        run.stage,
        result.status,
        result.diverged_step,
    ]


def rows(evidence: Evidence) -> str:
    """rows.csv: one line a stored run of the grid, full precision."""
    names = [f"{split}_{m}" for split in ("val", "test") for m in evidence.metrics]
    names += [f"diag_{name}" for name in evidence.diagnostics]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*RUN_COLUMNS, *names])
    for result in evidence.results():
        scores = (number(result.metrics.get(name, math.nan)) for name in names)
        writer.writerow([*run_values(result), *scores])
    return buffer.getvalue()


def write(evidence: Evidence, directory: Path) -> None:
    """Every table, in every form."""
    directory.mkdir(parents=True, exist_ok=True)
    used: list[str] = []
    for group in evidence.groups:
        name = slug(f"comparison-{group.dataset}-{group.model}")
        while name in used:
            name += "_"
        used.append(name)
        forms.write(
            directory / name, comparison(evidence, group), _comparison_csv(group)
        )
        if matrix := regret(group):
            stem = directory / name.replace("comparison", "regret", 1)
            forms.write(stem, *matrix)
    ranked = [
        _ranking_row(group, metric, place, ranking, standing)
        + _image_columns(images.get(standing.loss))
        for group in evidence.groups
        for metric, ranking in group.rankings.items()
        for images in (over_images(evidence, group, metric, ranking),)
        for place, standing in enumerate(ranking.standings, start=1)
    ]
    forms.write_long(directory / "ranking", RANKING_COLUMNS, ranked)
    for title, columns, lines in (*judged(evidence), *tuned(evidence)):
        forms.write_long(directory / title, columns, lines)


def comparison(evidence: Evidence, group: Group) -> pd.DataFrame:
    """Losses by metrics, `mean ± half interval`; the best set of each in bold."""
    order = [s.loss for s in _by_primary(group)]
    table: dict[str, list[str]] = {"loss": order}
    for metric, ranking in group.rankings.items():
        places = verdict.decimals(ranking.standings)
        table[f"{metric} {verdict.arrow(ranking)}"] = [
            _score(ranking.of(loss), places) for loss in order
        ]
    return pd.DataFrame(table, dtype=object)


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


def _comparison_csv(group: Group) -> pd.DataFrame:
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


def regret(group: Group) -> tuple[pd.DataFrame, pd.DataFrame] | None:
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


RANKING_COLUMNS = (
    "dataset",
    "model",
    "metric",
    "direction",
    "place",
    "loss",
    "center",
    "low",
    "high",
    "n",
    "diverged",
    "failed",
    "best_set",
    "relation",
    "behind",
    "behind_low",
    "behind_high",
    "margin",
    "p_holm",
    "effect",
    "images_low",
    "images_high",
    "behind_images_low",
    "behind_images_high",
)


def _ranking_row(
    group: Group, metric: str, place: int, ranking: Ranking, standing: Standing
) -> list[Any]:
    behind = standing.behind
    gap = (behind.center, behind.low, behind.high) if behind else (math.nan,) * 3
    return [
        group.dataset,
        group.model,
        metric,
        ranking.direction,
        place,
        standing.loss,
        number(standing.center),
        number(standing.low),
        number(standing.high),
        standing.n,
        standing.diverged,
        standing.failed,
        standing.best_set,
        standing.relation,
        *(number(value) for value in gap),
        number(ranking.margin),
        number(standing.p),
        number(standing.effect),
    ]


def _image_columns(images: OverImages | None) -> list[Any]:
    """The intervals over test images, empty where there are none."""
    if images is None:
        return [""] * 4
    intervals = (images.mean, images.behind)
    return [
        number(value)
        for own in intervals
        for value in ((own.low, own.high) if own else (math.nan, math.nan))
    ]
