"""Is it the loss, or its pairing with the sigmoid?

Behind a sigmoid, squared error has the gradient 2 (p - y) p (1 - p) in a pixel's raw
output where cross-entropy has p - y. The factor does three things: it vanishes where
the output saturates (saturation), it weighs grey pixels above black and white ones
(weighting), and it is small (scale). Any of the three may make a network trained on
`mse` worse than one trained on `bce`.

Source: the claim is the textbook's (Goodfellow, Bengio and Courville 2016, section
6.2.2.2; Nielsen 2015, chapter 3; Golik, Doetsch and Ney, Interspeech 2013). None of
them takes the gradient apart; the factorial is this suite's.

Protocol: eight arms are all combinations of the three parts, made by cutting gradients
(lossjax.losses.gradient_cuts): `mse` has all three, `bce` none; `unweigh` takes the
weighting away by the target's own y (1 - y), `weigh` gives it; `bce_norm` and
`mse_norm` give the batch's gradient in raw output the length that the other loss's has
there. Three more arms: `mse[straight_through]`, where the sigmoid's derivative is taken
as 1 (its gradient is that of `bce` but for a factor 2: an identity, which checks the
machinery), `mse_linear` without a sigmoid, whose start is another one, and
`mae_linear`, which estimates the median where all others estimate the mean. digits,
conv_ae, 200 steps; the last layer's kernel starts at 1, 3 and 10 times its usual size,
or its bias starts at logit 8, every pixel white; Adam and gradient descent with
momentum 0.9; every arm at its own best rate, and all at one rate (0.01 and 0.3). 8
paired seeds; the judge is the test images' mse. From a white start 200 steps are a
snapshot: no arm has settled, and where none has moved a ratio says nothing.

Decomposition: of the difference d = log mse(`mse` arm) - log mse(`bce` arm), every
part's Shapley value, that is what adding the part changes, averaged over the orders in
which the three can be added. The values sum to d, seed by seed, so their intervals are
Student's over seeds and a share is a ratio of means with a BCa bootstrap over seeds.
Beside it an analysis of variance of log mse over the whole balanced factorial of parts,
optimiser, start and rate.

Deviations: lengths are made equal in raw output and not in the weights, where a
gradient's length depends on the network. A weight of the target is never below that of
the grey 0.02, or black pixels would not train at all. Gradient
descent is tuned on six seeds: on two it chose for `bce`, from kernels of 1 and 3 times
the usual size, a rate of 3, at which some of the eight seeds spike, and the tuned
difference said more of that choice than of the loss.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from lossjax.suite import statistics
from lossjax.suite.report import style
from lossjax.suite.report.style import INK
from lossjax.suite.reproduce.configs import config
from lossjax.suite.reproduce.finding import Finding, measured
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study
from lossjax.suite.statistics import Interval

PLAN = config("surgery")
_WEIGHED, _SATURATED = "bce[weigh+bce_norm]", "mse[unweigh+bce_norm]"
CLEAR = 0.05  # of log mse: of a smaller difference no shares are given
LEAST = 0.02  # share of variance that is listed
DRAWS = 300  # of seeds
STUCK = "diag_stuck_share"
TUNED_WHITE = PLAN.name_of("adam", "white", "tuned")


def shapley(scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Each part's value (n,) from every arm's scores (n,); they sum to mse - bce."""
    worth = {coalition: scores[arm] for arm, coalition in PLAN.GAME.items()}
    orders = list(itertools.permutations(PLAN.PARTS))
    values = {part: np.zeros_like(scores["bce"]) for part in PLAN.PARTS}
    for order in orders:
        for place, part in enumerate(order):
            before = frozenset(order[:place])
            values[part] += (worth[before | {part}] - worth[before]) / len(orders)
    return values


