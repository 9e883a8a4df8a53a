"""One loss against itself: how often is a difference seen?

Source: the 99 % binomial limit of a test at 5 %.

Protocol: bce on 8x8 images with Bernoulli noise, in four arms that differ in their
seeds only. Each arm goes the whole way alone, its own tuning seeds choosing its rate
from one of three grids of rates; then the ranking of a sweep compares arms by final
seed, with margin 0. At a level of 5 % at most 18 of 200 comparisons may differ (the
99 % binomial limit). Two counts are taken: the first two arms against each other, and
how often a given arm is left out of the best set of all four, which is what a best set
promises. The same rows are then counted with one-sided p-values and without Holm's
correction: over all grids together that harness must break the limit of 600.

A verdict is about losses at the rates that two tuning seeds chose: wherever tuning gave
the four arms different rates the ranking told some of them apart, rightly for the
rates, wrongly for the loss. The column "(rates differ)" counts these trials.

Beside it, losses that are one loss under two names: huber with delta 1 and 2, on
residuals below 1, must come out bitwise equal and be called identical; mse is twice
huber(delta=1), so its mean differs by 0.1 % at most.
"""

import types
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from lossjax.suite import statistics
from lossjax.suite.report.style import COLOURS, INK, PAPER
from lossjax.suite.reproduce.configs import config
from lossjax.suite.reproduce.finding import Finding
from lossjax.suite.reproduce.study import (
    Conclusion,
    Drawing,
    Judge,
    Record,
    Study,
    Trial,
    Trials,
)
from lossjax.suite.statistics import Arm

PLAN = config("aa")
FIRST = "block 0"
CARELESS = "one-sided, no Holm"
MUTANTS: Mapping[str, dict[str, bool]] = types.MappingProxyType(
    {
        "one-sided": {"one_sided": True, "holm": True},
        "no Holm": {"one_sided": False, "holm": False},
        CARELESS: {"one_sided": True, "holm": False},
    }
)


def conclude(record: Record) -> Conclusion:
    """False differences under every grid of rates, by the harness and by mutants."""
    trials, judge = record.trials, record.judge
    assert judge is not None
    arms = {name: _arms(trials, name) for name in PLAN.RATES}
    counts: dict[str, Any] = {}
    findings: list[Finding] = []
    lines: list[dict[str, Any]] = []
    for name, sweeps in arms.items():
        n = len(sweeps)
        limit = int(stats.binom.ppf(0.99, n, statistics.LEVEL))
        pairs = [{k: a[k] for k in list(a)[:2]} for a in sweeps]
        pair = sum(len(_best_set(judge, a)) < 2 for a in pairs)
        best = [_best_set(judge, a) for a in sweeps]
        left = sum(FIRST not in found for found in best)
        differ = _rates_differ(trials, name)
        apart = sum(differ)
        lost = [len(found) < PLAN.BLOCKS for found in best]
        some = sum(lost)
        both = sum(a and b for a, b in zip(lost, differ, strict=True))
        unadjusted = [against_best(judge, a) for a in sweeps]
        mutants = {
            label: sum(FIRST in careless(p, **how) for p in unadjusted)
            for label, how in MUTANTS.items()
        }
        counts[name] = {
            "comparisons": n,
            "limit": limit,
            "pair": pair,
            "left_out": left,
            "some_left_out": some,
            "rates_differ": apart,
            "some_left_out_where_rates_differ": both,
            "mutants": mutants,
        }
        wanted = f"at most {limit} of {n}"
        findings += [
            Finding(f"{name}: two arms differ", wanted, str(pair), pair <= limit),
            Finding(
                f"{name}: a given arm of {PLAN.BLOCKS} is left out of the best set",
                wanted,
                str(left),
                left <= limit,
            ),
            Finding(
                f"{name}: some arm of {PLAN.BLOCKS} is left out",
                "nothing: a best set does not promise it",
                str(some),
                True,
                f"{both} of them in the {apart} trials where tuning gave the arms "
                "different rates",
                decides=False,
            ),
        ]
        lines.append(
            {
                "rates": f"{name} ({', '.join(f'{r:g}' for r in PLAN.RATES[name])})",
                "comparisons": n,
                "two arms differ": pair,
                f"given arm of {PLAN.BLOCKS} left out": left,
                f"some arm of {PLAN.BLOCKS} left out": some,
                "(rates differ)": f"{both} of {apart}",
                "limit": limit,
                **mutants,
            }
        )
    every = sum(counts[name]["comparisons"] for name in PLAN.RATES)
    limit = int(stats.binom.ppf(0.99, every, statistics.LEVEL))
    left = sum(counts[name]["left_out"] for name in PLAN.RATES)
    careless_left = sum(counts[name]["mutants"][CARELESS] for name in PLAN.RATES)
    findings += [
        Finding(
            "all rates together: a given arm is left out",
            f"at most {limit} of {every}",
            str(left),
            left <= limit,
        ),
        Finding(
            "the same with one-sided p and no Holm: the limit is broken",
            f"more than {limit} of {every}",
            str(careless_left),
            careless_left > limit,
        ),
    ]
    summed = {
        key: sum(line[key] for line in lines)
        for key, value in lines[0].items()
        if isinstance(value, int) and key != "limit"
    }
    together = {
        "(rates differ)": " of ".join(
            str(sum(counts[name][key] for name in PLAN.RATES))
            for key in ("some_left_out_where_rates_differ", "rates_differ")
        )
    }
    lines.append({"rates": "all", "limit": limit, **summed, **together})
    twins = _twins(trials[PLAN.TWINS], judge)
    counts[PLAN.TWINS] = twins
    n = twins["trials"]
    findings += [
        Finding(
            "bitwise equal arms are called identical",
            f"{n} of {n}",
            f"{twins['identical']} of {n}",
            twins["identical"] == n,
        ),
        Finding(
            "mse and huber(delta=1): means differ by",
            "at most 0.1 %",
            f"{100 * twins['largest']:.2g} %",
            twins["largest"] <= 1e-3,
        ),
    ]
    return Conclusion(
        findings, pd.DataFrame(lines, dtype=object), [_draw(counts)], counts
    )


