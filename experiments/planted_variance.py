"""Is the best g of power(g) where a planted variance puts it?

Targets scatter around the clean image with variance s^a, s = p (1 - p). The response
curve over power(g) should have its optimum at g* = 1 - a.

Source: the best weight of a residual is one over its variance (Wedderburn 1974, quasi-
likelihood); the gradient of power(g) in the logit weighs a residual by s^g, the
derivative of the sigmoid is s, so the weight is s^(g-1) and g* = 1 - a.

Links:
https://doi.org/10.1093/biomet/61.3.439

Protocol: 21 values of g from -0.5 to 2 on the images of `planted_noise` (8x8, four
latents, logits of standard deviation 4, linear_ae), noise of variance scale^2 s^a,
judged by `mse` on clean test images. Every value of g is tuned and trained as in any
sweep. A trial's curve is the mean over seeds; its optimum is that of a parabola through
log mse at the least point and two on each side; the interval is Student's t over
trials.

Conditions: enough steps. After 200 steps the optimum for constant variance lies below
1: a smaller g trains faster, and has not yet been caught up with. The same grids of 200
steps are shown with those of 400, so that the shift can be read.

What differs: for variance s the optimum lies above 0, and the interval says so. The g*
of theory is that of a model without error of its own and of endless data. Two pulls are
supposed and not shown by these rows: with little data small weights are given to pixels
whose p is itself badly known, and with little noise the model's own error counts, which
mse, being the judge, is best at. Their cost is below the margin of 1 % in every trial
in which g* is tied for best, which is counted here.

The parabola must be narrow: the curve rises much faster to the left than to the right,
so that points far from the least one would pull the optimum upwards.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite import statistics
from lossjax.suite.report import style
from lossjax.suite.reproduce.configs import config
from lossjax.suite.reproduce.finding import Finding
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Trial

PLAN = config("planted_variance")
SIDE = 2  # points of the parabola on each side of the least one
LOSS_AT = {g: loss for loss, g in PLAN.KNOB.items()}


def conclude(record: Record) -> Conclusion:
    """The optimum of every law's response curve, and whether it covers g* = 1 - a."""
    trials, judge = record.trials, record.judge
    assert judge is not None
    findings, lines, counts = [], [], {}
    curves = {law: _curves(trials[PLAN.grid(law, PLAN.STEPS)]) for law in PLAN.LAWS}
    optima = {law: [optimum(curve) for curve in curves[law]] for law in PLAN.LAWS}
    for law, (exponent, _) in PLAN.LAWS.items():
        found = statistics.interval(optima[law])
        planted, width = 1 - exponent, found.high - found.low
        covers = found.low <= planted <= found.high
        shown = f"{found.center:.3f} [{found.low:.3f}, {found.high:.3f}]"
        shown_trials = trials[PLAN.grid(law, PLAN.STEPS)]
        own = LOSS_AT[planted]
        kept = sum(judge.rank(t.arms).of(own).best_set for t in shown_trials)
        n = len(shown_trials)
        findings += [
            Finding(
                f"{law}: the optimum covers g* = {planted:g}",
                f"{planted:g}",
                shown,
                covers,
                ""
                if covers
                else "supposed: the model's own error and little data; see the text",
            ),
            Finding(
                f"{law}: g* = {planted:g} is tied for best (margin 1 %)",
                f"{n} of {n} trials",
                str(kept),
                kept == n,
            ),
            Finding(
                f"{law}: width of its interval",
                "below 0.5",
                f"{width:.2f}",
                width < 0.5,
            ),
        ]
        early = [
            (steps, statistics.interval([optimum(c) for c in _curves(short)]))
            for steps in PLAN.TRIALS
            if steps != PLAN.STEPS and (short := trials.get(PLAN.grid(law, steps)))
        ]
        for steps, sooner in early:
            findings.append(
                Finding(
                    f"{law}: the optimum after {steps} steps",
                    f"below that after {PLAN.STEPS}: a smaller g trains faster",
                    f"{sooner.center:.3f} [{sooner.low:.3f}, {sooner.high:.3f}]",
                    sooner.center < found.center,
                )
            )
        cost = np.exp(curves[law].mean(0) - curves[law].mean(0).min()) - 1
        at = dict(zip(PLAN.VALUES, cost.tolist(), strict=True))
        lines.append(
            {
                "variance": f"s^{exponent:g}",
                "planted g*": f"{planted:g}",
                "optimum": shown,
                "g* tied for best": f"{kept} of {n}",
                "mse lost at g*": f"{100 * at[planted]:.1f} %",
                **{f"after {n} steps": f"{x.center:.3f}" for n, x in early},
                "mse lost at g = 0 (bce)": f"{100 * at[0.0]:.1f} %",
                "at g = 0.5": f"{100 * at[0.5]:.1f} %",
                "at g = 1 (half-MSE)": f"{100 * at[1.0]:.1f} %",
            }
        )
        counts[law] = {
            "planted": planted,
            "center": found.center,
            "low": found.low,
            "high": found.high,
            "optima": [float(f"{x:.6g}") for x in optima[law]],
        }
    table = pd.DataFrame(lines, dtype=object)
    return Conclusion(findings, table, [_draw(curves, counts)], {"laws": counts})


