"""Which losses see that a square has moved by two places, and not by one?

A loss that compares pixel by pixel sees a moved square where it was and where it is,
and not how far it went, unless the two places overlap.

Source: Michlo, James, Klein, Overlooked implications of the reconstruction loss for VAE
disentanglement, IJCAI 2023, arXiv 2202.13341 (first version: Data overlap: a
prerequisite for disentanglement). XYSquares: 64x64 pixels, one square of 8x8 in each
colour, on a grid of 8 by 8 places, so that 262,144 images have six factors; at a
spacing of 8 pixels no two places overlap, and every pixel-wise loss has a constant
distance between them; a smaller spacing brings the order back, and so does a loss that
looks at more than a pixel.

Links:
https://arxiv.org/abs/2202.13341

Protocol: the images are made by the definition above, centred where the grid is smaller
than the image, for spacings of 1 to 8 pixels. The distance of two images is the value
of a compiled loss, float64, with one as output and the other as target, less its value
with the target as output; outputs lie half a grey level inside [0, 1]. A walk moves
one square along a row, from the first place to each of the others. 300 pairs of random
images, one seed, give the rank correlation (Spearman) of this distance with the number
of places that all squares moved, |dx| + |dy| summed. How many of the seven moves of a
walk a loss tells apart are those that differ by more than 1 per cent of the largest.

Deviations: no network is trained. The source trains VAEs and reports disentanglement
scores (MIG, DCI), which the suite does not have; whether a code has an order is
answered here only for the distances that it would be learnt from.

Predicted before any run: at a spacing of 8 the seven moves are one distance for every
pixel-wise loss, to rounding; at spacing s a pixel-wise loss tells 8 / s moves apart,
rounded up; squared error's distance is that of the pixels that differ, exactly. `ssim`,
whose window reaches 5 pixels to each side, tells one place from two and from more, and
nothing beyond; `ms_ssim` reaches further. The rank correlation of random pairs rises as
the spacing falls, and at a spacing of 8 is higher for `ms_ssim` than for any pixel-wise
loss, whose distance still counts how many of the squares moved at all.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite.report import style
from lossjax.suite.reproduce.finding import (
    Finding,
    agrees,
    cannot,
    measured,
)
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task
from lossjax.suite.statistics import Interval

SIZE, SQUARE, PLACES = 64, 8, 8
SPACINGS = tuple(range(1, 9))
PAIRS = 300
PIXELWISE = (
    "bce",
    "mse",
    "mae",
    "huber",
    "log_cosh",
    "charbonnier",
    "barron",
    "power",
    "continuous_bernoulli",
)
WINDOWED = ("ssim", "ms_ssim")
EDGE = 1 / 510
APART = 0.01  # of the largest distance: what counts as told apart
DRAWN = ("bce", "mse", "mae", "ssim", "ms_ssim")


def square_images(places: np.ndarray, spacing: int) -> np.ndarray:
    """(n, 3, 2) places x, y of the squares -> (n, 64, 64, 3) of 0 and 1."""
    start = (SIZE - SQUARE - (PLACES - 1) * spacing) // 2 + spacing * places
    at = np.arange(SIZE)
    inside = (at >= start[..., None]) & (at < start[..., None] + SQUARE)
    return np.einsum("ncx,ncy->nyxc", inside[:, :, 0], inside[:, :, 1]).astype(float)


def distances(task: Task) -> pd.DataFrame:
    """Walks and random pairs: how far the squares moved, and each loss's distance."""
    import jax
    import jax.numpy as jnp

    from lossjax import LOSSES

    random = np.random.RandomState(0)
    count = 20 if task.quick else PAIRS
    pairs = random.randint(0, PLACES, (2, count, 3, 2))
    walk = np.zeros((2, PLACES - 1, 3, 2), int)
    walk[1, :, 0, 0] = np.arange(1, PLACES)
    places = np.concatenate([walk, pairs], axis=1)
    kinds = ["walk"] * (PLACES - 1) + ["pair"] * count
    lines = []
    losses = {name: jax.jit(LOSSES[name].fn) for name in (*PIXELWISE, *WINDOWED)}
    with jax.enable_x64(True):
        for spacing in SPACINGS:
            first, second = (square_images(own, spacing) for own in places)
            output, right = (
                jnp.asarray(np.log(p) - np.log1p(-p))
                for p in (EDGE + (1 - 2 * EDGE) * own for own in (first, second))
            )
            target = jnp.asarray(second)
            differ = (first != second).reshape(len(first), -1).mean(1)
            for name, fn in losses.items():
                found = np.asarray(fn(output, target) - fn(right, target))
                lines.append(
                    pd.DataFrame(
                        {
                            "spacing": spacing,
                            "loss": name,
                            "kind": kinds,
                            "moved": np.abs(places[0] - places[1]).sum((1, 2)),
                            "pixels": differ,
                            "distance": found,
                        }
                    )
                )
    return pd.concat(lines)


