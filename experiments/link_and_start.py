"""Does a bad start hurt squared error more, behind a sigmoid?

The last layer starts badly, for each of `bce`, `mse` behind a sigmoid and `mse` on a
linear output.

Source: Golik, Doetsch and Ney (Interspeech 2013): "with randomly initialized weights,
the squared error based ANN does not converge to a good local optimum"; with a good
start it does. Their numbers are word error rates of recognisers, which cannot be run
here.

Links:
https://doi.org/10.21437/Interspeech.2013-436

Protocol: digits, conv_ae, 400 steps, Adam, every loss at its own best rate for every
start, 10 paired seeds, test mse. The last layer's kernel starts at 1, 3 and 10 times
its usual size; or its bias starts where every pixel reads out white, at logits 4 and 8
(a linear output starts at the same image). Degradation is test mse over that of the
same loss at the usual start, less 1; it is expected to be more than 3 times bce's for
`mse` behind a sigmoid, and below 0.1 for `mse` on a linear output.

Deviations: an autoencoder and not a recogniser. The paper's third schedule, training by
cross-entropy and polishing by squared error, is not run: a run has one loss. A start
must be wrong with confidence to hurt: a kernel ten times too wide costs `bce` and `mse`
the same under Adam, for no pixel stays stuck (stalled and wrong), while a bias that
says white everywhere leaves more than a quarter of them stuck under `mse` and none
under the others. A linear output has no plateau to be stuck on, but it does lose by a
bad start: squared error grows with the square of how far off it begins, and 400 steps
do not undo all of it.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite import statistics
from lossjax.suite.report import style
from lossjax.suite.reproduce.configs import config
from lossjax.suite.reproduce.finding import Finding, cannot, measured
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study
from lossjax.suite.statistics import Interval

PLAN = config("link_and_start")


def conclude(record: Record) -> Conclusion:
    """Every loss's mse from every start, and what a bad start costs it."""
    arms = {s: record.trial(s).arms for s in record.trials}
    usual = {loss: np.log(arms[PLAN.USUAL][loss].values) for loss in PLAN.LOSSES}
    worse: dict[str, dict[str, Interval]] = {}
    lines: list[dict[str, str]] = []
    for start, own in arms.items():
        trial, line = record.trial(start), {"start": start}
        worse[start] = {}
        for loss in PLAN.LOSSES:
            mean = statistics.interval(own[loss].values)
            found = statistics.interval(np.log(own[loss].values) - usual[loss])
            factor = Interval(*(math.exp(x) for x in vars(found).values()))
            worse[start][loss] = factor
            line[f"`{loss}`"] = f"{mean.center:.4f}"
            stuck = trial.mean(loss, "diag_stuck_share").center
            if start != PLAN.USUAL:
                low, high = sorted((factor.low, factor.high))
                line[f"`{loss}`"] += (
                    f" (x {factor.center:.2f} [{low:.2f}, {high:.2f}], "
                    f"stuck {100 * stuck:.0f} %)"
                )
        lines.append(line)
    findings: list[Finding] = []
    for start in PLAN.BAD:
        if start not in worse:
            continue
        lost = {loss: worse[start][loss].center - 1 for loss in PLAN.LOSSES}
        ratio = lost["mse"] / max(lost["bce"], 1e-9)
        findings += [
            Finding(
                f"{start}: degradation of mse behind a sigmoid over bce's",
                "over 3",
                f"{ratio:.2f} ({lost['mse']:.2f} over {lost['bce']:.2f})",
                ratio > 3,
                "" if ratio > 3 else "no pixel is stuck; see the text",
            ),
            Finding(
                f"{start}: degradation of mse on a linear output",
                "none, or below 0.1",
                f"{lost['mse_linear']:.2f}",
                lost["mse_linear"] < 0.1,
                ""
                if lost["mse_linear"] < 0.1
                else "far off and not stuck; see the text",
            ),
        ]
    findings += [
        measured(f"{start}: factor on `{loss}`", worse[start][loss])
        for start in worse
        if start != PLAN.USUAL
        for loss in PLAN.LOSSES
    ]
    findings.append(
        cannot(
            "word error rate, squared error from random weights",
            "does not converge to a good optimum",
            "speech and handwriting recognisers, and their data, are not part of this",
        )
    )
    counts: dict[str, Any] = {
        "factors": {
            start: {loss: float(f"{f.center:.6g}") for loss, f in own.items()}
            for start, own in worse.items()
        }
    }
    return Conclusion(findings, pd.DataFrame(lines), [_draw(record)], counts)


def _draw(record: Record) -> Drawing:
    """Test mse against the start, one line per loss; every seed a point."""
    marks = style.marks(PLAN.LOSSES)
    figure = Figure(figsize=(6.4, 3.4))
    axes = figure.add_axes((0.11, 0.26, 0.87, 0.7))
    starts, told = list(record.trials), []
    for place, loss in enumerate(PLAN.LOSSES):
        mark = marks[loss]
        values = [record.trial(start).arms[loss].values for start in starts]
        x = np.arange(len(starts)) + 0.12 * (place - 1)
        for at, own in zip(x, values, strict=True):
            axes.plot([at] * len(own), own, ".", ms=3, color=mark.colour, alpha=0.6)
        means = [np.mean(own) for own in values]
        axes.plot(x, means, color=mark.colour, marker=mark.marker, label=loss)
        told.append(f"{loss} " + ", ".join(f"{mean:.3f}" for mean in means))
    axes.set_yscale("log")
    ticks = (0.02, 0.03, 0.05, 0.1, 0.2)
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xticks(range(len(starts)), starts, fontsize=8)
    axes.set_ylabel("test mse of digits")
    axes.set_xlabel("how the last layer starts")
    figure.legend(loc="lower center", ncols=3)
    return Drawing(
        figure,
        f"Test mse of digits by the last layer's start ({', '.join(starts)}): "
        + "; ".join(told)
        + ".",
    )


STUDY = Study(
    conclude,
    config="link_and_start",
    columns=("diag_stuck_share", "diag_saturated_share"),
)