def _curves(trials: Sequence[Trial]) -> np.ndarray:
    """(trials, values) log of the mean error at every value of the knob."""
    scores = [[np.mean(t.arms[loss].values) for loss in PLAN.KNOB] for t in trials]
    return np.log(np.array(scores))


def optimum(curve: np.ndarray) -> float:
    """Where a parabola through the least point and its neighbours has its own."""
    values = np.array(PLAN.VALUES)
    least = int(np.clip(np.nanargmin(curve), SIDE, len(values) - 1 - SIDE))
    near = slice(least - SIDE, least + SIDE + 1)
    square, slope, _ = np.polyfit(values[near], curve[near], 2)
    ends = values[near][0], values[near][-1]
    return float(np.clip(-slope / (2 * square), *ends)) if square > 0 else math.nan


def _draw(curves: Mapping[str, np.ndarray], counts: Mapping[str, Any]) -> Drawing:
    """Error over its least against g; the optimum with its interval below."""
    marks = style.marks(tuple(PLAN.LAWS))
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.add_axes((0.11, 0.24, 0.86, 0.72))
    top, told = 1.3, []
    for law, mark in marks.items():
        ratio = np.exp(curves[law] - curves[law].min(1, keepdims=True))
        low, middle, high = np.percentile(ratio, [5, 50, 95], axis=0)
        axes.fill_between(PLAN.VALUES, low, high, color=mark.colour, alpha=0.14, lw=0)
        label = f"variance s^{PLAN.LAWS[law][0]:g}"
        axes.plot(
            PLAN.VALUES,
            middle,
            color=mark.colour,
            marker=mark.marker,
            ms=4,
            label=label,
        )
        found = counts[law]
        y = 0.985 - 0.012 * mark.index
        axes.plot([found["low"], found["high"]], [y, y], color=mark.colour, lw=3)
        axes.axvline(found["planted"], color=mark.colour, lw=0.9, linestyle=":")
        told.append(
            f"{law}: planted {found['planted']:g}, found {found['low']:.2f} to "
            f"{found['high']:.2f}"
        )
    axes.set_ylim(0.95, top)
    axes.set_xlabel("g of power(g): 0 is bce, 1 is half-MSE")
    axes.set_ylabel("mse over its least")
    figure.legend(loc="lower center", ncols=3)
    return Drawing(
        figure,
        "Error against the knob for three planted variance laws; dotted lines are the "
        "planted optima, bars below the intervals found. " + "; ".join(told),
    )


STUDY = Study(
    conclude,
    config="planted_variance",
)
