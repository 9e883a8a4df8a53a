"""The verdict first, in words."""

from markupsafe import Markup

from lossjax.suite.report import markup, style, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group
from lossjax.suite.report.markup import Field
from lossjax.suite.report.style import Mark
from lossjax.suite.statistics import Ranking, Standing
from lossjax.suite.wording import count

TEMPLATE = """
{% if incomplete %}
<div class="note">
{% for line in incomplete[:1] %}<strong>{{ line }}</strong>{% endfor %}
The comparison is made when every run is stored; the arms are named under
<a href="#problems">Missing, failed and diverged runs</a>.
</div>
{% else %}
<p>A loss is best where it has the best mean. Another is significantly worse where the
paired test rejects that it is behind by the margin of practical equivalence or less,
equivalent where its interval ends within that margin, and undecided else; equivalent
and undecided losses are tied for best. {{ covers }}</p>
{% endif %}
{% for group in groups %}
<div class="verdict">
<p class="group">{{ group.name }}</p>
<p class="headline">{{ group.findings[0] }}</p>
<ul>{% for line in group.findings[1:] %}<li>{{ line }}</li>{% endfor %}</ul>
{% for line in group.caveats %}<p class="note">{{ line }}</p>{% endfor %}
</div>
{{ group.table }}
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    if evidence.missing:
        return markup.render(
            TEMPLATE, incomplete=list(verdict.incomplete(evidence)), groups=[]
        )
    groups = [
        {
            "name": group.name,
            "findings": list(verdict.findings(evidence, group)),
            "caveats": list(verdict.caveats(evidence, group)),
            "table": _table(evidence, group) if group.rankings else "",
        }
        for group in evidence.groups
    ]
    return markup.render(TEMPLATE, incomplete=[], groups=groups, covers=verdict.COVERS)


def _table(evidence: Evidence, group: Group) -> Markup:
    marks = style.marks_of(evidence)
    rows = []
    for metric, ranking in group.rankings.items():
        worse = verdict.worse(ranking)
        lost = ", ".join(f"{s.loss} ({s.lost})" for s in ranking.standings if s.lost)
        effects = ", ".join(f"{s.loss} ({s.effect:.1f})" for s in worse) or "none"
        rows.append(
            [
                Field(verdict.heading(group, metric), metric),
                *(_chips(marks, ranking, word) for word in ("best", "equivalent")),
                _chips(marks, ranking, "undecided"),
                Field(effects, len(worse), "wrap worse", "significantly worse"),
                Field(lost or "none", lost, "wrap", "failed seeds"),
            ]
        )
    return markup.table(
        f"{group.name}: what every metric says; ↓ lower is better, ↑ higher is better; "
        "a metric derived from another is shown and not counted. In brackets: how far "
        "behind the best, in standard deviations of the paired difference. Means are "
        f"over {count(len(evidence.sweep.seeds), 'seed')}.",
        [
            "metric",
            "best",
            "equivalent",
            "undecided",
            "significantly worse",
            "failed seeds",
        ],
        rows,
        "stack",
    )


def _chips(marks: dict[str, Mark], ranking: Ranking, word: str) -> Field:
    named: list[Standing] = [s for s in ranking.standings if s.word == word]
    chips = Markup(" ").join(
        Markup('<span class="chip">{}<code>{}</code></span>').format(
            marks[s.loss].icon(), s.loss
        )
        for s in named
    )
    shown = Markup('<span class="chips">{}</span>').format(chips) if named else "none"
    return Field(shown, len(named), "wrap", word)
