"""Is the loss that fits the noise found, for six laws of noise?

Where theory says which loss is best, the comparison must say so too.

Source: maximum likelihood; quasi-likelihood (Wedderburn 1974).

Links:
https://doi.org/10.1093/biomet/61.3.439

Protocol: every trial is a small set of images that a linear decoder with a sigmoid can
draw exactly (four latents, logits of standard deviation 4, 600 training images of 8x8).
The network sees the clean image; its target carries noise of one law, drawn once per
training image, never clipped. Test images are clean, and the judge is `mse` against
them. The matched loss is the law's likelihood up to constants (its quasi-likelihood for
the last law, whose variance is p (1 - p)): no estimating function has a smaller
asymptotic covariance, in every direction at once, so every error that is quadratic near
the truth would judge alike.

Conditions: a realizable model (linear_ae with as many latents as the decoder),
noise-limited (few images, much noise); rates are tuned on clean validation images. The
control without noise says how large the model's own error is, from an encoder that
cannot invert the sigmoid exactly, and how little it depends on the loss.

A third loss takes part where it costs little, so that three can be tied for best. The
foil was named before the runs: the other of bce and mse, or mse.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from lossjax.suite.report import style
from lossjax.suite.report.style import INK, PAPER
from lossjax.suite.reproduce.configs import config
from lossjax.suite.reproduce.finding import Finding
from lossjax.suite.reproduce.rows import ratios
from lossjax.suite.reproduce.study import (
    Conclusion,
    Drawing,
    Judge,
    Record,
    Study,
    Trial,
    Trials,
)

PLAN = config("planted_noise")


def conclude(record: Record) -> Conclusion:
    """Counts of every law, and the errors beside the matched loss's."""
    trials, judge = record.trials, record.judge
    assert judge is not None
    counts = {law: _count(PLAN.LAWS[law], trials[law], judge) for law in PLAN.LAWS}
    findings, lines = [], []
    for law, count in counts.items():
        n, row = count["trials"], PLAN.LAWS[law]
        found = stats.binomtest(count["best_set"], n).proportion_ci(method="exact")
        findings.append(
            Finding(
                f"{law}: {row.matched} tied for best",
                f"of {n}, lower limit (Clopper-Pearson, 95 %) at least .90",
                f"{count['best_set']} (from {found.low:.3f})",
                found.low >= 0.9,
            )
        )
        findings.append(
            Finding(
                f"{law}: {row.matched} significantly better than {row.foil}",
                f"at least {_share(80, n)} of {n}",
                str(count["strictly"]),
                count["strictly"] >= _share(80, n),
            )
        )
        findings.append(
            Finding(
                f"{law}: a wrong loss is best alone",
                f"at most {_share(9, n)} of {n}",
                str(count["wrong"]),
                count["wrong"] <= _share(9, n),
            )
        )
        power = stats.binomtest(count["strictly"], n).proportion_ci(method="exact")
        lines.append(
            {
                "noise": law,
                "matched": row.matched,
                "foil": row.foil,
                "tied for best": f"{count['best_set']} of {n}",
                "significantly better": f"{count['strictly']} of {n}",
                "power": f"{count['strictly'] / n:.2f} [{power.low:.2f}, "
                f"{power.high:.2f}]",
                "a wrong loss best alone": f"{count['wrong']} of {n}",
                "mse of the foil": f"{count['ratio'][row.foil]:.2f} x",
                "learning rates": count["rates"],
            }
        )
    control = trials[PLAN.CONTROL.noise]
    alone = {loss: _error(control, loss) for loss in control[0].arms}
    findings.append(
        Finding(
            "no noise: what the model itself leaves",
            "little beside what the noise adds, alike for every loss",
            ", ".join(f"{loss} {error:.5f}" for loss, error in alone.items()),
            True,
            f"with gaussian noise mse is {_error(trials['gaussian'], 'mse'):.5f}",
            decides=False,
        )
    )
    found = {"laws": counts, "no_noise": alone}
    table = pd.DataFrame(lines, dtype=object)
    return Conclusion(findings, table, [_draw(trials)], found)


def _count(law: Any, trials: Sequence[Trial], judge: Judge) -> dict[str, Any]:
    best_set = strictly = wrong = 0
    for trial in trials:
        names = {s.loss for s in judge.rank(trial.arms).best_set}
        best_set += law.matched in names
        wrong += len(names) == 1 and law.matched not in names
        pair = {loss: trial.arms[loss] for loss in (law.matched, law.foil)}
        strictly += {s.loss for s in judge.rank(pair).best_set} == {law.matched}
    rates = np.concatenate([trial.rates[law.matched] for trial in trials])
    chosen = np.unique(rates[np.isfinite(rates)])
    return {
        "trials": len(trials),
        "best_set": best_set,
        "strictly": strictly,
        "wrong": wrong,
        "ratio": {
            loss: float(np.mean(ratios(trials, loss, law.matched)))
            for loss in trials[0].arms
        },
        "diverged": sum(a.diverged for t in trials for a in t.arms.values()),
        "rates": ", ".join(f"{rate:.3g}" for rate in chosen),
    }


def _error(trials: Sequence[Trial], loss: str) -> float:
    """Mean score of a loss over trials and seeds."""
    return float(np.mean([np.mean(trial.arms[loss].values) for trial in trials]))


def _share(limit: int, trials: int) -> int:
    """A limit set for a hundred trials, for fewer."""
    return limit * trials // 100


def _draw(trials: Trials) -> Drawing:
    """Every loss's error over the matched loss's: median and 5 to 95 % of trials."""
    names = list(
        dict.fromkeys(loss for law in PLAN.LAWS.values() for loss in law.losses)
    )
    marks = style.marks(tuple(names))
    figure = Figure(figsize=(6.4, 3.6))
    axes = figure.add_axes((0.14, 0.25, 0.83, 0.71))
    axes.axvline(1, color=INK, lw=0.8, linestyle=":")
    told = []
    for row, (name, law) in enumerate(PLAN.LAWS.items()):
        for place, loss in enumerate(trials[name][0].arms):
            values = ratios(trials[name], loss, law.matched)
            low, middle, high = np.nanpercentile(values, [5, 50, 95])
            y = row + 0.22 * (place - (len(law.losses) - 1) / 2)
            mark = marks[loss]
            axes.plot([low, high], [y, y], color=mark.colour)
            axes.plot(
                middle,
                y,
                marker=mark.marker,
                color=mark.colour,
                markerfacecolor=mark.colour if place == 0 else PAPER,
                linestyle="none",
            )
            told.append(f"{name}: {loss} {middle:.2f}")
    axes.set_yticks(range(len(PLAN.LAWS)), list(PLAN.LAWS))
    axes.set_ylim(len(PLAN.LAWS) - 0.5, -0.5)
    axes.set_xscale("log")
    ticks = (1, 1.2, 1.5, 2, 3, 5, 10, 20, 50)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("mse against the clean image, over that of the matched loss")
    for loss, mark in marks.items():
        axes.plot(
            [], [], marker=mark.marker, color=mark.colour, label=loss, linestyle="none"
        )
    figure.legend(loc="lower center", ncols=len(marks))
    return Drawing(
        figure,
        "Median error over trials, over that of the matched loss, by noise law. "
        + "; ".join(told),
    )


STUDY = Study(
    conclude,
    config="planted_noise",
)