STEPS = {"distances": distances}


def told(values: np.ndarray) -> int:
    """How many distances of a walk can be told from one another."""
    ordered = np.sort(values)
    gaps = np.diff(ordered) > APART * np.abs(ordered).max()
    return 1 + int(np.count_nonzero(gaps))


def conclude(record: Record) -> Conclusion:
    """What each loss sees of a walk, and how its distances rank random pairs."""
    from scipy.stats import spearmanr

    table = record.tables["distances"]
    widest = max(SPACINGS)
    apart, ranked = {}, {}
    for (spacing, loss), own in table.groupby(["spacing", "loss"], sort=False):
        walk, pairs = (own[own["kind"] == kind] for kind in ("walk", "pair"))
        apart[spacing, loss] = told(walk["distance"].to_numpy())
        ranked[spacing, loss] = float(spearmanr(pairs["moved"], pairs["distance"])[0])
    walks = table[(table["kind"] == "walk") & table["loss"].isin(PIXELWISE)]
    far = walks[walks["spacing"] == widest].groupby("loss")["distance"]
    spread = float(((far.max() - far.min()) / far.max()).max())
    square = table[table["loss"] == "mse"]
    gap = float((square["distance"] - (1 - 2 * EDGE) * square["pixels"]).abs().max())
    wrong = [
        f"{loss} at {spacing}: {apart[spacing, loss]}"
        for spacing in SPACINGS
        for loss in PIXELWISE
        if apart[spacing, loss] != min(PLACES - 1, -(-SQUARE // spacing))
    ]
    best = max(PIXELWISE, key=lambda loss: ranked[widest, loss])
    rises = [
        loss
        for loss in PIXELWISE
        if np.any(np.diff([ranked[s, loss] for s in SPACINGS]) > 0)
    ]
    findings = [
        agrees(
            f"{len(PIXELWISE)} pixel-wise losses, spacing 8: seven moves are one "
            "distance, largest relative difference",
            spread,
            1e-9,
            key="constant",
        ),
        agrees(
            "squared error is the share of pixels that differ, all spacings",
            gap,
            1e-9,
            key="share",
        ),
        Finding(
            "moves of a walk that pixel-wise losses tell apart, all spacings",
            "8 over the spacing, rounded up, at most 7",
            "all" if not wrong else f"not {len(wrong)} of them",
            not wrong,
            "; ".join(wrong[:5]),
            key="told",
        ),
        Finding(
            "moves of a walk that ssim tells apart at spacing 8",
            "3: one place, two, more",
            str(apart[widest, "ssim"]),
            apart[widest, "ssim"] == 3,
            ""
            if apart[widest, "ssim"] == 3
            else "the seventh place lies at the border, where the window is reflected",
            number=_exact(apart[widest, "ssim"]),
            key="ssim_told",
        ),
        Finding(
            "moves of a walk that ms_ssim tells apart at spacing 8",
            "more than ssim",
            str(apart[widest, "ms_ssim"]),
            apart[widest, "ms_ssim"] > apart[widest, "ssim"],
            ""
            if apart[widest, "ms_ssim"] > apart[widest, "ssim"]
            else "predicted wrongly",
            number=_exact(apart[widest, "ms_ssim"]),
            key="ms_ssim_told",
        ),
        Finding(
            "rank correlation of random pairs at spacing 8: ms_ssim against the best "
            f"pixel-wise loss ({best})",
            "ms_ssim is higher",
            f"{ranked[widest, 'ms_ssim']:.3f}, {ranked[widest, best]:.3f}",
            ranked[widest, "ms_ssim"] > ranked[widest, best],
            ""
            if ranked[widest, "ms_ssim"] > ranked[widest, best]
            else "predicted wrongly",
            key="ranked",
        ),
        Finding(
            "pixel-wise losses whose rank correlation falls with every pixel of "
            "spacing",
            f"{len(PIXELWISE)} of {len(PIXELWISE)}",
            str(len(PIXELWISE) - len(rises)),
            not rises,
            f"not {', '.join(rises)}: 300 pairs" if rises else "",
            key="falls",
        ),
        cannot(
            "disentanglement of VAEs trained on XYSquares (MIG, DCI)",
            "poor at spacing 8",
            "the suite has neither score; nothing is trained here",
        ),
        *(
            measured(
                f"rank correlation of random pairs, {loss}, spacing {spacing}",
                ranked[spacing, loss],
                key=f"rank_{loss}_{spacing}",
            )
            for loss in DRAWN
            for spacing in (1, widest)
        ),
    ]
    rows = [
        {
            "loss": loss,
            **{
                f"moves told apart, spacing {s}": str(apart[s, loss])
                for s in (1, 2, 4, 8)
            },
            **{
                f"rank correlation, spacing {s}": f"{ranked[s, loss]:.3f}"
                for s in (1, 4, 8)
            },
        }
        for loss in (*PIXELWISE, *WINDOWED)
    ]
    counts: dict[str, Any] = {
        loss: {"told": apart[widest, loss], "rank": round(ranked[widest, loss], 6)}
        for loss in (*PIXELWISE, *WINDOWED)
    }
    drawing = _draw(table, ranked)
    return Conclusion(findings, pd.DataFrame(rows, dtype=object), [drawing], counts)


def _exact(value: float) -> Interval:
    return Interval(value, value, value)


def _draw(table: pd.DataFrame, ranked: dict[Any, float]) -> Drawing:
    """Distance of a walk at spacing 8, and rank correlation against spacing."""
    figure = Figure(figsize=(7.2, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    words = []
    for loss, mark in style.marks(DRAWN).items():
        own = table[
            (table["loss"] == loss)
            & (table["kind"] == "walk")
            & (table["spacing"] == max(SPACINGS))
        ]
        look: dict[str, Any] = {"color": mark.colour, "marker": mark.marker, "ms": 4}
        look["linestyle"] = mark.line
        share = own["distance"] / own["distance"].max()
        # Equal lines would lie on one another.
        left.plot(own["moved"], share + 0.012 * mark.index, label=loss, **look)
        right.plot(SPACINGS, [ranked[s, loss] for s in SPACINGS], **look)
        words.append(f"{loss} {ranked[max(SPACINGS), loss]:.2f}")
    left.set_xlabel("places that one square moved, spacing 8")
    left.set_ylabel("distance over its largest (lines shifted)")
    left.set_ylim(0, 1.1)
    right.set_xlabel("spacing of the places (pixels)")
    right.set_ylabel("rank correlation, random pairs")
    right.set_ylim(0, 1)
    figure.legend(loc="outside lower center", ncols=len(DRAWN))
    return Drawing(
        figure,
        "Left: the distance that a loss gives a square that moved by so many places, "
        "at a spacing without overlap: flat for pixel-wise losses. Right: rank "
        "correlation of distance and places moved against the spacing. At spacing 8: "
        + ", ".join(words)
        + ".",
    )


STUDY = Study(
    conclude,
    steps=STEPS,
)
