"""One loss against itself: how often is a difference seen?

Source: the level of a test at 5 %.

Protocol: bce on 8x8 images with Bernoulli noise, 2,000 seeds, each of which chooses its
learning rate for itself from one of three grids of rates. Of such a pool 1,000 trials
are drawn, four arms of ten seeds each that share no seed, and the ranking of a sweep
compares them, with margin 0, at which every difference counts. There is none: the arms
are one loss. A given arm may be left out of those tied for best in at most 5 % of the
trials, which is what "tied for best" promises, and the interval may reach to 7.5 %. The
interval is a bootstrap over seeds: 100 times a pool is drawn from the pool, and trials
from that; 1.96 standard deviations of these to each side.

The same trials are then counted by a harness with one-sided p-values and without Holm's
correction, which must break the limit.

Beside it, losses that are one loss under two names: huber with delta 1 and 2, on
residuals below 1, must come out bitwise equal and be called equivalent; mse is twice
huber(delta=1), so its mean differs by 0.1 % at most.
"""

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite import statistics
from lossjax.suite.report.style import COLOURS, INK, PAPER
from lossjax.suite.reproduce.configs import config
from lossjax.suite.reproduce.finding import Finding, shown
from lossjax.suite.reproduce.study import (
    Conclusion,
    Drawing,
    Judge,
    Record,
    Study,
    Trial,
)
from lossjax.suite.statistics import Interval, Scores

PLAN = config("aa")
LIMIT, UPPER = 5.0, 7.5  # per cent, of a share and of its upper limit
RESAMPLES = 100
CARELESS = "one-sided, no Holm"
MUTANTS: Mapping[str, dict[str, bool]] = types.MappingProxyType(
    {
        "one-sided": {"one_sided": True},
        "no Holm": {"with_holm": False},
        CARELESS: {"one_sided": True, "with_holm": False},
    }
)
# Every flip of the signs of one arm's seeds but for a flip of them all.
FLIPS = 1.0 - 2 * (
    np.arange(2 ** (PLAN.SEEDS - 1))[:, None] >> np.arange(PLAN.SEEDS) & 1
)


