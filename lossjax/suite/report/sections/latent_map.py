"""Where each loss puts the test images: mean codes on two axes, labels as digits."""

import math
from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossjax.suite.report import markup
from lossjax.suite.report.album import Album
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.figures import WIDTH
from lossjax.suite.report.sections.gallery import drawn
from lossjax.suite.report.style import COLOURS
from lossjax.suite.store.test_images import Drawn

TEMPLATE = """
<p>Mean codes of test images on their two principal axes (the code itself where it has
two units), one seed of each loss. Each panel has its own scale, from -1 to 1 at least;
where images are labelled, each is drawn as its label. A collapsed code is a dot.</p>
{% for name, figure in groups %}
<h3>{{ name }}</h3>
<div class="figures">{{ figure }}</div>
{% endfor %}
"""
_COLUMNS = 2
_CLASSES = 100  # most labels that are drawn as numbers


def build(evidence: Evidence, album: Album) -> Markup:
    groups = []
    for group in evidence.groups:
        maps = {
            loss: found
            for loss, arm in group.arms.items()
            if (found := drawn(arm)) is not None
        }
        if not maps:
            continue
        figure = album.add(
            f"map-{group.dataset}-{group.model}",
            _maps(maps),
            f"Codes of test images of {group.name} in two dimensions, a panel for each "
            f"of {', '.join(maps)}.",
        )
        groups.append((group.name, figure))
    return markup.render(TEMPLATE, groups=groups) if groups else Markup("")


def _maps(drawn: Mapping[str, Drawn]) -> Figure:
    """One panel for each loss, all of the same size, two in a row."""
    rows = math.ceil(len(drawn) / _COLUMNS)
    side, head = WIDTH / _COLUMNS, 0.25
    height = rows * (side + head)
    figure = Figure(figsize=(WIDTH, height))
    for index, (loss, own) in enumerate(drawn.items()):
        row, column = divmod(index, _COLUMNS)
        bottom = height - (row + 1) * (side + head)
        box = (column / _COLUMNS + 0.02, (bottom + 0.06) / height)
        axes = figure.add_axes((*box, 0.46, (side - 0.12) / height))
        axes.set_title(loss, fontsize=8.5)
        axes.set_xticks([])
        axes.set_yticks([])
        _scatter(axes, own)
    return figure


def _scatter(axes: Axes, own: Drawn) -> None:
    places = own.places[np.isfinite(own.places).all(axis=1)]
    if not len(places):
        axes.text(0.5, 0.5, "no finite code", ha="center", transform=axes.transAxes)
        return
    # The prior's scale at least: a collapsed code is a dot, not noise blown up.
    reach = max(1.0, float(np.abs(places).max())) * 1.05
    axes.set_xlim(-reach, reach)
    axes.set_ylim(-reach, reach)
    labels = own.labels
    if labels is None or len(places) < len(own.places) or labels.max() >= _CLASSES:
        axes.plot(*places.T, ".", markersize=2.5, color=COLOURS[0])
        return
    for label in np.unique(labels):
        mine = places[labels == label]
        axes.plot(
            *mine.T,
            linestyle="none",
            marker=f"${label}$",
            markersize=4,
            markeredgewidth=0,
            color=COLOURS[int(label) % len(COLOURS)],
        )
