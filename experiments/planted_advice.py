"""Does the advisor find the loss that fits a planted noise, and no winner without one?

The whole advisor, as a notebook runs it that calls `lossjax.recommend` again and again
with `minutes=0.2`, on small sets of images whose best loss is known before.

Source: the question that started this project; the laws are those of the studies
`planted_noise` and `planted_variance`.

Protocol: a set is 900 images of 8x8 that a linear decoder with a sigmoid can draw
exactly. 25 sets have targets with noise of each of four laws: variance p (1 - p), for
which `bce` is best; the square root of that, `power`, whose g is 0.5; constant
variance, `mse`; Laplace, `mae`. In 100 more sets every pixel is near the middle of the
range, where the derivatives of all members of power(g) are the same but for a factor,
which Adam takes out, and the noise is large, so that little else is left when training
ends: between `bce`, `mse` and whatever the pilot adds there is no difference that
matters. The advisor is given the seconds and a network that can draw the images
(linear_ae, four numbers in the code); what it compares, seeds, rates and steps, it
chooses itself by the time. It is asked for squared error, where the law is Laplace for
absolute error. Scores are against clean test images.

Advised are the loss that it names and those that it does not call worse; where it says
that the comparison decides nothing, none. A single winner is a loss beside which all
others are worse.

Expected, before any of these sets was tried: of the 100 sets with planted noise the
best loss is among the advised in at least 95, and another is a single winner in at most
5; of the 100 sets without a difference there is a single winner in at most 5.

The settings were tried on four or five other sets of each kind. With less noise and
pixels nearer to the middle no network was trained in the time, and `mse` was ahead by
some per cent of it: those were not sets without a difference.

The stored run is the second of these sets. In the first, with an advisor that called a
loss worse after one length of training, the last expectation was missed: one loss was
alone on 11 of the 100. All 11 were among 13 sets for which the time, while other work
ran, had sufficed for 200 steps only; there the networks had three times the squared
error that they end at, and which loss is ahead then is which learns sooner. The rule of
half the steps (docs/advise.md) was written for it, tried on thirty other sets, and
fixed before this run; so were a plan that has fewer learning rates rather than fewer
than 500 steps, and lengths between 100, 200, 500 and 1,000. Held to 200 steps on twenty
more sets without a difference (300 to 319), the advisor has no single winner; nor on
five of each law, where in such a time nothing is decided.

What it leaves out: how many steps fit follows from the machine and from what else runs
on it, so that rows made again are not equal to these; seeds, steps and seconds of every
set are in the rows. Pictures of other kinds, sizes and networks are not among them.
"""

import dataclasses
import functools
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite.report import style
from lossjax.suite.report.inert import slug
from lossjax.suite.reproduce.finding import Finding, noted
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task

MINUTES = 0.2
LEAST, MOST = 95, 5  # of a hundred sets


@dataclasses.dataclass(frozen=True)
class Law:
    """What is planted in a set of images.

    `best` is the loss that fits, as a report names it, empty where all are alike;
    `dials` are those of linear_decoder.
    """

    best: str
    dials: str
    sets: int
    purpose: str = "squared"

    def dataset(self, number: int) -> str:
        return f"linear_decoder(latents=4, count=900, {self.dials}, seed={number})"


LAWS = {
    "variance s": Law(
        "bce", "logit_sd=4.0, noise='variance', scale=1.0, exponent=1.0", 25
    ),
    "variance s^0.5": Law(
        "power", "logit_sd=4.0, noise='variance', scale=0.55, exponent=0.5", 25
    ),
    "constant": Law("mse", "logit_sd=4.0, noise='gaussian', scale=0.3", 25),
    "laplace": Law("mae", "logit_sd=4.0, noise='laplace', scale=0.2", 25, "absolute"),
    "no difference": Law("", "logit_sd=0.3, noise='gaussian', scale=0.3", 100),
}
SMALL = ("constant", "no difference")  # one set of each
# What an advice is; of a set without a difference only three of them.
OUTCOMES = {
    "right": "best alone",
    "among": "best tied",
    "none": "undecided",
    "several": "best missed",
    "wrong": "other alone",
}
ALIKE = {"among": "several tied", "none": "undecided", "wrong": "one alone"}
COLUMNS = (
    "law",
    "number",
    "loss",
    "decided",
    "tied",
    "compared",
    "seeds",
    "rates",
    "steps",
    "seconds",
)


