"""How many pixels of each dataset count, and what they are, where they are no bytes."""

from collections.abc import Iterator, Mapping
from typing import Any

from markupsafe import Markup

from lossjax.suite.report import markup
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.markup import Field
from lossjax.suite.report.tables.listings import counted

TEMPLATE = """
<p>Losses and metrics are means over the pixels that count, image by image; what lies
under a mask changes nothing.</p>
<ul>
{% for name, words in rows %}<li><code>{{ name }}</code>: {{ words }}</li>
{% endfor %}
</ul>
{{ table }}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    described = evidence.description["datasets"]
    facts = {name: one["pixels"] for name, one in described.items() if "pixels" in one}
    if not facts:
        return Markup("")
    rows = [
        [
            Field(line.dataset, line.dataset),
            Field(line.split),
            *(
                Field(f"{value:,}", value, "num")
                for value in (line.images, line.values, line.counted)
            ),
            Field(f"{line.share:.2%}", line.share, "num"),
        ]
        for line in counted(evidence)
        if line.dataset in facts
    ]
    heads: list[str | Field] = ["dataset", "split"]
    heads += [
        Field(head, kind="num")
        for head in ("images", "pixels x channels", "counted", "share")
    ]
    return markup.render(
        TEMPLATE,
        rows=[(name, "; ".join(_words(one))) for name, one in facts.items()],
        table=markup.table("Pixels that count", heads, rows),
    )


def _words(facts: Mapping[str, Any]) -> Iterator[str]:
    """What a dataset's pixels are."""
    black, white = facts["black"], facts["white"]
    if facts["levels"]:
        yield f"{facts['levels']:,} levels, from {black:g} (black) to {white:g} (white)"
    else:
        yield f"floats, from {black:g} (black) to {white:g} (white)"
        yield (
            "bits per dimension are not defined: the density of a real number is no "
            "probability, so it takes no number of bits"
        )
    if facts["masked"]:
        yield "a mask says which count"
    for channel, own in enumerate(facts["balance"], 1):
        where = f"channel {channel}: " if len(facts["balance"]) > 1 else ""
        yield (
            f"{where}in the loss a pixel above the mean {own['mean']:.4g} weighs "
            f"{own['bright']:.4g}, another {own['dark']:.4g}; metrics weigh all alike"
        )
