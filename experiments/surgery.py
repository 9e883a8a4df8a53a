"""Is it the loss, or its pairing with the sigmoid?

Behind a sigmoid, squared error has the gradient 2 (p - y) p (1 - p) in a pixel's raw
output where cross-entropy has p - y. The factor does three things: it vanishes where
the output saturates (saturation), it weighs grey pixels above black and white ones
(weighting), and it is small (scale). Any of the three may make a network trained on
`mse` slower than one trained on `bce`.

Source: the claim is the textbook's (Goodfellow, Bengio and Courville 2016, section
6.2.2.2; Nielsen 2015, chapter 3; Golik, Doetsch and Ney, Interspeech 2013). None of
them takes the gradient apart; the factorial is this suite's.

Links:
https://www.deeplearningbook.org/contents/mlp.html
http://neuralnetworksanddeeplearning.com/chap3.html
https://doi.org/10.21437/Interspeech.2013-436

Protocol: the judge is time, not where a network stands at some step: the training steps
until the validation error falls to a quarter of the mean image's, linear between points
of the curve that are 10 steps apart. 1,000 steps are trained; an arm with a seed that
does not get there has no time and no ratio, and the seeds that do are counted. Eight
arms are all combinations of the three parts, made by cutting gradients
(lossjax.losses.gradient_cuts): `mse` has all three, `bce` none; `unweigh` takes the
weighting away by the target's own y (1 - y), `weigh` gives it; `bce_norm` and
`mse_norm` give the batch's gradient in raw output the length that the other loss's has
there. digits, conv_ae; the output starts at the mean image (usual), or every pixel
white at logit 2 (an output of 0.88) or 8 (0.9997). Adam, every seed of every arm at
the rate that it chose by its loss after 1,000 steps (tuned); gradient descent with
momentum 0.9, all at one rate, 0.3 (equal). 6 paired seeds.

Starts: `bce` and `mse` start from the same weights, so their ratio compares equal
starts. `mse_linear`, which has no sigmoid, starts at the same output image and not at
the same raw output (1 where a sigmoid has 8), so it is compared with itself only: what
a white start costs a loss is its time from there over its own from the usual start.

Identity: `mse[straight_through]` takes the sigmoid's derivative as 1. Its gradient is
twice that of `bce`, and Adam does not see a factor, so it must take as long: that
checks the machinery, and says nothing about networks.

Expected, from the claim: saturation is the largest part of the difference; from logit 8
`mse` does not get there on every seed and `bce` does; a white start costs `mse` more
than `bce`. Fixed after two seeds had been looked at from logits 2, 4 and 8, which set
the steps, the starts and the rates.

What was found: no shares of a difference can be given, for some arm has no time in
every condition but the usual start under Adam, where there is no difference. The arms
speak for themselves: from logit 8 under Adam all four with saturation fail on every
seed, and all four without it get there on every seed.

Deviations: lengths are made equal in raw output and not in the weights, where a
gradient's length depends on the network. A weight of the target is never below that of
the grey 0.02, or black pixels would not train at all. A rate is chosen by the loss at
the end, which need not be the rate that gets there first.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite import statistics
from lossjax.suite.report import style
from lossjax.suite.report.style import INK
from lossjax.suite.reproduce.configs import config
from lossjax.suite.reproduce.finding import Finding, noted
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study
from lossjax.suite.statistics import Interval

PLAN = config("surgery")
TIME = "diag_steps_to_quarter"
# The arm that has one part of mse's gradient and no other.
ALONE = {
    part: next(arm for arm, has in PLAN.GAME.items() if has == {part})
    for part in PLAN.PARTS
}
COST = ("bce", "mse", PLAN.LINEAR)  # losses whose price of a white start is shown
FAR = PLAN.name_of(PLAN.ADAM, "white 8", PLAN.TUNED)


def conclude(record: Record) -> Conclusion:
    """Every condition's times, the parts of their difference, the price of a start."""
    logs = {
        grid: {
            loss: np.log(arm.values)
            for loss, arm in record.trial(grid).columns[TIME].items()
        }
        for grid in record.trials
    }
    conditions = {grid: _condition(own) for grid, own in logs.items()}
    for grid, own in conditions.items():
        optimiser, _, policy = grid.split(", ")
        usual = logs[PLAN.name_of(optimiser, PLAN.USUAL, policy)]
        own["price"] = {
            loss: _plain(statistics.interval(logs[grid][loss] - usual[loss]))
            for loss in COST
        }
    lines = [_line(grid, own) for grid, own in conditions.items()]
    findings = [found for grid in conditions for found in _findings(grid, conditions)]
    return Conclusion(
        findings, pd.DataFrame(lines), [_draw(logs)], {"conditions": conditions}
    )


