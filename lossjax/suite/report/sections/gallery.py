"""Pictures of images through every loss: fixed ones, drawn ones, the worst ones."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from lossjax.suite.report import classwise, markup, style
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import ArmEvidence, Evidence, Group
from lossjax.suite.report.style import Mark
from lossjax.suite.store import results
from lossjax.suite.store.test_images import Drawn
from lossjax.suite.wording import listed

TEMPLATE = """
<p>{{ words }}</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="gallery{{ ' chosen' if chosen }}" data-name="{{ group.name }}"
{%- if chosen and group.labels %} data-labels="{{ group.labels }}"{% endif %}>
{% for row in group.rows %}
<div class="row {{ row.kind }}"><div class="who">{{ row.who }}</div>
<div>{{ row.strips | join(line) }}</div></div>
{% endfor %}
</div>
{% endfor %}
"""
GALLERY = Markup(
    "Reconstructions of fixed test images, one seed of each loss, the same for all."
)
CLASSES = Markup(' Scores of every class: <a href="#classes">By class</a>.')
SAMPLES = """Output images of codes drawn from the prior, one seed of each loss, the
same codes for all. An output image is the mean of each pixel, not a draw of it."""
INTERPOLATIONS = """Output images along the straight line between the mean codes of two
test images, one seed of each loss, the same pairs for all."""
PICTURES = """
<div class="pictures">
{% for row in rows %}
<figure>{{ row.picture }}<figcaption>{{ row.who }}
{% if row.best %}<br>best by {{ row.best }}{% endif %}</figcaption></figure>
{% endfor %}
</div>
"""
FEW = 3  # test images beside the verdict
WORST = """
<p>The test images that one seed of each loss scored worst on, the worst first: the
originals
above, reconstructions below. Numbers are places among the test images; an image that is
hard for every loss turns up under several.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="worst">
{% for row in group.rows %}
<figure>{{ row.originals }}{{ row.read_outs }}
<figcaption>{{ row.who }}: {{ row.words }}</figcaption></figure>
{% endfor %}
</div>
{% endfor %}
"""
# What a row has besides its loss; None: no row.
Shown = Mapping[str, Any] | None


def build(evidence: Evidence, album: Album) -> Markup:
    """The same test images through every loss, the originals on top."""

    def shown(group: Group, loss: str, arm: ArmEvidence) -> Shown:
        result = arm.shown
        if result is None or result.gallery is None:
            return None
        images, originals = result.gallery, originals_of(evidence, group)
        count = min(len(images), len(images if originals is None else originals))
        alt = f"{count} test images of {group.name} through {loss}"
        return {"strips": [markup.strip(images[:count], alt)]}

    groups = list(_rows(evidence, shown))
    for group, rows in groups:
        originals = originals_of(evidence, group)
        if originals is not None:
            alt = f"{len(originals)} original test images of {group.dataset}"
            strips = [markup.strip(originals, alt)]
            rows.insert(0, {"kind": "original", "who": "original", "strips": strips})
    known = any(classwise.metrics(evidence, group) for group, _ in groups)
    return _page(TEMPLATE, groups, GALLERY + (CLASSES if known else ""), evidence)


def side_by_side(
    evidence: Evidence, group: Group, losses: Mapping[str, Sequence[str]]
) -> Markup:
    """A few test images and what each of these losses makes of them.

    Args:
      losses: and the metrics that each is best by.
    """
    originals = originals_of(evidence, group)
    if originals is None:
        return Markup("")
    marks = style.marks_of(evidence)
    alt = f"{len(originals[:FEW])} test images of {group.dataset}"
    rows: list[dict[str, Any]] = [
        {"who": Markup("<b>original</b>"), "best": "", "picture": _few(originals, alt)}
    ]
    for loss, metrics in losses.items():
        result = group.arms[loss].shown
        if result is not None and result.gallery is not None:
            rows.append(
                {
                    "who": _who(loss, marks[loss]),
                    "best": listed(metrics) if metrics else "",
                    "picture": _few(result.gallery, f"{alt} through {loss}"),
                }
            )
    return markup.render(PICTURES, rows=rows) if len(rows) > 1 else Markup("")


def _few(images: np.ndarray, alt: str) -> Markup:
    return markup.strip(images[:FEW], alt)


def _who(loss: str, mark: Mark) -> Markup:
    return Markup("{}<code>{}</code>").format(mark.icon(), loss)


def samples(evidence: Evidence, album: Album) -> Markup:
    """What variational models draw from the prior, the same codes for every loss."""

    def strips(group: Group, loss: str, made: Drawn) -> list[Markup]:
        alt = f"{len(made.samples)} samples of {group.name} trained with {loss}"
        return [markup.strip(made.samples, alt)]

    return _drawn(evidence, strips, SAMPLES)


def interpolations(evidence: Evidence, album: Album) -> Markup:
    """From one test image to another through the code, on a straight line of means."""

    def strips(group: Group, loss: str, made: Drawn) -> list[Markup]:
        alt = "{} steps between two test images through {}"
        return [markup.strip(p, alt.format(len(p), loss)) for p in made.interpolations]

    return _drawn(evidence, strips, INTERPOLATIONS)


def worst(evidence: Evidence, album: Album) -> Markup:
    """Every loss at its worst: the test images it scored worst on."""

    def shown(group: Group, loss: str, arm: ArmEvidence) -> Shown:
        for result in arm.chosen:
            if result.kept is not None and (worst := result.kept.worst):
                break
        else:
            return None
        scores = ", ".join(
            f"#{place} ({score:.4g})"
            for place, score in zip(worst.places, worst.scores, strict=True)
        )
        words = f"worst {worst.metric} of seed {result.run.seed}, {scores}"
        count = len(worst.places)
        return {
            "words": words,
            "originals": markup.strip(
                worst.originals,
                f"{count} originals of {group.dataset}: {loss} has its {words}",
            ),
            "read_outs": markup.strip(
                worst.read_outs, f"the same {count} test images through {loss}"
            ),
        }

    return _page(WORST, _rows(evidence, shown))


def drawn(arm: ArmEvidence) -> Drawn | None:
    """What the first seed that kept any drew."""
    return next((r.drawn for r in arm.chosen if r.drawn is not None), None)


def _drawn(
    evidence: Evidence,
    strips: Callable[[Group, str, Drawn], list[Markup]],
    words: str,
) -> Markup:
    """A gallery of what variational models drew."""

    def shown(group: Group, loss: str, arm: ArmEvidence) -> Shown:
        if (found := drawn(arm)) is None:
            return None
        return {"strips": strips(group, loss, found)}

    return _page(TEMPLATE, _rows(evidence, shown), words)


def _page(
    template: str,
    groups: Iterable[tuple[Group, list[dict[str, Any]]]],
    words: str = "",
    evidence: Evidence | None = None,
) -> Markup:
    """The rows of every group; nothing where there are none.

    With evidence they are test images, which a reader may choose among.
    """
    named = [
        {
            "name": group.name,
            "rows": rows,
            "labels": _labels(evidence, group) if evidence else "",
        }
        for group, rows in groups
    ]
    line = Markup("<br>")
    return (
        markup.render(
            template, groups=named, words=words, line=line, chosen=evidence is not None
        )
        if named
        else Markup("")
    )


def _rows(
    evidence: Evidence, shown: Callable[[Group, str, ArmEvidence], Shown]
) -> Iterator[tuple[Group, list[dict[str, Any]]]]:
    """A row for each loss that has pictures to show, of every group with any.

    `who` of a row is its loss, with its mark.
    """
    marks = style.marks_of(evidence)
    for group in evidence.groups:
        rows = []
        for loss, arm in group.arms.items():
            if (row := shown(group, loss, arm)) is None:
                continue
            rows.append({"kind": "", "who": _who(loss, marks[loss]), **row})
        if rows:
            yield group, rows


def _labels(evidence: Evidence, group: Group) -> str:
    """The classes of the test images that are shown, where they are known."""
    kept = evidence.description["datasets"][group.dataset].get("gallery_labels", [])
    return " ".join(map(str, kept))


def originals_of(evidence: Evidence, group: Group) -> np.ndarray | None:
    packed = evidence.description["datasets"][group.dataset].get("gallery")
    return None if packed is None else results.unpack(packed)
