"""The verdict first, in words."""

from markupsafe import Markup

from experiments.report import markup, style, verdict
from experiments.report.album import Album
from experiments.report.evidence import Evidence

TEMPLATE = """
{% if incomplete %}
<div class="note">
{% for line in incomplete[:1] %}<strong>{{ line }}</strong>{% endfor %}
The comparison is made when every run is stored; the cells are named under
<a href="#problems">Missing and lost runs</a>.
</div>
{% else %}
<p>A loss is best where it has the best mean over fresh seeds; every loss that is not
shown worse by more than the margin of practical equivalence shares its place.</p>
{% endif %}
{% for group in groups %}
<div class="verdict">
<p class="headline">{{ group.headline }}</p>
{% for line in group.caveats %}<p class="note">{{ line }}</p>{% endfor %}
{% if group.regret %}<p>{{ group.regret }}</p>{% endif %}
</div>
{{ group.table }}
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    marks = style.marks(evidence.losses)
    if evidence.missing:
        return markup.render(
            TEMPLATE, incomplete=list(verdict.incomplete(evidence)), groups=[]
        )
    groups = []
    for group in evidence.groups:
        rows = []
        for metric, ranking in group.rankings.items():
            if ranking.needed is not None:
                chips = Markup("{}").format(verdict.best_set(ranking))
            else:
                chips = Markup('<span class="chips">{}</span>').format(
                    Markup(" ").join(
                        Markup('<span class="chip">{}<code>{}</code></span>').format(
                            marks[s.loss].icon(), s.loss
                        )
                        for s in ranking.best_set
                    )
                    or verdict.best_set(ranking)
                )
            rows.append(
                [
                    markup.Field(f"{metric} {verdict.arrow(ranking)}", metric),
                    markup.Field(chips, len(ranking.best_set), "wrap"),
                ]
            )
        groups.append(
            {
                "headline": verdict.headline(group),
                "caveats": list(verdict.caveats(group)),
                "regret": verdict.regret(group).capitalize(),
                "table": markup.table(
                    f"{group.name}: the best set of every metric, best mean first; "
                    "↑ higher is better, ↓ lower is better",
                    ["metric", "best set"],
                    rows,
                ),
            }
        )
    return markup.render(TEMPLATE, incomplete=[], groups=groups)
