"""One picture of published evidence: the same test images through every loss."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from lossjax.suite.report import style
from lossjax.suite.report.markup import in_colour

_WIDTH, _LABEL = 6.4, 1.6  # inches: of the figure, of a row's name


def write(study: Path) -> None:
    """A figure for every dataset and model of `study`/gallery.npz, beside it."""
    with np.load(study / "gallery.npz", allow_pickle=False) as stored:
        pictures = {name: stored[name] for name in stored}
    strips: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for name, images in pictures.items():
        if len(parts := name.split("|")) == 3:
            dataset, model, loss = parts
            rows = strips.setdefault((dataset, model), {})
            if (original := pictures.get(f"{dataset}|original")) is not None:
                rows.setdefault("original", original[: len(images)])
            rows[loss] = images
    for (dataset, model), rows in strips.items():
        path = study / f"reconstructions-{dataset}-{model}.svg"
        with style.applied():
            metadata = {"Date": None, "Creator": None}
            drawn(rows).savefig(path, format="svg", metadata=metadata)


def drawn(rows: Mapping[str, np.ndarray], zoom: int = 8) -> Figure:
    """Each row a strip of images (count, height, width, channels), uint8.

    A pixel is a square of `zoom` in the file.
    """
    count, high, wide, _ = next(iter(rows.values())).shape
    height = (_WIDTH - _LABEL) / (count * wide) * high
    figure = Figure(figsize=(_WIDTH, height * len(rows) * 1.05))
    axes = figure.subplots(len(rows), squeeze=False)[:, 0]
    figure.subplots_adjust(_LABEL / _WIDTH, 0, 1, 1, hspace=0.05)
    for ax, (name, images) in zip(axes, rows.items(), strict=True):
        # A white line between the images: a strip of black ones would be one block.
        framed = np.pad(
            in_colour(images).repeat(zoom, axis=1).repeat(zoom, axis=2),
            ((0, 0), (0, 0), (2, 2), (0, 0)),
            constant_values=255,
        )
        strip = np.concatenate(list(framed), axis=1)
        ax.imshow(
            np.broadcast_to(strip, (*strip.shape[:2], 3)),
            aspect="auto",
            interpolation="none",
        )
        ax.set_axis_off()
        ax.text(-0.01, 0.5, name, transform=ax.transAxes, ha="right", va="center")
    return figure
