"""The verdict in words: what the rankings show, and what they cannot show.

The only place that makes sentences from rankings. Rules, fixed before any numbers: a
sentence names, for each metric that is derived from no other, the best loss and those
tied with it; "no difference that matters" is said only where every tied loss is
equivalent; a loss that was trained on the metric is marked; nothing mixes metrics.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from lossjax.suite import protocol, statistics
from lossjax.suite.report import convergence, imagewise
from lossjax.suite.report.evidence import ArmEvidence, Evidence, Group
from lossjax.suite.statistics import Ranking, Standing
from lossjax.suite.wording import count
from lossjax.syntax import MIX, read_call

COVERS = (
    "Intervals and tests are over seeds, the choice of each seed's learning rate "
    "included; they say nothing of other images or datasets."
)
BOLD = "Bold: tied for best by the paired test, not by overlapping intervals."


def text(evidence: Evidence) -> str:
    """The whole verdict, one line a sentence; what is missing, while runs are."""
    if evidence.missing:
        return "\n".join(incomplete(evidence))
    lines = [line for group in evidence.judged for line in sentences(evidence, group)]
    return "\n".join([*lines, COVERS])


def incomplete(evidence: Evidence) -> Iterator[str]:
    """How many runs are missing, and of which arms."""
    yield f"No verdict yet: {count(len(evidence.missing), 'run')} of the grid missing."
    for group, arm in evidence.arms():
        if arm.missing:
            runs = count(len(arm.missing), "run")
            yield f"missing: {group.name} / {arm.loss}: {runs}"


def sentences(evidence: Evidence, group: Group) -> Iterator[str]:
    """One group's verdict: seeds, every metric's best, budget, caveats."""
    for line in (*findings(evidence, group), *caveats(evidence, group)):
        yield f"{group.name}: {line}"


def findings(evidence: Evidence, group: Group) -> Iterator[str]:
    """What the numbers say of one group, a sentence each."""
    if not group.rankings:
        yield "no loss finished a seed, so there is nothing to compare."
        return
    if line := too_few(group):
        yield line
    for metric in group.counted:
        yield best_by(evidence, group, metric)
    if line := unbeaten(group):
        yield line
    yield convergence.sentence(evidence, group)


def unbeaten(group: Group) -> str:
    """The Pareto set in words; empty where there is nothing to weigh."""
    best = statistics.pareto(group.counted)
    if len(group.arms) < 2 or len(group.counted) < 2 or not best:
        return ""
    return f"Losses that no other beats on every metric: {', '.join(best)}."


def too_few(group: Group) -> str:
    """What so few seeds cannot decide; empty where they are enough."""
    needed = [r.needed for r in group.counted.values() if r.needed is not None]
    if not needed:
        return ""
    seeds = count(next(iter(group.counted.values())).n, "seed")
    return (
        f"too few seeds: with {seeds} no loss can be significantly worse than the best "
        f"(needed: {max(needed)})."
    )


def scanned(best: float, values: Iterable[float]) -> str:
    """The best value of those that were tried; at the edge it may be no optimum."""
    values = list(values)
    edge = best in (min(values), max(values))
    return f"{best:g}{' (edge of the scan)' if edge else ''}"


def best_by(evidence: Evidence, group: Group, metric: str) -> str:
    """The best loss by a metric, and those tied with it."""
    ranking = group.rankings[metric]
    which = "Lowest" if ranking.direction == "lower" else "Highest"
    start = f"{which} {label(evidence.metrics[metric], metric)}: "
    best = ranking.best
    if best is None:
        return start + "no loss finished every seed, so none is best."
    if len(ranking.standings) == 1:
        return start + f"{best.loss} alone, {measured(best)}; nothing to compare with."
    tied = [named(standing, metric) for standing in ranking.best_set]
    sentence = start + ", ".join(tied)
    rivals = [s for s in ranking.best_set if s is not best]
    if rivals:
        alike = all(s.word == "equivalent" for s in rivals)
        sentence += " (tied, no difference that matters)" if alike else " (tied)"
    elif metric in trained_on(best.loss):
        sentence += price(evidence, group, best.loss)
    return sentence + "."


def price(evidence: Evidence, group: Group, loss: str) -> str:
    """What a loss that wins its own metric alone pays by the primary one."""
    ranking = group.rankings.get(group.primary)
    if ranking is None or ranking.best is None or ranking.direction != "lower":
        return ""
    standing = ranking.of(loss)
    if standing.word != "worse" or not ranking.best.center > 0:
        return ""
    times = standing.center / ranking.best.center
    what = label(evidence.metrics[group.primary], group.primary)
    return f", at {times:.2g} times the lowest {what}"


def caveats(evidence: Evidence, group: Group) -> Iterator[str]:
    """What a reader must know before believing the verdict."""
    for arm in group.arms.values():
        seeds = count(len(arm.seeds), "seed")
        if arm.lost and not arm.missing:
            yield (
                f"{arm.loss} has no surviving run on {arm.lost} of {seeds}, so it is "
                f"never tied for best."
            )
    for status in ("diverged", "failed"):
        alike: dict[tuple[int, int], list[str]] = {}
        said = ""
        for loss, arm in group.arms.items():
            if runs := arm.status(status):
                alike.setdefault((len(runs), len(arm.results)), []).append(loss)
                said = said or runs[0].message
        for (gone, runs_of_arm), losses in alike.items():
            yield (
                f"{', '.join(losses)} {status} in {gone} of "
                f"{count(runs_of_arm, 'run')}" + (f"; it said: {said}" if said else ".")
            )
    if group.collapsed:
        yield (
            f"{', '.join(group.collapsed)} reconstructed every image of the gallery as "
            f"the same picture: look at it before believing a score."
        )
    if group.silent:
        each = [
            f"{loss} ({seeds} of {count(len(group.arms[loss].chosen), 'seed')}"
            f"{_kl(group, loss)})"
            for loss, seeds in group.silent.items()
        ]
        yield (
            f"collapsed posterior, no code unit moves with the image: "
            f"{', '.join(each)}; what the code should say is said by the decoder "
            f"alone. config.kl_cycles (1: warm-up, more: cyclic) and config.kl_rise "
            f"let the KL's weight rise slowly; free_bits and a lower beta help too."
        )
    if group.primary in group.rankings:
        if unsure := imagewise.unsure(evidence, group, group.primary):
            yield (
                f"significantly worse by {group.primary} on these test images, but "
                f"another draw of images might not show it: {', '.join(unsure)}."
            )
    yield from dials(group)
    yield from edges(evidence, group)


def dials(group: Group) -> Iterator[str]:
    """What the seeds chose of every dial, and which of them at its edge."""
    for loss, arm in group.arms.items():
        if arm.dial:
            line = f"{loss}: {chosen_by(group, loss)}: {dialled(arm)}"
            first, *inner, last = arm.arm.rates
            most = max(arm.dial.get(end, 0) for end in (first, last))
            if inner and most >= protocol.EDGE_SHARE * len(arm.chosen):
                line += "; a third of the seeds or more chose a value at its edge"
            yield f"{line}."


def chosen_by(group: Group, loss: str) -> str:
    """What is said of a loss with a dial wherever it stands; empty of others."""
    tuned = group.arms[loss].arm.tuned
    return protocol.chosen_by(group.primary) if tuned else ""


def dialled(arm: ArmEvidence) -> str:
    """The values of a dial that seeds chose, and how many each, as `chosen`."""
    return ", ".join(f"{loss} ({seeds})" for loss, seeds in arm.dial.items())


def marked(group: Group, loss: str) -> str:
    """A loss's name in a table's cell."""
    note = chosen_by(group, loss)
    return f"{loss} ({note})" if note else loss


def chosen(arm: ArmEvidence) -> str:
    """The learning rates that seeds chose, and how many each: 0.003 (8), 0.01 (2)."""
    return ", ".join(f"{rate:g} ({seeds})" for rate, seeds in arm.rates.items())


def edges(evidence: Evidence, group: Group) -> Iterator[str]:
    """The arms with a third of their seeds at an edge, and the rates that help."""
    flagged = {loss: a.edge for loss, a in group.arms.items() if a.edge is not None}
    if not flagged:
        return
    rates = protocol.wider(evidence.sweep.learning_rates, flagged.values())
    listed = ",".join(f"{rate:g}" for rate in rates)
    named_losses = ", ".join(f"{loss} ({edge:g})" for loss, edge in flagged.items())
    yield (
        f"a third of the seeds or more chose a learning rate at the edge: "
        f"{named_losses}; --config.learning_rates={listed} adds one for all losses."
    )


def _kl(group: Group, loss: str) -> str:
    """What the code says of an image on average, where it is known."""
    mean = group.measures.get("kl", {}).get(loss)
    return "" if mean is None else f", KL {mean.center:.2g} nats"


def worse(ranking: Ranking) -> list[Standing]:
    """The losses that the test found to be worse than the best, best mean first."""
    return [
        s for s in ranking.standings if s.word == "worse" and math.isfinite(s.center)
    ]


def absent(standing: Standing) -> str:
    """Why a loss has no mean, where a table would show it."""
    if standing.word == statistics.UNDEFINED:
        return statistics.UNDEFINED
    return f"{count(standing.lost, 'seed')} failed" if standing.lost else "no score"


def heading(group: Group, metric: str, unit: str = "") -> str:
    """A metric above a column: which way is better; whether it counts."""
    words = f"{metric} {arrow(group.rankings[metric])}{f' ({unit})' if unit else ''}"
    source = group.derived.get(metric)
    return f"{words}, from {source}" if source else words


def label(row: Mapping[str, Any], metric: str) -> str:
    """A metric's name in a sentence."""
    return str(row.get("label", metric))


def named(standing: Standing, metric: str) -> str:
    """A loss, marked where the metric that judges it is what it was trained on."""
    mark = " (trained on it)" if metric in trained_on(standing.loss) else ""
    return standing.loss + mark


# Metrics that losses of another name are, or are sums of.
_JUDGED = {"bce": ("excess_bce",), "ms_ssim": ("ssim",), "ms_ssim_l1": ("ssim", "mae")}


def trained_on(loss: str) -> Collection[str]:
    """The metrics that a loss is, up to a factor, a constant or its output link.

    Of a weighted sum those of its parts.
    """
    if loss.startswith(f"{MIX}("):
        parts = read_call(loss, "loss", (MIX,)).parts
        return {metric for part in parts for metric in trained_on(part)}
    name = family(loss).removesuffix("_linear")
    return _JUDGED.get(name, (name,))


def family(loss: str) -> str:
    """A loss's name without its arguments and cuts; of a mix with its two losses."""
    if loss.startswith(f"{MIX}("):
        return f"{loss.rpartition(', weight=')[0]})"
    return loss.partition("(")[0].partition("[")[0]


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