def advised(name: str, task: Task) -> pd.DataFrame:
    """What the advisor says of every set of a law, a line for each."""
    from rich.progress import track

    from lossjax.suite.advise.advisor import advise
    from lossjax.suite.cli.terminal import Terminal

    law, lines = LAWS[name], []
    sets = (1 if name in SMALL else 0) if task.quick else law.sets
    for number in track(range(sets), name):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as place:
            made = advise(
                law.dataset(number),
                law.purpose,
                MINUTES,
                labels=None,
                mask=None,
                out=Path(place) / "advice",
                fields={"models": "linear_ae", "latent_dim": 4},
                console=Terminal(quiet=True),
            )
        plan = made.config
        lines.append(
            (
                name,
                number,
                made.loss,
                made.decided,
                " ".join(made.tied),
                " ".join(plan.losses),
                len(plan.seeds),
                len(plan.learning_rates),
                plan.train_steps,
                round(time.monotonic() - began, 1),
            )
        )
    return pd.DataFrame(lines, columns=list(COLUMNS))


def outcome(line: Mapping[str, Any]) -> str:
    """One of OUTCOMES."""
    if not line["decided"]:
        return "none"
    tied, best = line["tied"].split(), LAWS[line["law"]].best
    if not best:
        return "wrong" if len(tied) == 1 else "among"
    if best in tied:
        return "right" if len(tied) == 1 else "among"
    return "wrong" if len(tied) == 1 else "several"


def conclude(record: Record) -> Conclusion:
    """Counts of what was advised, by law, and against what was expected."""
    table = pd.concat([record.tables[slug(name)] for name in LAWS], ignore_index=True)
    table["outcome"] = [outcome(line) for line in table.to_dict("records")]
    counts: dict[str, Any] = {"laws": {}, "minutes": MINUTES}
    lines = []
    for name, mine in table.groupby("law", sort=False):
        law = LAWS[str(name)]
        found = mine["outcome"].value_counts()
        counts["laws"][name] = {
            "best": law.best,
            "purpose": law.purpose,
            "sets": len(mine),
            **{one: int(found.get(one, 0)) for one in OUTCOMES},
        }
        lines.append(
            {
                "noise": name,
                "best": law.best or "all alike",
                "sets": len(mine),
                **{words: int(found.get(one, 0)) for one, words in OUTCOMES.items()},
                "seeds": _middle(mine["seeds"]),
                "steps": _middle(mine["steps"]),
                "seconds": _middle(mine["seconds"]),
            }
        )
    planted = table[[bool(LAWS[law].best) for law in table["law"]]]
    alike = table.drop(planted.index)
    findings = [
        _share(
            "planted noise: the best loss is among those advised",
            planted,
            ("right", "among"),
            least=LEAST,
            key="among",
        ),
        _share(
            "planted noise: another loss is a single winner",
            planted,
            ("wrong",),
            key="wrong",
        ),
        _share(
            "no difference planted: a single winner", alike, ("wrong",), key="alike"
        ),
        noted(
            "planted noise: the best loss is the single winner",
            f"{int((planted['outcome'] == 'right').sum())} of {len(planted)}",
            key="right",
        ),
        noted(
            f"seconds of a call, {60 * MINUTES:g} asked for",
            f"median {table['seconds'].median():.1f}, "
            f"95 % below {table['seconds'].quantile(0.95):.1f}, "
            f"longest {table['seconds'].max():.1f}",
            key="seconds",
        ),
    ]
    counts |= {
        "planted": len(planted),
        "alike": len(alike),
        "seconds": {
            "median": float(table["seconds"].median()),
            "most": float(table["seconds"].max()),
        },
    }
    return Conclusion(
        findings, pd.DataFrame(lines, dtype=object), [_draw(counts)], counts
    )


