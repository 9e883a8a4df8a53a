"""The same test images through every loss, the originals on top."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from markupsafe import Markup

from experiments import store
from experiments.report import markup, style
from experiments.report.album import Album
from experiments.report.evidence import Cell, Evidence
from experiments.store import Result

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
    marks = style.marks(evidence.losses)
    groups = []
    for group in evidence.groups:
        originals = _originals(evidence.description["datasets"][group.dataset])
        rows: list[dict[str, Any]] = []
        for loss, cell in group.cells.items():
            images = _images(cell)
            if images is None:
                continue
            count = min(len(images), len(images if originals is None else originals))
            who = Markup("{}<code>{}</code>{}").format(
                marks[loss].icon(), loss, caveat(cell.shown)
            )
            strip = markup.strip(
                images[:count], f"{count} test images of {group.name} through {loss}"
            )
            rows.append({"kind": "", "who": who, "strip": strip})
        if not rows:
            continue
        if originals is not None:
            strip = markup.strip(
                originals, f"{len(originals)} original test images of {group.dataset}"
            )
            first = {"kind": "original", "who": "original", "strip": strip}
            rows.insert(0, first)
        groups.append({"name": group.name, "rows": rows})
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def _originals(described: Mapping[str, Any]) -> np.ndarray | None:
    packed = described.get("gallery")
    return None if packed is None else store.unpack(packed)


def _images(cell: Cell) -> np.ndarray | None:
    return None if cell.shown is None else cell.shown.gallery


def caveat(result: Result | None) -> str:
    """What a reader must know of the run that made the pictures."""
    if result is not None and result.status != "ok":
        return f" ({result.status} at step {result.diverged_step})"
    return ""
