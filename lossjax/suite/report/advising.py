"""The advice in words: what to use, how sure, what would change it, what is not known.

Rules, fixed before any numbers. Advised is the best loss by the purpose's metric, or
one before it in the shortlist between which and it there is no difference that
matters. Where the comparison cannot decide (too few seeds or test images, or networks
that have learned no more than the mean image), it is the purpose's safe loss, with the
reason. A loss counts as worse where, with all training steps, it is significantly worse
than the best and also than the best was with half of them: what it lacks is more than
twice the steps give. The pilot chooses only what is compared.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lossjax.suite.report import convergence, verdict
from lossjax.suite.report.evidence import Evidence, Group, ranked
from lossjax.suite.report.tables import matrices
from lossjax.suite.shortlist import PURPOSES, Purpose, preferred
from lossjax.suite.statistics import Ranking, Standing
from lossjax.suite.wording import count, listed

LINEAR = "principal components"  # as many as there are numbers in the code
FEW_TEST = 20  # test pictures below which a mean over them says little of others
_KINDS = (
    (0.9, "black and white"),
    (0.5, "mostly black or white, with grey between"),
    (0.1, "grey levels with much black or white"),
    (0.0, "grey levels, little of it black or white"),
)
_OUTPUT = {
    "sigmoid": "let the decoder end without an activation: the code to paste applies "
    "the sigmoid to its raw output itself, which a ready-made loss may not; the image "
    "to show is the sigmoid of it",
    "clip01": "let the decoder end without an activation; the image to show is its "
    "output cut to [0, 1]",
    "continuous_mean": "let the decoder end without an activation: the code to paste "
    "takes its raw output; the image to show is the mean of a continuous Bernoulli law "
    "whose logit that is",
}


@dataclasses.dataclass(frozen=True)
class Advice:
    """What is advised, and the sentences that say so."""

    loss: str
    tied: tuple[str, ...]  # all that nothing speaks against, this one among them
    decided: bool  # by the comparison, or the safe choice
    sentences: tuple[str, ...]
    code: Mapping[str, str]  # by library

    @property
    def paragraph(self) -> str:
        return " ".join(self.sentences)


def advice(evidence: Evidence) -> Advice | None:
    """What the comparison of an advisor says; None of any other sweep, or a part."""
    found = evidence.description.get("advice")
    purpose = PURPOSES.get(found["purpose"]) if found else None
    if found is None or purpose is None or evidence.missing:
        return None
    (group,) = evidence.judged
    doubts = list(_doubts(evidence, group, found))
    ranking = group.rankings.get(group.primary)
    reached, linear = _reached(evidence, group, ranking, found)
    if doubts or ranking is None:
        loss, tied = purpose.safe[0], evidence.losses
        lines = [f"Use {loss}, the safe choice: {purpose.safe[1]}."]
        lines.append(f"The comparison decides nothing here: {listed(doubts)}.")
    else:
        loss = preferred(ranking, evidence.losses)
        behind = _behind(evidence, group)
        tied = tuple(one for one in evidence.losses if one not in behind)
        early = "Provisional, since no network is better than a linear code yet: use"
        lines = [f"{early if linear is False else 'Use'} {loss} for {purpose.meaning}."]
        if ranking.best and loss == ranking.best.loss:
            lines.append("It scored best here.")
        if linear is False:
            lines.append(
                f"{reached}; trained longer (--minutes={2 * found['minutes']:g} is "
                "twice as long) the losses may rank otherwise."
            )
    facts = found["losses"].get(loss, {"output": "", "code": {}})
    lines += _how(evidence, group, loss, facts["output"])
    if ranking is not None and not doubts:
        lines += _rivals(evidence, group, ranking, loss, tied)
    if linear:
        lines.append(f"Was anything learned? {reached}.")
    lines += _change(evidence, group, found, purpose)
    return Advice(loss, tied, not doubts, tuple(lines), facts["code"])


def _doubts(
    evidence: Evidence, group: Group, found: Mapping[str, Any]
) -> Iterator[str]:
    """Why the comparison may not decide; nothing where it may."""
    ranking = group.rankings.get(group.primary)
    if ranking is None or ranking.best is None:
        yield "no loss finished every seed"
        return
    test = evidence.description["datasets"][group.dataset]["test"]
    alike = evidence.sweep.crops or 1  # of one picture
    if math.ceil(test / alike) < FEW_TEST:
        few = (
            f", up to {alike} of one picture, are of too few pictures"
            if alike > 1
            else " are too few"
        )
        yield f"{count(test, 'test image')}{few} to speak for others"
    if ranking.needed is not None:
        yield (
            f"{count(ranking.n, 'seed')}, which the time allowed, can show no loss to "
            f"be worse (needed: {ranking.needed}; give it more --minutes)"
        )
    worst = _against(evidence, group, ranking.best, found)
    if worst and not worst[0][1]:
        yield (
            f"nothing was learned yet, the best network is no better than "
            f"{worst[0][0]}: give it more --minutes"
        )


def _behind(evidence: Evidence, group: Group) -> set[str]:
    """The losses that are worse, and than the best with half of the steps too."""
    half, metric = evidence.half(group), group.primary
    ranking, scores = group.rankings[metric], group.scores[metric]
    if half is None or ranking.best is None or metric not in half.scores:
        return set()
    best, row = ranking.best.loss, evidence.metrics[metric]

    def earlier(loss: str) -> Standing:
        pair = {best: half.scores[metric][best], loss: scores[loss]}
        return ranked(pair, row).of(loss)

    worse = [s.loss for s in ranking.standings if not s.best_set]
    return {loss for loss in worse if not earlier(loss).best_set}


def _against(
    evidence: Evidence, group: Group, best: Standing, found: Mapping[str, Any]
) -> list[tuple[str, bool, float, float]]:
    """Of each trivial guess: its name, whether the best beats it, both scores.

    By less than the metric's margin is not beaten. That of a linear code, which is the
    better one, comes last.
    """
    metric = _beside(evidence)
    ranking, margin = group.rankings.get(metric), evidence.metrics[metric]["margin"]
    if ranking is None:
        return []
    ours = ranking.of(best.loss).center
    sign = 1 if ranking.direction == "lower" else -1
    order = sorted(found["trivial"].items(), key=lambda one: one[0] == LINEAR)
    return [
        (
            name,
            sign * (value - ours)
            > margin["value"] * (abs(value) if margin["relative"] else 1),
            ours,
            value,
        )
        for name, value in order
        if value is not None and math.isfinite(ours)
    ]


def _beside(evidence: Evidence) -> str:
    """The metric by which networks stand beside guesses: the primary one, or mse."""
    only = evidence.metrics[evidence.primary].get("variational")
    return "mse" if only else evidence.primary


def _how(evidence: Evidence, group: Group, loss: str, output: str) -> Iterator[str]:
    """Output layer and learning rate."""
    if output:
        words = _OUTPUT.get(output, f"the output image is {output} of the raw output")
        yield f"Output layer: {words}."
    if loss in group.arms and (rates := group.arms[loss].rates):
        rate, seeds = next(iter(rates.items()))
        edge, sweep = group.arms[loss].edge, evidence.sweep
        beyond = "larger" if edge == max(sweep.learning_rates) else "smaller"
        further = f"; {edge:g} was chosen often: try {beyond} ones" if edge else ""
        tried = ", ".join(f"{x:g}" for x in sweep.learning_rates)
        yield (
            f"Learning rate: {rate:g} with Adam, batches of {sweep.batch_size} and a "
            "cosine decay to the end, the loss being a mean over pixels (of "
            f"{tried} chosen by {seeds} of {sum(rates.values())} seeds{further})."
        )


def _rivals(
    evidence: Evidence, group: Group, ranking: Ranking, loss: str, tied: Sequence[str]
) -> Iterator[str]:
    """Who is tied, who is worse and by how much."""
    gaps = matrices.distances(evidence, group)[group.primary]
    row = evidence.metrics[group.primary]
    label = verdict.label(row, group.primary)
    unit = " %" if gaps.unit == "%" else ""
    margin = row["margin"]["value"] * (100 if unit else 1)

    def told(standing: Standing) -> str:
        value, limits = gaps.words(standing.loss)
        if standing.word == "best":
            return f"{standing.loss} (scored best)"
        between = f", 95 % interval {limits}" if limits else ""
        return f"{standing.loss} ({value}{unit} behind the best{between})"

    others = [s for s in ranking.standings if s.loss != loss]
    equal = [s for s in others if s.word in ("best", "equivalent")]
    unsure = [s for s in others if s.word == "undecided"]
    behind = [s for s in others if s.word == "worse"]
    worse = [s for s in behind if s.loss not in tied]
    later = [s for s in behind if s.loss in tied]
    if equal and not (unsure or later or worse):
        yield (
            f"By {label} there is no difference that matters to "
            f"{listed([s.loss for s in equal])}: take whichever you have."
        )
    elif equal:
        yield f"No difference that matters: {listed([told(s) for s in equal])}."
    if unsure:
        yield (
            f"Not decided (no difference above {margin:g}{unit} is shown; more seeds "
            f"may tell): {listed([told(s) for s in unsure])}."
        )
    if later:
        yield (
            f"Behind so far, but a longer training may end otherwise: "
            f"{listed([told(s) for s in later])}; {_gained(evidence, group)}."
        )
    if worse:
        yield f"Significantly worse: {listed([told(s) for s in worse])}."
    if any(one.startswith("power") for one in evidence.losses):
        yield "power(g) is bce at g = 0 and mse at g = 1."


def _gained(evidence: Evidence, group: Group) -> str:
    """That twice the steps changed more than what a loss is behind, in words."""
    half = evidence.half(group)
    change = convergence.change_of(half, group, group.primary) if half else None
    if half is None or change is None:
        return "what twice the steps change is not known"
    return (
        f"going from {half.setting[3]:,} to {count(group.setting[3], 'step')} changed "
        f"the best score by more, {100 * abs(change):.0f} %"
    )


def _reached(
    evidence: Evidence,
    group: Group,
    ranking: Ranking | None,
    found: Mapping[str, Any],
) -> tuple[str, bool | None]:
    """How far the networks got, beside what needs no network; whether they beat it.

    None where there is nothing to say, or they do not even beat the mean image.
    """
    if ranking is None or ranking.best is None:
        return "", None
    pairs = _against(evidence, group, ranking.best, found)
    beaten = [won for _, won, _, _ in pairs]
    if not beaten or not beaten[0]:
        return "", None
    spelled = {LINEAR: "principal components (as many as its code has numbers)"}
    beside = listed([f"{spelled.get(x, x)} {value:.3g}" for x, _, _, value in pairs])
    metric = _beside(evidence)
    label = verdict.label(evidence.metrics[metric], metric)
    said = f"By {label} the best network has {pairs[0][2]:.3g}, {beside}"
    return said, all(beaten)


def _change(
    evidence: Evidence,
    group: Group,
    found: Mapping[str, Any],
    purpose: Purpose,
) -> Iterator[str]:
    """What would change the advice, and what it cannot know."""
    ranking = group.rankings.get(group.primary)
    seeds = ranking.n if ranking else 0
    others = []
    for metric, one in group.counted.items():
        if metric != group.primary and one.best and one.needed is None:
            names = [s.loss for s in one.best_set]
            label = verdict.label(evidence.metrics[metric], metric)
            if len(names) < len(one.standings):
                others.append(f"{label} {' or '.join(names)}")
    if others:
        yield f"By other measures: {'; '.join(others)}."
    steps = count(group.setting[3], "step")
    test = evidence.description["datasets"][group.dataset]["test"]
    yield (
        f"How sure: {count(seeds, 'seed')}, each a whole experiment of {steps} with "
        f"{group.setting[1]} and {count(group.setting[2], 'number')} in the code, "
        f"scored on {count(test, 'image')} kept apart; a longer training or another "
        "network may say otherwise."
    )
    yield (
        "The advisor cannot know what the pictures are for, nor speak for pictures "
        "unlike these."
    )


def seen(found: Mapping[str, Any]) -> Iterator[str]:
    """What the images are, in words."""
    look = found["look"]
    shares = (words for least, words in _KINDS if look["binary"] >= least)
    kind = next(shares, _KINDS[-1][1])
    colour = "colour" if look["colour"] else "no colour"
    yield (
        f"{look['images']:,} images: {kind}, {colour}; {look['black']:.1%} of the "
        f"pixels are exactly 0, {look['white']:.1%} exactly 1; the floor of bce, which "
        f"no network can go below, is {look['floor']:.3f} nats a pixel."
    )
    if look["counted"] < 1:
        yield f"{look['counted']:.1%} of the pixels count, the others are masked."
    if look["duplicates"]:
        yield f"{count(look['duplicates'], 'training image')} are copies of others."


def of_pilot(found: Mapping[str, Any]) -> str:
    """What the pilot says, and how far to believe it; empty without one."""
    if (pilot := found["pilot"]) is None:
        return ""
    return (
        f"Pilot: the residuals of one bce network on {count(pilot['images'], 'image')} "
        f"point to g = {pilot['g']:.2f} [{pilot['low']:.2f}, {pilot['high']:.2f}] of "
        "power(g), where 0 is bce and 1 mse. It only chose what was compared: such a "
        "prediction can be wrong (study atlas)."
    )
