"""The verdicts as a table: one line a dataset, model and metric."""

from collections.abc import Iterator

from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.imagewise import unsure
from lossjax.suite.report.tables_of_rates import Table
from lossjax.suite.statistics import Ranking, Standing, safest

COLUMNS = (
    "dataset",
    "model",
    "metric",
    "primary",
    "verdict",
    "best",
    "best_set",
    "worse",
    "unsure_over_images",
    "n",
    "needed",
    "diverged",
    "failed",
)


def judged(evidence: Evidence) -> Iterator[Table]:
    """Every verdict, and every loss of smallest worst-case regret."""
    lines = [
        _line(evidence, group, metric, ranking)
        for group in evidence.groups
        for metric, ranking in group.rankings.items()
    ]
    yield "verdicts", COLUMNS, lines
    regrets = []
    for group in evidence.groups:
        losses, worst, metric = safest(group.shared)
        few = any(ranking.needed is not None for ranking in group.rankings.values())
        if losses and not few:
            regrets.append(
                [group.dataset, group.model, ", ".join(losses), worst, metric]
            )
    heads = ("dataset", "model", "losses", "worst_case_regret", "on_metric")
    yield "safest", heads, regrets


def short(ranking: Ranking) -> str:
    """What a ranking shows, in two or three words."""
    if ranking.best is None:
        return "none finished"
    if len(ranking.standings) == 1:
        return "alone"
    if ranking.needed is not None:
        return "too few seeds"
    alike = len(ranking.best_set)
    return "best" if alike == 1 else f"{alike} not told apart"


def _line(
    evidence: Evidence, group: Group, metric: str, ranking: Ranking
) -> list[object]:
    standings = ranking.standings
    return [
        group.dataset,
        group.model,
        metric,
        metric == group.primary,
        short(ranking),
        ranking.best.loss if ranking.best else "",
        ", ".join(s.loss for s in ranking.best_set),
        ", ".join(_with_effect(s) for s in standings if s.relation == "worse"),
        ", ".join(unsure(evidence, group, metric)),
        ranking.n,
        ranking.needed or "",
        ", ".join(f"{s.loss} {s.diverged}" for s in standings if s.diverged),
        ", ".join(f"{s.loss} {s.failed}" for s in standings if s.failed),
    ]


def _with_effect(standing: Standing) -> str:
    return f"{standing.loss} ({standing.effect:.1f})"
