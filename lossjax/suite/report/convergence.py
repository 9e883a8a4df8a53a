"""Whether training was long enough: the same comparison with half of the steps."""

import math

from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.statistics import Ranking
from lossjax.suite.wording import count

SETTLED, NOT_SETTLED, NOT_KNOWN = "settled", "not settled", "not known"


def sentence(evidence: Evidence, group: Group) -> str:
    """Whether the result would be the same with half of the training steps."""
    train_steps = group.setting[3]
    unknown = f"Not known whether {count(train_steps, 'step')} are enough"
    half = evidence.half(group)
    if half is None:
        if train_steps < 2:
            return f"{unknown}."
        return f"{unknown}: --config.budgets={train_steps // 2},{train_steps} tells."
    word = settled(evidence, group)
    if word == NOT_KNOWN:
        return f"{unknown}: at neither number of steps can enough be decided."
    changed = [
        f"{metric} {100 * change:+z.1f} %"
        for metric in group.counted
        if (change := change_of(half, group, metric)) is not None
    ]
    moved = f" From there the best means move: {', '.join(changed)}." if changed else ""
    half_steps = count(half.setting[3], "step")
    if word == SETTLED:
        return f"Settled: with {half_steps} the same losses are tied for best.{moved}"
    counted = group.counted.items()
    metrics = ", ".join(m for m, after in counted if not same(half.counted[m], after))
    return f"Not settled by {metrics}: with {half_steps} the answer is another.{moved}"


def settled(evidence: Evidence, group: Group) -> str:
    """`settled`: the tied sets at B and B/2 are equal and no significant pair turns.

    Not known where B/2 was not trained, or where nothing can be significant.
    """
    half = evidence.half(group)
    if half is None or not group.counted or half.counted.keys() != group.counted.keys():
        return NOT_KNOWN
    rankings = [*half.counted.values(), *group.counted.values()]
    if any(r.best is None or r.needed is not None for r in rankings):
        return NOT_KNOWN
    alike = all(same(half.counted[m], group.counted[m]) for m in group.counted)
    return SETTLED if alike else NOT_SETTLED


def same(one: Ranking, other: Ranking) -> bool:
    """Whether two settings give the same answer by a metric."""
    tied = [{s.loss for s in ranking.best_set} for ranking in (one, other)]
    return tied[0] == tied[1] and not turned(one, other)


def turned(one: Ranking, other: Ranking) -> bool:
    """Whether a loss is significantly worse than one that it is ahead of elsewhere."""
    return _reversed(one, other) or _reversed(other, one)


def _reversed(one: Ranking, other: Ranking) -> bool:
    """Whether a loss that is worse than the best in one is ahead of it in the other."""
    if one.best is None or not math.isfinite(other.of(one.best.loss).center):
        return True
    sign = 1.0 if one.direction == "lower" else -1.0
    best = sign * other.of(one.best.loss).center
    return any(
        s.word == "worse" and sign * other.of(s.loss).center < best
        for s in one.standings
        if math.isfinite(s.center)
    )


def change_of(half: Group, group: Group, metric: str) -> float | None:
    """Relative change of the best mean from half of the steps to all of them."""
    before, after = half.rankings.get(metric), group.rankings[metric]
    if before is None or before.best is None or after.best is None:
        return None
    if before.best.center == 0:
        return None
    return (after.best.center - before.best.center) / abs(before.best.center)