def variance_shares(table: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Share of the variance of a balanced table that each effect explains.

    One axis a factor; an effect is a factor or an interaction of several.
    """
    axes = range(table.ndim)
    spread = ((table - table.mean()) ** 2).sum()
    effects: dict[tuple[int, ...], np.ndarray] = {}
    shares = {}
    for size in range(table.ndim + 1):
        for kept in itertools.combinations(axes, size):
            rest = tuple(axis for axis in axes if axis not in kept)
            effect = table.mean(axis=rest, keepdims=True)
            for smaller, known in effects.items():
                if set(smaller) < set(kept):
                    effect = effect - known
            effects[kept] = effect
            if kept:
                whole = np.broadcast_to(effect, table.shape)
                label = " x ".join(names[axis] for axis in kept)
                shares[label] = float((whole**2).sum() / spread)
    return shares


def _logs(record: Record, grid: str) -> dict[str, np.ndarray]:
    """Log of every arm's test mse, (seeds,), NaN where a run was lost."""
    arms = record.trial(grid).arms
    return {loss: np.log(arm.values) for loss, arm in arms.items()}


def _share(part: np.ndarray, whole: np.ndarray) -> Interval:
    """Mean of the part over mean of the whole, BCa over seeds."""
    found = stats.bootstrap(
        (part, whole),
        lambda a, b, axis=-1: a.mean(axis) / b.mean(axis),
        paired=True,
        n_resamples=2000,
        rng=np.random.default_rng(0),
    )
    limits = found.confidence_interval
    center = float(part.mean() / whole.mean())
    return Interval(center, float(limits.low), float(limits.high))


def conclude(record: Record) -> Conclusion:
    """Every condition's difference and its parts; the analysis of variance."""
    findings: list[Finding] = []
    lines: list[dict[str, str]] = []
    counts: dict[str, Any] = {"conditions": {}}
    drawn: dict[str, dict[str, Interval]] = {}
    for grid in record.trials:
        logs = _logs(record, grid)
        lost = [loss for loss in PLAN.GAME if not np.isfinite(logs[loss]).all()]
        if lost:
            findings.append(measured(f"{grid}: arms with a failed run", len(lost)))
            continue
        whole = logs["mse"] - logs["bce"]
        parts = shapley(logs)
        difference = statistics.interval(whole)
        values = {part: statistics.interval(parts[part]) for part in PLAN.PARTS}
        drawn[grid] = {"difference": difference} | values
        line = {"condition": grid, "`mse` / `bce`": _ratio(difference)}
        shares = {}
        for part in PLAN.PARTS:
            line[f"by {part}"] = "–"
            if min(abs(difference.low), abs(difference.high)) > CLEAR and (
                difference.low * difference.high > 0
            ):
                shares[part] = _share(parts[part], whole)
                line[f"by {part}"] = _percent(shares[part])
        beside = {x: statistics.interval(logs[x] - logs["bce"]) for x in PLAN.BESIDE}
        for loss in PLAN.BESIDE:
            line[f"`{loss}` / `bce`"] = _ratio(beside[loss])
        lines.append(line)
        alone = {
            arm: statistics.interval(logs[arm] - logs["bce"])
            for arm, coalition in PLAN.GAME.items()
            if arm != "mse" and coalition
        }
        counts["conditions"][grid] = {
            "arms": {arm: _plain(value) for arm, value in alone.items()},
            "difference": _plain(difference),
            "parts": {part: _plain(value) for part, value in values.items()},
            "shares": {part: _plain(value) for part, value in shares.items()},
            "beside": {loss: _plain(value) for loss, value in beside.items()},
            "stuck": {
                loss: _plain(record.trial(grid).mean(loss, STUCK))[0]
                for loss in ("bce", "mse", "mse[straight_through]", "mse_linear")
            },
        }
    findings += _answers(counts["conditions"])
    if len(counts["conditions"]) == len(PLAN.sweeps()):
        found = _variance(record)
        counts["variance"] = {name: _plain(value) for name, value in found.items()}
        findings += [
            measured(f"share of the variance of log mse: {name}", value)
            for name, value in found.items()
        ]
    drawings = [_draw(drawn)] if drawn else []
    return Conclusion(findings, pd.DataFrame(lines), drawings, counts)


def answer(counts: Mapping[str, Any]) -> str:
    """The claim answered in two sentences and a note, every number from the counts."""
    conditions = counts["conditions"]
    usual, white = (
        conditions[PLAN.name_of("adam", start, "tuned")]
        for start in ("head x 1", "white")
    )

    def times(own: Mapping[str, Any], loss: str = "mse") -> str:
        found = own["difference"] if loss == "mse" else own["beside"][loss]
        return _ratio(Interval(*found))

    plain = conditions[PLAN.name_of("sgd", "white", "equal")]

    def part(name: str, own: Mapping[str, Any] = white) -> str:
        return _percent(Interval(*own["shares"][name]))

    def arm(name: str) -> str:
        return _ratio(Interval(*usual["arms"][name]))

    straight, linear = "mse[straight_through]", "mse_linear"
    return (
        f"Started as usual and tuned, `mse` behind a sigmoid ends at {times(usual)} "
        "times the squared error of `bce`; started with every pixel white it ends at "
        f"{times(white)} times, of which saturation is {part('saturation')}, the "
        f"weighting of pixels {part('weighting')} and the gradient's scale "
        f"{part('scale')}. The same squared error with the sigmoid's derivative taken "
        f"as 1 (`{straight}`) ends there at {times(white, straight)} times, and on a "
        f"linear output (`{linear}`) at {times(white, linear)} times: it is the "
        "pairing of loss and output link.\n\n"
        f"The parts do not simply add up. Started as usual, `{_WEIGHED}` ends at "
        f"{arm(_WEIGHED)} times `bce` and `{_SATURATED}` at {arm(_SATURATED)} times, "
        "while `mse`, which has both parts, does not: weights that follow the output "
        "let a pixel go only once it is right. At one rate for all, gradient descent "
        "also pays for the size of the gradient: from the white start `mse` ends at "
        f"{times(plain)} times `bce`, {part('scale', plain)} of it by scale and "
        f"{part('saturation', plain)} by saturation."
    )


def _answers(conditions: Mapping[str, Mapping[str, Any]]) -> list[Finding]:
    """What the claim says must be, where every condition was run."""
    findings = []
    for grid, own in conditions.items():
        if "white" in grid:
            parts = {part: own["parts"][part][0] for part in PLAN.PARTS}
            low = own["parts"]["saturation"][1]
            largest = max(parts, key=lambda part: parts[part])
            findings.append(
                Finding(
                    f"{grid}: what makes `mse` worse is saturation",
                    "the largest part, above 0",
                    ", ".join(f"{k} x {math.exp(v):.2f}" for k, v in parts.items()),
                    largest == "saturation" and low > 0,
                    ""
                    if largest == "saturation"
                    else "at one rate plain gradient descent pays for the gradient's "
                    "length as well, which tuning and Adam make up for",
                    key="white_saturation" if grid == TUNED_WHITE else "",
                )
            )
        if "adam" in grid:
            center, low, high = own["beside"]["mse[straight_through]"]
            findings.append(
                Finding(
                    f"{grid}: `mse[straight_through]` is `bce`",
                    "ratio of mse 1 (accepted: its interval reaches 0.99 to 1.01)",
                    _ratio(Interval(center, low, high)),
                    math.exp(low) <= 1.01 and math.exp(high) >= 0.99,
                    "twice the gradient, which Adam does not see",
                )
            )
    return findings


def _variance(record: Record) -> dict[str, Interval]:
    """Shares of the variance of log mse over the factorial, the largest first.

    Intervals: percentiles over draws of the seeds, all conditions with the same ones.
    """
    shape = (2,) * len(PLAN.PARTS) + (
        len(PLAN.RATES),
        len(PLAN.STARTS),
        len(PLAN.POLICIES),
        PLAN.SEEDS,
    )
    table = np.zeros(shape)
    for i, optimiser in enumerate(PLAN.RATES):
        for j, start in enumerate(PLAN.STARTS):
            for k, policy in enumerate(PLAN.POLICIES):
                logs = _logs(record, PLAN.name_of(optimiser, start, policy))
                for arm, coalition in PLAN.GAME.items():
                    place = tuple(int(part in coalition) for part in PLAN.PARTS)
                    table[(*place, i, j, k)] = logs[arm]
    names = (*PLAN.PARTS, "optimiser", "start", "rate")
    rng = np.random.default_rng(0)
    draws: dict[str, list[float]] = {}
    for _ in range(DRAWS):
        own = table[..., rng.integers(0, PLAN.SEEDS, PLAN.SEEDS)].mean(-1)
        for name, share in variance_shares(own, names).items():
            draws.setdefault(name, []).append(share)
    whole = variance_shares(table.mean(-1), names)
    return {
        name: Interval(share, *map(float, np.percentile(draws[name], (2.5, 97.5))))
        for name, share in sorted(whole.items(), key=lambda item: -item[1])
        if share >= LEAST
    }


def _ratio(value: Interval) -> str:
    """A difference of logs as a factor with its interval."""
    if not math.isfinite(value.center):
        return "a run was lost"
    center, low, high = (math.exp(x) for x in (value.center, value.low, value.high))
    return f"{center:.2f} [{low:.2f}, {high:.2f}]"


def _percent(value: Interval) -> str:
    center, low, high = (100 * x for x in (value.center, value.low, value.high))
    return f"{center:.0f} % [{low:.0f}, {high:.0f}]"


def _plain(value: Interval) -> list[float | None]:
    """JSON-ready: no number is None."""
    ends = (value.center, value.low, value.high)
    return [float(f"{x:.6g}") if math.isfinite(x) else None for x in ends]


def _draw(drawn: Mapping[str, Mapping[str, Interval]]) -> Drawing:
    """Of every condition: the factor of mse, and what each part does to it."""
    names = ("difference", *PLAN.PARTS)
    marks = style.marks(names)
    high = 0.3 * len(drawn) + 1.1
    figure = Figure(figsize=(6.4, high))
    axes = figure.add_axes((0.26, 0.78 / high, 0.71, 1 - 0.9 / high))
    axes.axvline(1, color=INK, lw=0.8, linestyle=":")
    means = []
    for row, (grid, values) in enumerate(drawn.items()):
        for place, name in enumerate(names):
            value = values[name]
            y = row + 0.19 * (place - 1.5)
            ends = (value.low, value.center, value.high)
            low, center, top = (math.exp(x) for x in ends)
            mark = marks[name]
            axes.plot([low, top], [y, y], color=mark.colour, lw=1)
            axes.plot(
                center, y, marker=mark.marker, ms=4.5, color=mark.colour, ls="none"
            )
        means.append(f"{grid}: {math.exp(values['difference'].center):.2f}")
    axes.set_yticks(range(len(drawn)), list(drawn))
    axes.set_ylim(len(drawn) - 0.4, -0.6)
    axes.set_xscale("log")
    ticks = (0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("factor on test mse, `mse` arm over `bce` arm")
    for name, mark in marks.items():
        label = "whole difference" if name == "difference" else f"by {name}"
        axes.plot([], [], marker=mark.marker, color=mark.colour, ls="none", label=label)
    figure.legend(loc="lower center", ncols=4)
    return Drawing(
        figure,
        "Test mse of the mse arm over that of the bce arm in every condition, and the "
        f"factors that saturation, weighting and scale explain. {'; '.join(means)}.",
    )


STUDY = Study(
    conclude,
    config="surgery",
    columns=("diag_stuck_share", "diag_saturated_share"),
    answer=answer,
)
