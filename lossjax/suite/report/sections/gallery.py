"""The same test images through every loss, the originals on top."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from lossjax.suite.report import markup, style
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence, Group, StoredCell
from lossjax.suite.store import results
from lossjax.suite.store.results import Result

TEMPLATE = """
<p>Reconstructions of fixed test images, one seed of each loss, the same for all.</p>
{% for group in groups %}
<h3>{{ group.name }}</h3>
<div class="gallery">
{% for row in group.rows %}
<div class="row {{ row.kind }}"><div class="who">{{ row.who }}</div>
<div>{{ row.strip }}</div></div>
{% endfor %}
</div>
{% endfor %}
"""


def build(evidence: Evidence, album: Album) -> Markup:
    def shown(group: Group, loss: str, cell: StoredCell) -> Shown:
        result = cell.shown
        if result is None or result.gallery is None:
            return None
        images, originals = result.gallery, _originals(evidence, group)
        count = min(len(images), len(images if originals is None else originals))
        strip = markup.strip(
            images[:count], f"{count} test images of {group.name} through {loss}"
        )
        return result, {"kind": "", "strip": strip}

    groups = []
    for group, rows in rows_of(evidence, shown):
        originals = _originals(evidence, group)
        if originals is not None:
            strip = markup.strip(
                originals, f"{len(originals)} original test images of {group.dataset}"
            )
            first = {"kind": "original", "who": "original", "strip": strip}
            rows.insert(0, first)
        groups.append({"name": group.name, "rows": rows})
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


# The run that made a row's pictures, and what else the row has; None: no row.
Shown = tuple[Result, Mapping[str, Any]] | None


def rows_of(
    evidence: Evidence, shown: Callable[[Group, str, StoredCell], Shown]
) -> Iterator[tuple[Group, list[dict[str, Any]]]]:
    """A row for each loss that has pictures to show, of every group with any.

    `who` of a row is its loss, with its mark and what a reader must know of the run.
    """
    marks = style.marks(evidence.losses)
    for group in evidence.groups:
        rows = []
        for loss, cell in group.cells.items():
            if (found := shown(group, loss, cell)) is None:
                continue
            result, row = found
            who = Markup("{}<code>{}</code>{}").format(
                marks[loss].icon(), loss, _caveat(result)
            )
            rows.append({"who": who, **row})
        if rows:
            yield group, rows


def _originals(evidence: Evidence, group: Group) -> np.ndarray | None:
    packed = evidence.description["datasets"][group.dataset].get("gallery")
    return None if packed is None else results.unpack(packed)


def _caveat(result: Result) -> str:
    """What a reader must know of the run that made the pictures."""
    if result.status != "ok":
        return f" ({result.status} at step {result.diverged_step})"
    return ""
