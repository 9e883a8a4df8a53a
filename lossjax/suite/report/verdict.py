"""The verdict in words: what the rankings show, and what they cannot show."""

import math
from collections.abc import Iterable, Iterator

from lossjax.suite import statistics
from lossjax.suite.report import imagewise
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.statistics import Ranking, Standing
from lossjax.suite.wording import count


def text(evidence: Evidence) -> str:
    """The whole verdict, one line a sentence; what is missing, while runs are."""
    if evidence.missing:
        return "\n".join(incomplete(evidence))
    return "\n".join(
        line for group in evidence.groups for line in lines(evidence, group)
    )


def incomplete(evidence: Evidence) -> Iterator[str]:
    """How many runs are missing, and in which cells."""
    yield f"No verdict yet: {count(len(evidence.missing), 'run')} of the grid missing."
    for group, cell in evidence.cells():
        if cell.plan.pending:
            stage = cell.plan.pending[0].stage
            yield (
                f"missing: {group.name} / {cell.loss}: "
                f"{count(len(cell.plan.pending), 'run')} of stage {stage}"
            )


def lines(evidence: Evidence, group: Group) -> Iterator[str]:
    """One group's verdict: headline, caveats, every metric's best set, regret."""
    yield headline(group)
    yield from caveats(evidence, group)
    for metric, ranking in group.rankings.items():
        yield f"{group.name} by {metric}: {best_set(ranking)}"
    if line := regret(group):
        yield f"{group.name}: {line}"


def headline(group: Group) -> str:
    """The one sentence that the primary metric decides."""
    metric, ranking = group.primary, group.rankings.get(group.primary)
    if not group.rankings:
        return f"{group.name}: no loss finished a seed, so there is nothing to compare."
    if ranking is None:
        return f"{group.name}: no run carries the primary metric {metric}."
    start = f"{group.name}: "
    best = ranking.best
    if best is None:
        return start + "no loss finished every seed, so none is best."
    score = f"{measured(best)}, {count(ranking.n, 'seed')}"
    if len(ranking.standings) == 1:
        return start + f"{best.loss} alone ({metric} {score}); nothing to compare with."
    if ranking.needed is not None:
        return start + (
            f"too few seeds ({ranking.n}, need {ranking.needed}) to tell losses apart; "
            f"best mean {metric} so far: {best.loss} ({score})."
        )
    alike = [s.loss for s in ranking.best_set if s.relation == "not told apart"]
    same = [s.loss for s in ranking.best_set if s.relation == "identical"]
    if not alike and not same:
        return start + f"{best.loss} is best by {metric} ({score})."
    sentence = start + f"{best.loss} has the best {metric} ({score})"
    if same:
        sentence += f"; identical to it: {', '.join(same)}"
    if alike:
        sentence += f"; not told apart from it: {', '.join(alike)}"
    return sentence + "."


def caveats(evidence: Evidence, group: Group) -> Iterator[str]:
    """What a reader must know before believing the headline."""
    for status in ("diverged", "failed"):
        alike: dict[tuple[int, int], list[str]] = {}
        said = ""
        for loss, cell in group.cells.items():
            lost = [result for result in cell.final if result.status == status]
            if lost:
                alike.setdefault((len(lost), len(cell.final)), []).append(loss)
                said = said or lost[0].message
        for (lost_seeds, seeds), losses in alike.items():
            yield (
                f"{group.name}: {', '.join(losses)} {status} on {lost_seeds} of "
                f"{count(seeds, 'seed')}, so ranked last"
                + (f"; it said: {said}" if said else ".")
            )
    if group.collapsed:
        yield (
            f"{group.name}: {', '.join(group.collapsed)} reconstructed every image of "
            f"the gallery as the same picture: look at it before believing a score."
        )
    if group.silent:
        each = [
            f"{loss} ({seeds} of {count(len(group.cells[loss].final), 'seed')}"
            f"{_kl(group, loss)})"
            for loss, seeds in group.silent.items()
        ]
        yield (
            f"{group.name}: collapsed posterior, no code unit moves with the image: "
            f"{', '.join(each)}; what the code should say is said by the decoder alone."
        )
    if group.primary in group.rankings:
        if unsure := imagewise.unsure(evidence, group, group.primary):
            yield (
                f"{group.name}: worse by {group.primary} on these test images, but "
                f"another draw of images might not show it: {', '.join(unsure)}."
            )
    edges = [
        f"{loss} ({cell.plan.learning_rate:g})"
        for loss, cell in group.cells.items()
        if cell.plan.edge
        and cell.plan.learning_rate is not None
        and any(result.status == "ok" for result in cell.tuning)
    ]
    if edges:
        yield (
            f"{group.name}: best rate at the edge of the rates tried: "
            f"{', '.join(edges)}; a wider grid may serve them better."
        )


def _kl(group: Group, loss: str) -> str:
    """What the code says of an image on average, where it is known."""
    mean = group.measures.get("kl", {}).get(loss)
    return "" if mean is None else f", KL {mean.center:.2g} nats"


def best_set(ranking: Ranking) -> str:
    """The losses not shown worse than the best, the best first."""
    if ranking.best is None:
        return "no loss finished every seed"
    names = ", ".join(s.loss for s in ranking.best_set)
    if ranking.needed is not None and len(ranking.best_set) > 1:
        return f"too few seeds ({ranking.n}, need {ranking.needed})"
    return names


def regret(group: Group) -> str:
    """The loss that is never far from the best, over every metric."""
    shared = group.shared
    losses, worst, metric = statistics.safest(shared)
    few = any(ranking.needed is not None for ranking in shared.values())
    if few or not losses or len(shared) < 2 or len(group.cells) < 2:
        return ""
    if worst == 0:
        return (
            f"in the best set of every one of {len(shared)} metrics: "
            f"{', '.join(losses)}"
        )
    return (
        f"smallest worst-case regret over {len(shared)} metrics: "
        f"{', '.join(losses)}, {worst:.2f} (on {metric}; 0 is the best mean, 1 the "
        f"worst)"
    )


def family(loss: str) -> str:
    """A loss's name without its arguments; a metric of that name is its own metric."""
    return loss.partition("(")[0]


def measured(standing: Standing) -> str:
    """A mean with its interval, to the digits that the interval supports."""
    digits = decimals([standing])
    value = f"{standing.center:.{digits}f}"
    if not math.isfinite(standing.low):
        return value
    return f"{value} [{standing.low:.{digits}f}, {standing.high:.{digits}f}]"


def arrow(ranking: Ranking) -> str:
    """Which way is better, beside a metric's name."""
    return "↓" if ranking.direction == "lower" else "↑"


def decimals(standings: Iterable[Standing]) -> int:
    """Decimal places that a ranking's intervals support."""
    return places([s.high - s.low for s in standings])


def places(widths: Iterable[float]) -> int:
    """Decimal places that show two digits of the narrowest interval, at most 7."""
    positive = [width for width in widths if width > 0]
    if not positive:
        return 4
    return min(7, max(0, 1 - math.floor(math.log10(min(positive) / 2))))
