"""The tables as files: Markdown to paste, LaTeX (booktabs) to print, CSV to compute."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import pandas as pd

from experiments import statistics, store
from experiments.report import verdict
from experiments.report.album import slug
from experiments.report.evidence import Cell, Evidence, Group
from experiments.statistics import Ranking, Standing

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


def rows(evidence: Evidence) -> str:
    """rows.csv: one line a stored run of the grid, full precision."""
    names = [f"{split}_{m}" for split in ("val", "test") for m in evidence.metrics]
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*RUN_COLUMNS, *names])
    for result in evidence.results():
        run = result.run
        writer.writerow(
            [
                run.dataset,
                run.model,
                run.loss,
                run.learning_rate,
                run.seed,
                run.stage,
                result.status,
                result.diverged_step,
                *(_number(result.metrics.get(name, math.nan)) for name in names),
            ]
        )
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
        _write(directory / name, comparison(evidence, group), _comparison_csv(group))
        if matrix := regret(group):
            stem = directory / name.replace("comparison", "regret", 1)
            _write(stem, *matrix)
    ranked = [
        _ranking_row(group, metric, place, ranking, standing)
        for group in evidence.groups
        for metric, ranking in group.rankings.items()
        for place, standing in enumerate(ranking.standings, start=1)
    ]
    long = pd.DataFrame(ranked, columns=list(RANKING_COLUMNS), dtype=object)
    _write(directory / "ranking", long.map(_short), long)
    tried = [_rate_row(group, cell) for group, cell in evidence.cells()]
    chosen = pd.DataFrame(tried, columns=list(RATE_COLUMNS), dtype=object)
    _write(directory / "rates", chosen.map(_short), chosen)


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
                f"{metric}_center": _number(own.center),
                f"{metric}_low": _number(own.low),
                f"{metric}_high": _number(own.high),
                f"{metric}_best_set": own.best_set,
            }
        lines.append(line)
    return pd.DataFrame(lines, dtype=object)


def regret(group: Group) -> tuple[pd.DataFrame, pd.DataFrame] | None:
    """Trained with the row, scored by the column: as shown, and exact, one a line."""
    matrix = statistics.regrets(group.rankings)
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
                    "regret": _number(cell.center),
                    "low": _number(cell.low),
                    "high": _number(cell.high),
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
        _number(standing.center),
        _number(standing.low),
        _number(standing.high),
        standing.n,
        standing.diverged,
        standing.failed,
        standing.best_set,
        standing.relation,
        *(_number(value) for value in gap),
        _number(ranking.margin),
        _number(standing.p),
        _number(standing.effect),
    ]


RATE_COLUMNS = (
    "dataset",
    "model",
    "loss",
    "learning_rate",
    "edge",
    "tried",
    "tuning_runs",
    "final_runs",
    "missing",
    "diverged",
    "failed",
)


def _rate_row(group: Group, cell: Cell) -> list[Any]:
    return [
        group.dataset,
        group.model,
        cell.loss,
        "" if cell.plan.learning_rate is None else cell.plan.learning_rate,
        cell.plan.edge,
        " ".join(f"{rate:g}" for rate in cell.plan.learning_rates),
        len(cell.tuning),
        len(cell.final),
        len(cell.plan.pending),
        len(cell.status("diverged")),
        len(cell.status("failed")),
    ]


def _number(value: float) -> float | str:
    """Empty where there is no number; else Python's shortest exact text."""
    return float(value) if math.isfinite(value) else ""


def _short(value: Any) -> Any:
    return f"{value:.5g}" if isinstance(value, float) else value


def _write(stem: Path, shown: pd.DataFrame, exact: pd.DataFrame) -> None:
    """The same table three times; CSV holds full precision."""
    markdown = shown.to_markdown(index=False, disable_numparse=True)
    store.publish(Path(f"{stem}.md"), markdown + "\n")
    store.publish(Path(f"{stem}.tex"), _booktabs(shown))
    store.publish(Path(f"{stem}.csv"), exact.to_csv(index=False, lineterminator="\n"))


def _booktabs(frame: pd.DataFrame) -> str:
    """A LaTeX table; pandas' own writer takes seconds for thousands of rows."""
    lines = [list(frame.columns), *frame.itertuples(index=False)]
    head, *body = (" & ".join(_latex(v) for v in line) + r" \\" for line in lines)
    rules = [r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    begin = rf"\begin{{tabular}}{{{'l' * len(frame.columns)}}}"
    return "\n".join([begin, *rules, r"\end{tabular}", ""])


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    **{character: f"\\{character}" for character in "_%&#${}"},
}


def _latex(value: Any) -> str:
    """A cell as LaTeX; the best set's bold survives."""
    text = str(value)
    bold = text.startswith("**") and text.endswith("**") and len(text) > 4
    text = "".join(_LATEX.get(c, c) for c in (text[2:-2] if bold else text))
    return f"\\textbf{{{text}}}" if bold else text
