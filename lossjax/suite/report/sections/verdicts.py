"""The verdict first: what to use, how sure, pictures; then every metric in words."""

import functools
from collections.abc import Callable, Iterator

from markupsafe import Markup

from lossjax.suite.report import columns, convergence, markup, style, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.markup import Field
from lossjax.suite.report.sections import gallery
from lossjax.suite.report.style import Mark
from lossjax.suite.statistics import Ranking, Standing
from lossjax.suite.wording import count, listed

TEMPLATE = """
{% if incomplete %}
<div class="note">
{% for line in incomplete[:1] %}<strong>{{ line }}</strong>{% endfor %}
The comparison is made when every run is stored; the arms are named under
<a href="#problems">Problems</a>.
</div>
{% endif %}
{% for group in groups %}
<div class="verdict">
<p class="group">{{ group.name }}</p>
<p class="headline">{{ group.use }}</p>
<p class="sure">{{ group.sure | join(" ") }}</p>
{% for line in group.caveats %}<p class="note">{{ line }}</p>{% endfor %}
</div>
{{ group.pictures }}
{{ group.table }}
<details><summary>The verdict in full</summary>
<ul>{% for line in group.findings %}<li>{{ line }}</li>{% endfor %}</ul>
{{ group.worse }}
</details>
{% endfor %}
{% if groups %}
<p>A loss is best where it has the best mean. Another is significantly worse where the
paired test rejects that it is behind by the margin of practical equivalence or less,
equivalent where its interval ends within that margin, and undecided else; equivalent
and undecided losses are tied for best. {{ covers }}</p>
{% endif %}
"""
WORDS = ("best", "equivalent", "undecided")
MOST_PICTURES = 5  # losses beside the original


def build(evidence: Evidence, album: Album) -> Markup:
    if evidence.missing:
        return markup.render(
            TEMPLATE, incomplete=list(verdict.incomplete(evidence)), groups=[]
        )
    groups = [
        {
            "name": group.name,
            "use": use(evidence, group),
            "sure": list(_sure(evidence, group)),
            "findings": list(verdict.findings(evidence, group)),
            "caveats": list(verdict.caveats(evidence, group)),
            "pictures": gallery.side_by_side(evidence, group, _shown(group)),
            "table": _folded(evidence, group, _table),
            "worse": _folded(evidence, group, _worse),
        }
        for group in evidence.judged
    ]
    return markup.render(TEMPLATE, incomplete=[], groups=groups, covers=verdict.COVERS)


def use(evidence: Evidence, group: Group) -> str:
    """The answer in one line: the losses that the primary metric leaves."""
    ranking = group.rankings.get(group.primary)
    if ranking is None or ranking.best is None:
        return "No answer: no loss finished every seed."
    what = verdict.label(evidence.metrics[group.primary], group.primary)
    least = "lowest" if ranking.direction == "lower" else "highest"
    if len(ranking.standings) == 1:
        return f"Only {ranking.best.loss} was trained; nothing to compare with."
    if ranking.needed is not None:
        return f"No answer yet; {ranking.best.loss} has the {least} {what} so far."
    names = [standing.loss for standing in ranking.best_set]
    choice = f"{', '.join(names[:-1])} or {names[-1]}" if names[1:] else names[0]
    return f"Use {choice}: {least} {what}{', tied' if names[1:] else ''}."


def _sure(evidence: Evidence, group: Group) -> Iterator[str]:
    """How far the answer can be trusted, a sentence each."""
    ranking = group.rankings.get(group.primary)
    if ranking is None or ranking.best is None:
        return
    seeds = count(ranking.n, "seed")
    if line := verdict.too_few(group):
        yield f"How sure: {line}"
    elif rivals := [s for s in ranking.best_set if s is not ranking.best]:
        unsure = [s.loss for s in rivals if s.word != "equivalent"]
        yield (
            f"How sure: with {seeds} each, more seeds may still separate "
            f"{listed([ranking.best.loss, *unsure])}."
            if unsure
            else f"How sure: {seeds} each show no difference that matters."
        )
    elif len(ranking.standings) > 1:
        yield f"How sure: {seeds} each, and every other loss is significantly worse."
    yield convergence.sentence(evidence, group)
    yield "Other images may say otherwise."


def _shown(group: Group) -> dict[str, list[str]]:
    """The losses of the pictures, and the metrics that each is best by.

    The winner of every metric, then the best by the primary one.
    """
    best: dict[str, list[str]] = {}
    metrics = sorted(group.counted, key=lambda metric: metric != group.primary)
    for metric in metrics:
        if winner := group.counted[metric].best:
            best.setdefault(winner.loss, []).append(metric)
    if group.primary in group.rankings:
        for standing in group.rankings[group.primary].standings:
            best.setdefault(standing.loss, [])
    return dict(list(best.items())[:MOST_PICTURES])


def _folded(
    evidence: Evidence,
    group: Group,
    table: Callable[[Evidence, Group, list[str]], Markup],
) -> Markup:
    if not group.rankings:
        return Markup("")
    metrics = sorted(group.rankings, key=lambda metric: metric != group.primary)
    return columns.folded(group, metrics, functools.partial(table, evidence, group))


def _name(evidence: Evidence, group: Group, metric: str) -> Field:
    row = evidence.metrics[metric]
    source = group.derived.get(metric)
    shown = Markup('{} <span class="mean">{}; {} is better{}</span>').format(
        metric,
        columns.meaning(evidence, metric),
        row["direction"],
        f"; from {source}" if source else "",
    )
    return Field(shown, metric)


def _table(evidence: Evidence, group: Group, metrics: list[str]) -> Markup:
    marks = style.marks_of(evidence)
    rows = [
        [_name(evidence, group, metric)]
        + [_chips(marks, group.rankings[metric], word) for word in WORDS]
        for metric in metrics
    ]
    return markup.table(
        f"{group.name}: which loss for what, {listed(metrics)}; means on test images "
        f"over {count(len(evidence.sweep.seeds), 'seed')}.",
        ["what matters", *WORDS],
        rows,
        "stack",
    )


def _worse(evidence: Evidence, group: Group, metrics: list[str]) -> Markup:
    rows = []
    for metric in metrics:
        ranking = group.rankings[metric]
        worse = verdict.worse(ranking)
        lost = ", ".join(f"{s.loss} ({s.lost})" for s in ranking.standings if s.lost)
        effects = ", ".join(f"{s.loss} ({s.effect:.1f})" for s in worse) or "none"
        rows.append(
            [
                Field(metric, metric),
                Field(effects, len(worse), "wrap worse", "significantly worse"),
                Field(lost or "none", lost, "wrap", "failed seeds"),
            ]
        )
    return markup.table(
        f"{group.name}: significantly worse by {listed(metrics)}; in brackets how far "
        "behind the best, in standard deviations of the paired difference.",
        ["metric", "significantly worse", "failed seeds"],
        rows,
        "stack",
    )


def _chips(marks: dict[str, Mark], ranking: Ranking, word: str) -> Field:
    named: list[Standing] = [s for s in ranking.standings if s.word == word]
    chips = Markup(" ").join(markup.chip(s.loss, marks[s.loss]) for s in named)
    shown = Markup('<span class="chips">{}</span>').format(chips) if named else "none"
    return Field(shown, len(named), "wrap", word)