def _arms(trials: Trials, name: str) -> list[dict[str, Arm]]:
    """For each dataset the arms of all blocks; each block is one loss's."""
    blocks = [trials[f"{name}, block {block}"] for block in range(PLAN.BLOCKS)]
    return [
        {f"block {k}": trial.arms["bce"] for k, trial in enumerate(same)}
        for same in zip(*blocks, strict=True)
    ]


def _rates_differ(trials: Trials, name: str) -> list[bool]:
    """For each dataset whether tuning gave the arms different rates."""
    blocks = [trials[f"{name}, block {block}"] for block in range(PLAN.BLOCKS)]
    return [
        len({t.rates["bce"] for t in same}) > 1 for same in zip(*blocks, strict=True)
    ]


def _best_set(judge: Judge, arms: Mapping[str, Arm]) -> set[str]:
    return {s.loss for s in judge.rank(arms, margin=0).best_set}


def against_best(judge: Judge, arms: Mapping[str, Arm]) -> dict[str, float]:
    """Two-sided p of every arm but the best one, unadjusted."""
    sign = 1.0 if judge.direction == "lower" else -1.0
    best = min(arms, key=lambda name: sign * float(np.mean(arms[name].values)))
    rivals = [name for name in arms if name != best]
    gaps = np.array([sign * (arms[r].values - arms[best].values) for r in rivals])
    return dict(zip(rivals, statistics.sign_flip(gaps).tolist(), strict=True))


def careless(p: Mapping[str, float], *, one_sided: bool, holm: bool) -> set[str]:
    """The arms that a harness calls worse than the best; a sound one has neither fault.

    With `one_sided` False and `holm` True it is `statistics.rank` with margin 0.
    """
    values = np.array(list(p.values())) / (2 if one_sided else 1)
    values = statistics.holm(values) if holm else values
    return {r for r, x in zip(p, values, strict=True) if x <= statistics.LEVEL}


def _twins(trials: Sequence[Trial], judge: Judge) -> dict[str, Any]:
    one, two = "huber(delta=1)", "huber(delta=2)"
    identical, differences = 0, []
    for trial in trials:
        pair = {name: trial.arms[name] for name in (one, two)}
        relations = [s.relation for s in judge.rank(pair, margin=0).standings]
        identical += relations == ["best", "identical"]
        mse, half = (float(np.mean(trial.arms[x].values)) for x in ("mse", one))
        differences.append(abs(mse - half) / half)
    return {
        "trials": len(trials),
        "identical": identical,
        "largest": max(differences),
    }


def _draw(counts: Mapping[str, Any]) -> Drawing:
    """False differences of the harness and of its mutants, with the limit."""
    bars = ["harness", *MUTANTS]
    figure = Figure(figsize=(6.4, 3.2))
    axes = figure.add_axes((0.09, 0.24, 0.89, 0.72))
    told = []
    for place, name in enumerate(PLAN.RATES):
        found = counts[name]
        values = [found["left_out"], *found["mutants"].values()]
        shares = [100 * value / found["comparisons"] for value in values]
        for k, (share, bar) in enumerate(zip(shares, bars, strict=True)):
            x = place + 0.2 * (k - 1.5)
            label = bar if place == 0 else None
            axes.bar(x, share, 0.17, color=COLOURS[k], label=label)
            axes.annotate(
                f"{share:.3g}",
                (x, share),
                ha="center",
                va="bottom",
                zorder=3,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6},
            )
            told.append(f"{name}, {bar}: {share:.3g} %")
        limit = 100 * found["limit"] / found["comparisons"]
        axes.plot([place - 0.42, place + 0.42], [limit] * 2, color=INK, linestyle="--")
    axes.set_xticks(range(len(PLAN.RATES)), [f"rates: {name}" for name in PLAN.RATES])
    axes.set_ylabel("a given arm of four left out (%)")
    axes.grid(axis="x", visible=False)
    figure.legend(loc="lower center", ncols=4)
    return Drawing(
        figure,
        "How often one of four arms of the same loss is left out of the best set; the "
        "dashed line is the limit. " + "; ".join(told),
    )


STUDY = Study(
    conclude,
    config="aa",
)
