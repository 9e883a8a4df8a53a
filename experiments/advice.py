"""Is the advisor's loss among the best, on sets of images that its rules never saw?

Of `advise` the part that chooses: a short list of losses for each purpose, one more
that a pilot's residuals point to, and the rule that picks one of them.

Source: the question that started this project; the rules are those of `advise`, in
lossjax/suite/shortlist.py, and the rows those of the study `atlas`.

Protocol: nothing is trained. For each set of the atlas the advisor's comparison is
taken from the atlas's rows: the losses of its short list, the power(g) that the stored
pilot adds, the same network, 1,000 steps, ten seeds, and again with only the first
seeds of these, as few as can decide. Its rule picks the loss: the best by the purpose's
metric, or one before it in the list between which and the best there is no difference
that matters. That loss is then looked up in the whole sweep of twelve losses and ten
seeds: is it tied for best, and how far is it behind the best of all twelve, which is
what hindsight would take, with the paired 95 % interval? Beside it stand always `bce`
and always `mse`. Every set is held out: no number of the rules was fitted to any set.
They were committed when `digits` alone was trained; that the metric's own loss is on
the list of `absolute` and `looks` is older than the atlas.

Purposes: squared (mse), absolute (mae), looks (ssim), codes (knn_accuracy, sets with
labels). `density` takes a variational network, which the atlas does not train.

Written when four of eight sets were there (digits, glyphs, mnist, fashion_mnist), and
committed before this study was run on any. Expected, for each purpose: the advice is
tied for best in the whole sweep on every set; and its largest distance behind the best
is no larger than that of always `bce` and than that of always `mse`.

What it leaves out: the advisor's own network may differ in width and steps, its squares
cut from large pictures, and its doubts: too few test images, or a network that learned
nothing. Of the sets of planted noise that are to test the advisor none is trained here.
"""

import itertools
from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from tabulate import tabulate

from lossjax.suite.pilot import fitting
from lossjax.suite.report import style
from lossjax.suite.reproduce.configs import config
from lossjax.suite.reproduce.distances import behind, scale, unit
from lossjax.suite.reproduce.finding import Finding, noted, shown, significant
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task
from lossjax.suite.shortlist import PURPOSES, dialled, preferred
from lossjax.suite.statistics import Interval, Scores, seeds_needed

TEN = 10  # seeds of the atlas
PURPOSES_SHOWN = ("squared", "absolute", "looks", "codes")
RULES = ("advised", "bce", "mse")
SHOWN = {"advised": "advice", "bce": "always bce", "mse": "always mse"}

SETS = tuple(config("atlas").SETS)


def held_out(task: Task) -> pd.DataFrame:
    """A line for each set, purpose and number of seeds."""
    from lossjax.suite.reproduce import folder
    from lossjax.suite.reproduce.catalogue import STUDIES
    from lossjax.suite.shipped import PUBLISHED

    record = folder.record_of(STUDIES["atlas"], PUBLISHED / "atlas")
    pilots = record.tables["pilot"].set_index("dataset")
    sets = [name for name in SETS if name in record.trials]
    lines = []
    for purpose, name in itertools.product(PURPOSES_SHOWN, sets):
        columns, said = record.trial(name).columns, pilots.loc[name]
        g = fitting(Interval(said["exponent"], said["low"], said["high"]))
        metric = PURPOSES[purpose].metric
        judge, scores = record.judges[metric], columns[f"test_{metric}"]
        whole = judge.rank(scores)
        if whole.best is None:
            continue  # no labels
        losses = (*PURPOSES[purpose].losses, *dialled(g))
        for seeds in (TEN, seeds_needed(len(losses) - 1)):
            few = {loss: Scores(scores[loss].values[:seeds]) for loss in losses}
            advised = preferred(judge.rank(few), losses)
            line: dict[str, Any] = {
                "images": name,
                "purpose": purpose,
                "seeds": seeds,
                "compared": " ".join(losses),
                "loss": advised,
                "tied": bool(whole.of(advised).best_set),
            }
            for rule, loss in zip(RULES, (advised, "bce", "mse"), strict=True):
                gap = behind(whole, loss, metric)
                line |= {rule: gap.center}
                line |= {f"{rule}_low": gap.low, f"{rule}_high": gap.high}
            lines.append(line)
    return pd.DataFrame(lines)


def conclude(record: Record) -> Conclusion:
    """How often the advice is tied for best, and what it costs where it is not."""
    table = record.tables["held_out"]
    sets = list(dict.fromkeys(table["images"]))
    missing = [name for name in SETS if name not in sets]
    there = f"{len(sets)} of {len(SETS)}"
    there += f"; not: {', '.join(missing)}" if missing else ""
    findings = [noted("sets of images that are there", there)]
    counts: dict[str, Any] = {"sets": sets, "missing": missing, "purposes": {}}
    for (purpose, full), mine in table.groupby(
        ["purpose", table["seeds"] == TEN], sort=False
    ):
        own = _of_purpose(purpose, full, mine, findings)
        if full:
            counts["purposes"][purpose] = own
    ten = table[table["seeds"] == TEN]
    lines = [
        {
            "purpose": line["purpose"],
            "images": line["images"],
            "advised": line["loss"],
            "tied for best": "yes" if line["tied"] else "no",
            **{f"{SHOWN[rule]} behind": shown(_gap(line, rule)) for rule in RULES},
            "unit": _unit(line["purpose"]),
        }
        for line in ten.to_dict("records")
    ]
    return Conclusion(findings, pd.DataFrame(lines, dtype=object), [_draw(ten)], counts)


