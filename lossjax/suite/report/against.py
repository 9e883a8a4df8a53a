"""Two sweeps beside each other: what was asked, which verdicts flipped, what moved.

Differences are paired where a seed is in both: it starts the same networks.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from markupsafe import Markup

from lossjax.suite import statistics
from lossjax.suite.cli.errors import UserError
from lossjax.suite.report import columns, markup, style, verdict
from lossjax.suite.report.evidence import Evidence, Group, read
from lossjax.suite.report.markup import Field
from lossjax.suite.statistics import Interval
from lossjax.suite.store import ownership, sealing
from lossjax.suite.wording import count, listed

_ASKED = """<ul>{% for line in lines %}<li>{{ line }}</li>{% endfor %}</ul>"""
_MOVED = """
<p>New minus old, mean over the seeds that are in both, with the 95 % interval of the
paired difference. Bold and shaded: the interval leaves 0 out.</p>
{% for group in groups %}<h3>{{ group.name }}</h3>{{ group.table }}{% endfor %}
"""


@dataclasses.dataclass(frozen=True)
class Change:
    """How one loss moved by one metric, from the old sweep to the new one."""

    difference: Interval  # new minus old, over the shared seeds; NaN where none is
    n: int

    @property
    def certain(self) -> bool:
        """Whether the interval leaves 0 out."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclasses.dataclass(frozen=True)
class Pair:
    """One setting that both sweeps have."""

    new: Group
    old: Group

    @property
    def metrics(self) -> list[str]:
        return [metric for metric in self.new.counted if metric in self.old.counted]

    @property
    def losses(self) -> list[str]:
        return [loss for loss in self.new.arms if loss in self.old.arms]

    def change(self, metric: str, loss: str) -> Change:
        """Over the seeds that have a score in both."""
        new, old = (_by_seed(group, metric, loss) for group in (self.new, self.old))
        shared = [seed for seed in new if seed in old]
        if not shared:
            return Change(statistics.NOTHING, 0)
        differences = np.array([new[seed] - old[seed] for seed in shared])
        return Change(statistics.interval(differences), len(shared))

    def flips(self) -> Iterator[str]:
        """What is no longer tied for best, and what is now; a sentence a metric.

        Of the losses that both have, where both have the seeds for a verdict.
        """
        for metric in self.metrics:
            rankings = [group.counted[metric] for group in (self.new, self.old)]
            if any(ranking.needed is not None for ranking in rankings):
                yield f"{self.new.name}, {metric}: too few seeds to compare verdicts."
                continue
            now, then = (
                [s.loss for s in ranking.best_set if s.loss in self.losses]
                for ranking in rankings
            )
            parts = [
                f"{listed(names)} {'is' if len(names) == 1 else 'are'} {what}"
                for names, what in (
                    ([x for x in now if x not in then], "now tied for best"),
                    ([x for x in then if x not in now], "no longer tied for best"),
                )
                if names
            ]
            if parts:
                yield f"{self.new.name}, {metric}: {'; '.join(parts)}."


def _by_seed(group: Group, metric: str, loss: str) -> Mapping[int, float]:
    values = group.scores[metric][loss].values
    seeds = (seed.seed for seed in group.arms[loss].seeds)
    return {s: v for s, v in zip(seeds, values, strict=True) if math.isfinite(v)}


def pairs(new: Evidence, old: Evidence) -> list[Pair]:
    """The settings that both have, complete in both.

    Raises:
      UserError: there is none.
    """
    before = {group.name: group for group in old.groups if group.rankings}
    both = [
        Pair(group, before[group.name])
        for group in new.groups
        if group.rankings and group.name in before
    ]
    if not both:
        raise UserError(
            f"--against={old.out}: has no complete dataset and model in common with "
            f"--out={new.out}; it has {', '.join(before) or 'none that is complete'}"
        )
    return both


def asked(new: Evidence, old: Evidence) -> Iterator[str]:
    """The fields of the config that differ, and losses that only one has."""
    now, then = new.sweep.to_json(), old.sweep.to_json()
    for field in now:
        if now[field] != then.get(field):
            yield f"{field}: {_shown(then.get(field))} before, {_shown(now[field])} now"


def _shown(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)


def report(new: Evidence, old: Evidence) -> tuple[list[str], str]:
    """What changed in sentences, and as a page."""
    both = pairs(new, old)
    flips = [line for pair in both for line in pair.flips()]
    said = [*asked(new, old)] or ["The same was asked of both."]
    settled = flips or ["No verdict flipped: the same losses are tied for best."]
    sections = [
        ("asked", "What was asked", markup.render(_ASKED, lines=said)),
        ("verdicts", "Verdicts", markup.render(_ASKED, lines=settled)),
        (
            "moved",
            "What moved",
            markup.render(
                _MOVED,
                groups=[{"name": p.new.name, "table": _table(new, p)} for p in both],
            ),
        ),
    ]
    question = "What changed between two sweeps?"
    page = markup.page(
        title=f"{question} · lossjax",
        question=question,
        lede=f"Now: {new.out}. Before: {old.out}.",
        out=new.out,
        sections=[{"key": k, "title": t, "body": b} for k, t, b in sections],
        symbols=Markup("").join(m.symbol() for m in style.marks_of(new).values()),
        footer="Made from the stored runs of both by report --against.",
    )
    return [*said, *settled], page


def _table(evidence: Evidence, pair: Pair) -> Markup:
    marks = style.marks_of(evidence)
    changes = {m: {x: pair.change(m, x) for x in pair.losses} for m in pair.metrics}
    rows = []
    for loss in pair.losses:
        row = [markup.name(loss, marks[loss])]
        for of_loss in changes.values():
            known = [c.difference for c in of_loss.values() if c.n]
            places = verdict.places([x.high - x.low for x in known])
            row.append(_field(of_loss[loss], places))
        rows.append(row)
    heads = [columns.head(evidence, pair.new, metric) for metric in pair.metrics]
    seeds = {c.n for of_loss in changes.values() for c in of_loss.values()}
    return markup.table(
        f"{pair.new.name}: change from the old sweep to the new one, over "
        f"{count(max(seeds, default=0), 'shared seed')}.",
        [Field("loss"), *heads],
        rows,
        "dense",
    )


def _field(change: Change, places: int) -> Field:
    difference = change.difference
    if not math.isfinite(difference.center):
        return markup.number(math.nan, 0)
    shown = Markup("{}").format(f"{difference.center:+z.{places}f}")
    if math.isfinite(difference.low):
        shown += Markup(' <span class="half">[{}, {}]</span>').format(
            f"{difference.low:+z.{places}f}", f"{difference.high:+z.{places}f}"
        )
    kind = "num best" if change.certain else "num"
    return Field(shown, float(f"{difference.center:.7g}"), kind)


def write(out: Path, against: Path) -> tuple[list[str], Path]:
    """Write `out`/against.html; returns what changed in sentences, and the page.

    Raises:
      UserError: a sweep cannot be read, nothing is in common, or the page's place is
        taken by what is not ours.
    """
    page = out / ownership.AGAINST
    ownership.check_file(page, ownership.SIGN)
    lines, text = report(read(out), read(against))
    sealing.publish(page, text)
    return lines, page
