"""The comparison table and the verdict on a terminal, or in a pipe at 80 columns."""

import math

from rich import box
from rich.console import Console
from rich.table import Table

from lossjax.suite import protocol
from lossjax.suite.report import verdict
from lossjax.suite.report.build import Summary
from lossjax.suite.report.evidence import ArmEvidence, Group
from lossjax.suite.statistics import Ranking, Standing
from lossjax.suite.wording import count


def render(summary: Summary, console: Console) -> None:
    """Print every group's comparison, damaged files, the verdict, and the page."""
    evidence = summary.evidence
    for group in evidence.judged:
        if group.primary in group.rankings:
            console.print(_title(group), style="bold")
            console.print(_table(group))
    for path, wrong in evidence.damaged.items():
        console.print(f"damaged, counted as missing: {path}: {wrong}")
    if evidence.foreign:
        runs = count(len(evidence.foreign), "stored run")
        console.print(f"not in the current grid, not used: {runs}")
    for line in summary.verdict.splitlines():
        console.print(line)
    console.print(f"report: {summary.page}", soft_wrap=True)


def _title(group: Group) -> str:
    direction = group.rankings[group.primary].direction
    return (
        f"{group.name}: {group.primary} on test images, {direction} is better "
        "(* tied for best)"
    )


def _table(group: Group) -> Table:
    ranking = group.rankings[group.primary]
    places = verdict.decimals(ranking.standings)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    dialled = any(arm.dial for arm in group.arms.values())
    table.add_column("loss", no_wrap=not dialled)  # no number makes room for a name
    table.add_column(group.primary, justify="right", no_wrap=True)
    table.add_column("95 % interval", justify="right", no_wrap=True)
    table.add_column("n", justify="right")
    table.add_column("rate", justify="right", no_wrap=True)
    table.add_column("word", no_wrap=True)
    if dialled:
        table.caption_justify = "left"
        table.caption = f"† {protocol.chosen_by(group.primary)}"
    for standing in ranking.standings:
        scored = math.isfinite(standing.center)
        mean = f"{standing.center:.{places}f}" if scored else ""
        limits = (
            f"{standing.low:.{places}f} {standing.high:.{places}f}"
            if math.isfinite(standing.low)
            else ""
        )
        star = "* " if standing.best_set and ranking.needed is None else "  "
        table.add_row(
            star + standing.loss + (" †" if group.arms[standing.loss].dial else ""),
            mean,
            limits,
            f"{standing.n}",
            _rate(group.arms[standing.loss]),
            _word(standing, ranking),
            style="bold" if star == "* " else "",
        )
    return table


def _rate(arm: ArmEvidence) -> str:
    """The learning rate that most seeds chose; how many, where not all did."""
    for rate, seeds in arm.rates.items():
        return f"{rate:g}" if len(arm.rates) == 1 else f"{rate:g} ({seeds})"
    return ""


def _word(standing: Standing, ranking: Ranking) -> str:
    """What the test says of a loss; nothing where the seeds are too few for words."""
    if not math.isfinite(standing.center):
        return verdict.absent(standing)
    return "" if ranking.needed is not None else standing.word