def answer(counts: Mapping[str, Any]) -> str:
    """The rules beside one another, a line for each purpose."""
    head = ("purpose", "advice tied for best", *(f"{SHOWN[r]} behind" for r in RULES))
    table = []
    for purpose, own in counts["purposes"].items():
        cells = [f"`{purpose}`", f"on {own['tied']} of {own['sets']} sets"]
        for rule in RULES:
            of = _unit(purpose)
            cells.append(
                f"{significant(own['median'][rule], 2)} {of}, "
                f"at most {significant(own['most'][rule], 3)}"
            )
        table.append(cells)
    lines = tabulate(table, head, tablefmt="pipe", disable_numparse=True)
    missing = ", ".join(counts["missing"])
    rest = f" (not there yet: {missing})" if missing else ""
    return (
        f"{len(counts['sets'])} sets of images{rest}, each with its whole sweep of "
        "twelve losses and ten seeds, in which the loss is looked up that the rules "
        "pick, by the same test scores that then judge it. How far behind the best of "
        "the twelve by the purpose's metric is it, and would always BCE and always MSE "
        f"be: median over sets, and the largest.\n\n{lines}"
    )


def _of_purpose(
    purpose: str, full: bool, table: pd.DataFrame, findings: list[Finding]
) -> dict[str, Any]:
    """The findings of one purpose with ten seeds, or with as few as can decide."""
    with_seeds = "ten seeds" if full else "as few seeds as can decide"
    n, tied = len(table), int(table["tied"].sum())
    of = _unit(purpose)
    failed = [
        f"{line['images']} ({line['loss']}, {significant(line['advised'], 3)} {of})"
        for line in table[~table["tied"].astype(bool)].to_dict("records")
    ]
    findings.append(
        Finding(
            f"{purpose}, {with_seeds}: the advice is tied for best of twelve losses",
            f"on {n} of {n} sets",
            f"on {tied} of {n}",
            tied == n,
            "" if tied == n else f"not on {', '.join(failed)}",
            key=f"tied_{purpose}_{'ten' if full else 'few'}",
        )
    )
    most = {rule: float(table[rule].max()) for rule in RULES}
    median = {rule: float(table[rule].median()) for rule in RULES}
    least = most["advised"] <= min(most["bce"], most["mse"]) + 1e-9
    findings.append(
        Finding(
            f"{purpose}, {with_seeds}: most that the advice is behind the best",
            "no more than always bce and always mse",
            "; ".join(
                f"{SHOWN[rule]} {most[rule]:.3g} {of} (median {median[rule]:.3g})"
                for rule in RULES
            ),
            least,
            "" if least else "another rule would have lost less on its worst set",
            key=f"most_{purpose}_{'ten' if full else 'few'}",
        )
    )
    return {
        "tied": tied,
        "sets": n,
        "most": {rule: float(f"{x:.6g}") for rule, x in most.items()},
        "median": {rule: float(f"{x:.6g}") for rule, x in median.items()},
    }


def _unit(purpose: str) -> str:
    return unit(PURPOSES[purpose].metric)


def _gap(line: Mapping[str, Any], rule: str) -> Interval:
    """How far a rule's loss is behind the best, with its interval."""
    return Interval(line[rule], line[f"{rule}_low"], line[f"{rule}_high"])


def _draw(table: pd.DataFrame) -> Drawing:
    """How far three rules are behind the best, a panel for each purpose."""
    sets = list(dict.fromkeys(table["images"]))
    figure = Figure(figsize=(7.2, 1.2 + 0.35 * len(sets)), layout="constrained")
    marks = style.marks(RULES)
    panels = figure.subplots(1, len(PURPOSES_SHOWN), sharey=True)
    for purpose, axes in zip(PURPOSES_SHOWN, panels, strict=True):
        for line in table[table["purpose"] == purpose].to_dict("records"):
            for place, rule in enumerate(RULES):
                y = sets.index(line["images"]) + 0.22 * (place - 1)
                mark, gap = marks[rule], _gap(line, rule)
                axes.plot([gap.low, gap.high], [y, y], color=mark.colour, lw=1)
                axes.plot(gap.center, y, mark.marker, color=mark.colour, ms=4)
        axes.set_title(purpose)
        scale(axes, PURPOSES[purpose].metric)
    for rule, mark in marks.items():
        panels[0].plot([], [], mark.marker, color=mark.colour, label=SHOWN[rule])
    panels[0].set_yticks(range(len(sets)), sets)
    panels[0].invert_yaxis()
    figure.legend(loc="outside lower center", ncols=len(RULES))
    worst = "; ".join(
        f"{purpose}, most behind: "
        + ", ".join(f"{SHOWN[rule]} {own[rule].max():.3g}" for rule in RULES)
        for purpose, own in table.groupby("purpose", sort=False)
    )
    return Drawing(
        figure,
        "How far the advised loss, always bce and always mse are behind the best of "
        f"twelve losses, on every set and for four purposes. {worst}",
    )


STUDY = Study(conclude, steps={"held_out": held_out}, answer=answer)