def _condition(logs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """One condition's numbers, JSON-ready; logs of times, NaN of what never came."""
    return {
        "seeds": len(logs["bce"]),
        "there": {loss: int(np.isfinite(x).sum()) for loss, x in logs.items()},
        "bce": _plain(statistics.interval(np.exp(logs["bce"]))),
        "ratios": {
            loss: _plain(statistics.interval(x - logs["bce"]))
            for loss, x in logs.items()
            if loss != "bce"
        },
    }


def _line(grid: str, own: Mapping[str, Any]) -> dict[str, str]:
    """A condition's line of the table."""
    there = f"{own['there']['bce']} of {own['seeds']} get there"
    steps = f"{own['bce'][0]:.0f}" if own["bce"][0] is not None else there
    line = {"condition": grid, "steps, `bce`": steps, "`mse` / `bce`": _times(own)}
    line |= {f"{part} alone": _times(own, arm) for part, arm in ALONE.items()}
    line["`mse`, length of `bce`"] = _times(own, "mse[bce_norm]")
    line[f"`{PLAN.STRAIGHT}` / `bce`"] = _times(own, PLAN.STRAIGHT)
    usual = f", {PLAN.USUAL}," in grid
    for loss in COST:
        price = "" if usual else _times(own, loss, own["price"])
        line[f"price of the start, `{loss}`"] = price
    return line


def _times(
    own: Mapping[str, Any],
    loss: str = "mse",
    ratios: Mapping[str, Any] | None = None,
) -> str:
    """A ratio of times, by default to that of bce; who gets there, where not all do."""
    value = (own["ratios"] if ratios is None else ratios)[loss]
    if value[0] is not None:
        return _ratio(value)
    for name in (loss, "bce"):
        if own["there"][name] < own["seeds"]:
            return f"{own['there'][name]} of {own['seeds']} get there"
    return "not all get there from the usual start"


def _findings(grid: str, conditions: Mapping[str, Any]) -> list[Finding]:
    """What the claim says must be, and what is only measured."""
    own = conditions[grid]
    there, n = own["there"], own["seeds"]
    findings = [
        noted(
            f"{grid}: steps with `mse` over steps with `bce`",
            _times(own),
            number=_number(own["ratios"]["mse"]),
        )
    ]
    if "white 8" in grid:
        holds = there["bce"] == n > there["mse"]
        findings.append(
            Finding(
                f"{grid}: `bce` gets there and `mse` does not on every seed",
                f"{n} of {n}, and fewer",
                f"{there['bce']} and {there['mse']} of {n}",
                holds,
                "" if holds else "the step size, not the loss, decides here",
                key="far_white" if grid == FAR else "",
            )
        )
        findings.append(
            noted(
                f"{grid}: seeds that get there, arms with saturation and without",
                f"{_there(own, True)} and {_there(own, False)}",
                key="far_parts" if grid == FAR else "",
            )
        )
    if "white" in grid and None not in (own["price"]["mse"][0], own["price"]["bce"][0]):
        dear, cheap = own["price"]["mse"], own["price"]["bce"]
        holds = dear[0] > cheap[0]
        findings.append(
            Finding(
                f"{grid}: the white start costs `mse` more than `bce`",
                "a larger factor on its own time from the usual start",
                f"{_ratio(dear)} and {_ratio(cheap)}",
                holds,
                ""
                if holds
                else "at logit 2 little is saturated yet (p (1 - p) = 0.10), and at "
                "one rate for all the gradient's size counts more",
            )
        )
    if grid.startswith(PLAN.ADAM):
        value = own["ratios"][PLAN.STRAIGHT]
        center = math.nan if value[0] is None else math.exp(value[0])
        findings.append(
            Finding(
                f"{grid}: `{PLAN.STRAIGHT}` takes as long as `bce`",
                "ratio 1 within 0.01: an identity, which checks the machinery",
                _times(own, PLAN.STRAIGHT),
                abs(center - 1) <= 0.01,
                "twice the gradient, which Adam does not see",
            )
        )
    return findings


def _number(logs: list[float | None]) -> Interval | None:
    """The factor that logs stand for."""
    if None in logs:
        return None
    return Interval(*(math.exp(x) for x in logs if x is not None))


def answer(counts: Mapping[str, Any]) -> str:
    """The claim answered in a few sentences, every number from the counts."""
    conditions = counts["conditions"]

    def at(start: str, optimiser: str = PLAN.ADAM, policy: str = PLAN.TUNED) -> Any:
        return conditions[PLAN.name_of(optimiser, start, policy)]

    usual, near, far = (at(start) for start in PLAN.STARTS)
    plain = at(PLAN.USUAL, PLAN.SGD, PLAN.EQUAL)
    prices = {
        loss: [_times(own, loss, own["price"]) for own in (near, far)]
        for loss in ("bce", PLAN.LINEAR)
    }
    return (
        "With Adam and tuned rates, from the usual start `mse` behind a sigmoid takes "
        f"{_times(usual)} times the steps of `bce`; with every pixel white at logit 2 "
        f"{_times(near)} times. From logit 8 the four arms with saturation get there "
        f"within {PLAN.STEPS:,} steps on {_there(far, True)} seeds, those without it "
        f"on {_there(far, False)}. Each loss against its own usual start, the white "
        f"ones cost `bce` {prices['bce'][0]} and {prices['bce'][1]} times the steps; "
        "on a linear output, where nothing saturates, squared error pays "
        f"{prices[PLAN.LINEAR][0]} and {prices[PLAN.LINEAR][1]}: it is the pairing of "
        "loss and output link.\n\n"
        "The parts do not simply add up. From the usual start saturation alone takes "
        f"{_times(usual, ALONE['saturation'])} times the steps of `bce` and the "
        f"weighting alone {_times(usual, ALONE['weighting'])} times, while `mse`, "
        "which has both, does not: weights that follow the output let a pixel go only "
        "once it is right. With gradient descent at one rate for all, the size of the "
        f"gradient counts too: from the usual start `mse` takes {_times(plain)} times "
        f"the steps of `bce`, and {_times(plain, 'mse[bce_norm]')} times once its "
        "gradient is given the length of that of `bce`."
    )


def _there(own: Mapping[str, Any], saturated: bool) -> str:
    """On how many seeds the arms with saturation, or those without it, get there."""
    arms = [arm for arm, has in PLAN.GAME.items() if ("saturation" in has) == saturated]
    whole = own["seeds"] * len(arms)
    return f"{sum(own['there'][arm] for arm in arms)} of {whole}"


def _ratio(logs: list[float | None]) -> str:
    """A difference of logs as a factor with its interval."""
    center, low, high = (math.exp(x) for x in logs if x is not None)
    return f"{center:.2f} [{low:.2f}, {high:.2f}]"


def _plain(value: Interval) -> list[float | None]:
    """JSON-ready: no number is None."""
    ends = (value.center, value.low, value.high)
    return [float(f"{x:.6g}") if math.isfinite(x) else None for x in ends]


def _draw(logs: Mapping[str, Mapping[str, np.ndarray]]) -> Drawing:
    """Every seed's steps to the threshold, by condition and loss."""
    losses = ("bce", "mse", PLAN.LINEAR)
    marks = style.marks(losses)
    high = 0.3 * len(logs) + 1.1
    figure = Figure(figsize=(6.4, high))
    axes = figure.add_axes((0.24, 0.78 / high, 0.73, 1 - 0.9 / high))
    axes.axvline(PLAN.STEPS, color=INK, lw=0.8, linestyle=":")
    said = []
    for row, (grid, own) in enumerate(logs.items()):
        for place, loss in enumerate(losses):
            mark, steps = marks[loss], np.exp(own[loss])
            steps = np.where(np.isfinite(steps), steps, 1.25 * PLAN.STEPS)
            axes.plot(
                steps,
                np.full(len(steps), row + 0.22 * (place - 1)),
                marker=mark.marker,
                ms=4,
                color=mark.colour,
                alpha=0.7,
                ls="none",
            )
        there = ", ".join(
            f"{loss} {np.exp(own[loss]).mean():.0f}"
            if np.isfinite(own[loss]).all()
            else f"{loss} not on every seed"
            for loss in losses
        )
        said.append(f"{grid}: {there}")
    axes.set_yticks(range(len(logs)), list(logs))
    axes.set_ylim(len(logs) - 0.4, -0.6)
    axes.set_xscale("log")
    ticks = (20, 50, 100, 200, 500, 1000)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(f"steps to the threshold; right of the line: not in {PLAN.STEPS:,}")
    for name, mark in marks.items():
        axes.plot([], [], marker=mark.marker, color=mark.colour, ls="none", label=name)
    figure.legend(loc="lower center", ncols=len(losses))
    return Drawing(
        figure,
        "Training steps until the validation error is a quarter of the mean image's, "
        f"a mark for each seed. {'; '.join(said)}.",
    )


STUDY = Study(
    conclude,
    config="surgery",
    columns=(TIME, "diag_stuck_share"),
    answer=answer,
)
