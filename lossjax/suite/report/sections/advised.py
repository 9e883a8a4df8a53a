"""The advice, where an advisor asked: the paragraph, the images, code to paste."""

from markupsafe import Markup
from matplotlib.figure import Figure

from lossjax.suite.report import advising, markup, recipes
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.style import INK
from lossjax.suite.shortlist import PURPOSES

MOST_BINS = 64  # of a file that anybody may have written
TEMPLATE = """
<div class="verdict">
<p class="headline">{{ advice.sentences[0] }}</p>
<p class="sure">{{ advice.sentences[1:] | join(" ") }}</p>
{% for line in notes %}<p class="note">{{ line }}</p>{% endfor %}
</div>
<details><summary>Your images</summary>
<ul>{% for line in seen %}<li>{{ line }}</li>{% endfor %}</ul>
{{ histogram }}
</details>
<details><summary>Why these losses were compared</summary>
<ul>{% for loss, why in reasons.items() %}<li><code>{{ loss }}</code> {{ why }}</li>
{% endfor %}</ul>
{% if pilot %}<p>{{ pilot }}</p>{% endif %}
</details>
{% for library, code in advice.code.items() %}
<details><summary>{{ advice.loss }} to paste, {{ library }}</summary>
{{ copied(code) }}
</details>
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    found = evidence.description.get("advice")
    advice = advising.advice(evidence)
    if found is None or advice is None:
        return Markup("")
    return markup.render(
        TEMPLATE,
        advice=advice,
        notes=found["notes"],
        seen=list(advising.seen(found)),
        histogram=_histogram(found["look"]["histogram"][:MOST_BINS], album),
        reasons=PURPOSES[found["purpose"]].losses,
        pilot=advising.of_pilot(found),
        copied=recipes.copied,
    )


def _histogram(shares: list[float], album: Album) -> Markup:
    figure = Figure(figsize=(8, 1.8))
    axes = figure.add_axes((0.08, 0.28, 0.9, 0.66))
    width = 1 / max(1, len(shares))
    middles = [(i + 0.5) * width for i in range(len(shares))]
    axes.bar(middles, shares, 0.9 * width, color=INK)
    axes.set_xlim(0, 1)
    axes.set_xlabel("intensity, from black to white")
    axes.set_ylabel("share of pixels")
    told = ", ".join(f"{share:.0%}" for share in shares)
    return album.add(
        "intensities",
        figure,
        f"Histogram of intensities, dark to bright: {told}",
        "How often each intensity is, training images.",
    )
