"""The verdict first, in words."""

from markupsafe import Markup

from lossjax.suite.report import markup, style, verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.statistics import Ranking
from lossjax.suite.wording import count

TEMPLATE = """
{% if incomplete %}
<div class="note">
{% for line in incomplete[:1] %}<strong>{{ line }}</strong>{% endfor %}
The comparison is made when every run is stored; the cells are named under
<a href="#problems">Missing and lost runs</a>.
</div>
{% else %}
<p>A loss is best where it has the best mean over fresh seeds; every loss that is not
shown worse by more than the margin of practical equivalence shares its place. The
truly best loss is in such a set in at least 95 of 100 sweeps.</p>
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
            sort = sum(s.relation == "worse" for s in ranking.standings)
            rows.append(
                [
                    markup.Field(f"{metric} {verdict.arrow(ranking)}", metric),
                    markup.Field(chips, len(ranking.best_set), "wrap"),
                    markup.Field(_worse(ranking), sort, "wrap worse"),
                    markup.Field(_made(ranking), ranking.n),
                ]
            )
        groups.append(
            {
                "headline": verdict.headline(group),
                "caveats": list(verdict.caveats(evidence, group)),
                "regret": verdict.regret(group).capitalize(),
                "table": markup.table(
                    f"{group.name}: the best set of every metric, best mean first; "
                    "↑ higher is better, ↓ lower is better. In brackets: how far "
                    "behind the best, in standard deviations of the paired difference.",
                    ["metric", "best set", "shown worse", "n a loss"],
                    rows,
                    "stack",
                ),
            }
        )
    return markup.render(TEMPLATE, incomplete=[], groups=groups)


def _worse(ranking: Ranking) -> str:
    """Losses shown worse than the best, with the effect size of each."""
    shown = [s for s in ranking.standings if s.relation == "worse"]
    return ", ".join(f"{s.loss} ({s.effect:.1f})" for s in shown) or "none"


def _made(ranking: Ranking) -> str:
    """How many seeds stand behind every mean, and how many were lost in all."""
    diverged = sum(s.diverged for s in ranking.standings)
    return f"{count(ranking.n, 'seed')}, {diverged} diverged"