def answer(counts: Mapping[str, Any]) -> str:
    """What the advisor finds, in two sentences."""
    laws = counts["laws"].values()
    planted = [law for law in laws if law["best"]]
    alike = [law for law in laws if not law["best"]]

    def total(laws: list[Mapping[str, Any]], *outcomes: str) -> int:
        return sum(law[one] for law in laws for one in outcomes)

    among, wrong = total(planted, "right", "among"), total(planted, "wrong")
    hits = {
        name: (law["right"] + law["among"], law["sets"])
        for name, law in counts["laws"].items()
        if law["best"]
    }
    least = min(hits, key=lambda name: hits[name][0] / hits[name][1])
    n, of = hits[least]
    return (
        f"{counts['planted']} small sets of images with noise whose best loss is "
        f"known, {60 * counts['minutes']:g} seconds each: that loss is advised or tied "
        f"with the one advised on {among} (alone on {total(planted, 'right')}), "
        f"another loss wins alone on {wrong}. Fewest of one law: {n} of {of}, {least}. "
        f"{counts['alike']} sets on which all "
        f"losses are alike: one wins alone on {total(alike, 'wrong')}."
    )


def _middle(values: pd.Series) -> str:
    """The median, and the least and the most where they differ."""
    low, middle, high = values.min(), values.median(), values.max()
    return f"{middle:g}" if low == high else f"{middle:g} ({low:g} to {high:g})"


def _share(
    what: str,
    sets: pd.DataFrame,
    outcomes: Sequence[str],
    *,
    least: int = 0,
    key: str,
) -> Finding:
    """How many of the sets have one of the outcomes: of a hundred `least`, or MOST."""
    found = sets["outcome"].isin(outcomes)
    n, of = int(found.sum()), len(sets)
    holds = 100 * n >= least * of if least else 100 * n <= MOST * of
    limit = f"at least {least}" if least else f"at most {MOST}"
    reason = "" if holds else _where(sets[~found if least else found])
    return Finding(what, f"{limit} of 100 sets", f"{n} of {of}", holds, reason, key=key)


def _where(lines: pd.DataFrame) -> str:
    """Of which laws sets are, and what was advised there."""
    said = [
        f"{x['law']}: {_words(x['law'])[x['outcome']]}" for _, x in lines.iterrows()
    ]
    return "; ".join(
        f"{words}, {n}" for words, n in pd.Series(said).value_counts().items()
    )


def _words(law: str) -> Mapping[str, str]:
    """What the outcomes of a law's sets are called."""
    return OUTCOMES if LAWS[law].best else ALIKE


def _draw(counts: Mapping[str, Any]) -> Drawing:
    """Shares of the outcomes of every law, one bar each."""
    laws = counts["laws"]
    figure = Figure(figsize=(6.4, 1.4 + 0.4 * len(laws)), layout="constrained")
    axes = figure.subplots()
    marks = style.marks(tuple(OUTCOMES))
    told = []
    for row, (name, law) in enumerate(laws.items()):
        left = 0.0
        for one, mark in marks.items():
            share = 100 * law[one] / law["sets"]
            if share:
                axes.barh(row, share, left=left, color=mark.colour, height=0.7)
                left += share
        words = _words(name)
        found = ", ".join(f"{words[o]} {law[o]}" for o in words if law[o])
        told.append(f"{name}, {law['sets']} sets: {found}")
    for one, mark in marks.items():
        axes.barh(0, 0, color=mark.colour, label=OUTCOMES[one])
    names = [f"{name}\n{law['best'] or 'all alike'}" for name, law in laws.items()]
    axes.set_yticks(range(len(laws)), names)
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("per cent of sets")
    figure.legend(loc="outside lower center", ncols=3)
    return Drawing(
        figure,
        "What the advisor says of sets with planted noise and of sets on which all "
        f"losses are alike. {'; '.join(told)}",
    )


STUDY = Study(
    conclude,
    steps={slug(name): functools.partial(advised, name) for name in LAWS},
    answer=answer,
)