def conclude(record: Record) -> Conclusion:
    """False differences under every grid of rates, by the harness and by mutants."""
    judge = record.judge
    assert judge is not None
    trials = 50 if record.quick else PLAN.TRIALS
    resamples = 20 if record.quick else RESAMPLES
    found = {
        name: _count(record.trial(name), judge, trials, resamples)
        for name in PLAN.RATES
    }
    findings: list[Finding] = []
    for name, count in found.items():
        share = count["left_out"]
        findings += [
            Finding(
                f"{name}: a given arm of {PLAN.ARMS} is not tied for best",
                f"at most {LIMIT:g} %, upper limit at most {UPPER:g} %",
                _percent(share),
                share.center <= LIMIT and share.high <= UPPER,
                number=share,
            ),
            Finding(
                f"{name}: one of two arms is called worse",
                f"at most {LIMIT:g} %, upper limit at most {UPPER:g} %",
                _percent(count["pair"]),
                # A sound test is at its level, so its share lies on both sides of it.
                count["pair"].low <= LIMIT and count["pair"].high <= UPPER,
                number=count["pair"],
            ),
            Finding(
                f"{name}: some arm of {PLAN.ARMS} is left out",
                "nothing: to be tied for best does not promise it",
                _percent(count["some"]),
                True,
                decides=False,
                number=count["some"],
            ),
        ]
    careless = found[PLAN.DECIDES]["mutants"][CARELESS]
    apart = sum(count["disagree"] for count in found.values())
    findings += [
        Finding(
            f"{PLAN.DECIDES}, one-sided p and no Holm: the limit is broken",
            f"lower limit above {LIMIT:g} %",
            _percent(careless),
            careless.low > LIMIT,
            number=careless,
        ),
        Finding(
            "trials that the count of the intervals judges otherwise than the ranking",
            "none",
            str(apart),
            apart == 0,
        ),
    ]
    counts: dict[str, Any] = {
        name: {key: _plain(value) for key, value in count.items() if key != "mutants"}
        | {"mutants": {k: _plain(v) for k, v in count["mutants"].items()}}
        for name, count in found.items()
    }
    twins = _twins(record.trials[PLAN.TWINS], judge)
    counts[PLAN.TWINS] = twins
    n = twins["trials"]
    findings += [
        Finding(
            "bitwise equal arms are called equivalent",
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
    table = pd.DataFrame(
        [_line(name, count) for name, count in found.items()], dtype=object
    )
    return Conclusion(findings, table, [_draw(found)], counts)


def _count(trial: Trial, judge: Judge, trials: int, resamples: int) -> dict[str, Any]:
    """What is seen in one pool; shares in per cent, with intervals over seeds."""
    pool, sign = trial.arms["bce"], 1.0 if judge.direction == "lower" else -1.0
    assert pool.complete
    values = sign * pool.values
    drawn = values[draw(len(values), trials, np.random.default_rng(0))]
    by_rank = np.array([_ranked(judge, sign * arms) for arms in drawn])
    again = [
        resample[draw(len(values), trials, random)]
        for resample, random in _resamples(values, resamples)
    ]
    p = p_values(drawn)
    fast = [p_values(arms) for arms in again]
    mutants = {
        label: _share(given(worse(p, **how)), [given(worse(x, **how)) for x in fast])
        for label, how in MUTANTS.items()
    }
    left = [worse(x) for x in fast]
    pairs = [worse(p_values(arms[:, :2])) for arms in again]
    rates, seeds = np.unique(trial.rates["bce"], return_counts=True)
    return {
        "trials": trials,
        "seeds": len(values),
        "rates": {f"{r:g}": int(k) for r, k in zip(rates, seeds, strict=True)},
        "left_out": _share(given(by_rank), [given(x) for x in left]),
        "pair": _share(some(worse(p_values(drawn[:, :2]))), [some(x) for x in pairs]),
        "some": _share(some(by_rank), [some(x) for x in left]),
        "disagree": int((by_rank != worse(p)).any(1).sum()),
        "mutants": mutants,
    }


def draw(pool: int, trials: int, random: np.random.Generator) -> np.ndarray:
    """(trials, arms, seeds) places in a pool; no seed is twice in a trial.

    A shuffled pool is dealt out whole before it is shuffled again.
    """
    size = PLAN.ARMS * PLAN.SEEDS
    whole = pool // size
    dealt = [
        random.permutation(pool)[: whole * size] for _ in range(-(-trials // whole))
    ]
    places = np.concatenate(dealt)[: trials * size]
    return places.reshape(trials, PLAN.ARMS, PLAN.SEEDS)


def _resamples(
    values: np.ndarray, count: int
) -> Iterator[tuple[np.ndarray, np.random.Generator]]:
    random = np.random.default_rng(1)
    for _ in range(count):
        yield values[random.integers(0, len(values), len(values))], random


def _ranked(judge: Judge, arms: np.ndarray) -> list[bool]:
    """Which arms the ranking of a sweep leaves out, with margin 0."""
    named = {str(k): Scores(own) for k, own in enumerate(arms)}
    kept = {s.loss for s in judge.rank(named, margin=0).best_set}
    return [name not in kept for name in named]


def p_values(trials: np.ndarray) -> np.ndarray:
    """(trials, arms) two-sided p of being worse than the best; infinite for the best.

    Of many trials (trials, arms, seeds) at once, lower being better, as
    `statistics.rank` has them with margin 0 before Holm's correction.
    """
    best = np.arange(len(trials)), trials.mean(2).argmin(1)
    gaps = trials - trials[best][:, None]
    sums = np.abs(gaps @ FLIPS.T)
    rounding = 1e-12 * np.abs(gaps).sum(2)
    p = (sums >= (np.abs(gaps.sum(2)) - rounding)[..., None]).mean(2)
    p[best] = np.inf
    return p


def worse(
    p: np.ndarray, *, one_sided: bool = False, with_holm: bool = True
) -> np.ndarray:
    """(trials, arms) whether an arm is called worse than the best.

    A sound harness neither halves its p-values nor goes without Holm's correction.
    """
    p = p / (2 if one_sided else 1)
    if with_holm:
        arms = p.shape[1]
        order = np.argsort(p, axis=1)  # the best is last
        left = np.maximum(1, np.arange(arms - 1, -1, -1))
        steps = np.take_along_axis(p, order, 1) * left
        adjusted = np.empty_like(p)
        np.put_along_axis(adjusted, order, np.maximum.accumulate(steps, 1), 1)
        p = adjusted
    return p <= statistics.LEVEL


def given(left_out: np.ndarray) -> float:
    """The per cent of trials that leave a given arm out."""
    return 100 * float(left_out[:, 0].mean())


def some(left_out: np.ndarray) -> float:
    """The per cent of trials that leave any arm out."""
    return 100 * float(left_out.any(1).mean())


def _share(center: float, resampled: Sequence[float]) -> Interval:
    half = 1.96 * float(np.std(resampled, ddof=1))
    return Interval(center, max(0.0, center - half), min(100.0, center + half))


def _plain(value: Any) -> Any:
    return dict(vars(value)) if isinstance(value, Interval) else value


def _percent(share: Interval) -> str:
    return f"{shown(share, 2)} %"


def _line(name: str, count: Mapping[str, Any]) -> dict[str, Any]:
    """A pool's line of the table."""
    return {
        "rates": f"{name} ({', '.join(f'{r:g}' for r in PLAN.RATES[name])})",
        "seeds that chose each": ", ".join(map(str, count["rates"].values())),
        "trials": count["trials"],
        f"given arm of {PLAN.ARMS} left out": _percent(count["left_out"]),
        "one of two worse": _percent(count["pair"]),
        f"some arm of {PLAN.ARMS} left out": _percent(count["some"]),
        **{label: _percent(share) for label, share in count["mutants"].items()},
    }


def _twins(trials: Sequence[Trial], judge: Judge) -> dict[str, Any]:
    one, two = "huber(delta=1)", "huber(delta=2)"
    identical, differences = 0, []
    for trial in trials:
        pair = {name: trial.arms[name] for name in (one, two)}
        equal = np.array_equal(pair[one].values, pair[two].values)
        words = [s.word for s in judge.rank(pair, margin=0).standings]
        identical += equal and words == ["best", "equivalent"]
        mse, half = (float(np.mean(trial.arms[x].values)) for x in ("mse", one))
        differences.append(abs(mse - half) / half)
    return {
        "trials": len(trials),
        "identical": identical,
        "largest": max(differences),
    }


def _draw(found: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """False differences of the harness and of its mutants, with the limit."""
    figure = Figure(figsize=(6.4, 3.2))
    axes = figure.add_axes((0.09, 0.24, 0.89, 0.72))
    told = []
    for place, (name, count) in enumerate(found.items()):
        bars = {"harness": count["left_out"], **count["mutants"]}
        for k, (bar, share) in enumerate(bars.items()):
            x = place + 0.2 * (k - 1.5)
            label = bar if place == 0 else None
            axes.bar(x, share.center, 0.17, color=COLOURS[k], label=label)
            axes.plot([x, x], [share.low, share.high], color=INK, linewidth=1)
            axes.annotate(
                f"{share.center:.2g}",
                (x, share.high),
                ha="center",
                va="bottom",
                zorder=3,
                bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6},
            )
            told.append(f"{name}, {bar}: {_percent(share)}")
    axes.axhline(LIMIT, color=INK, linestyle="--")
    axes.set_xticks(range(len(found)), [f"rates: {name}" for name in found])
    axes.set_ylabel("a given arm of four left out (%)")
    axes.grid(axis="x", visible=False)
    figure.legend(loc="lower center", ncols=4)
    return Drawing(
        figure,
        "How often one of four arms of the same loss is not tied for best; the "
        "dashed line is the limit, the strokes are 95 % intervals over seeds. "
        + "; ".join(told),
    )


STUDY = Study(
    conclude,
    config="aa",
)
