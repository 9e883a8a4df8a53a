"""Does an autoencoder find defects better with SSIM: as what trains it, or as its map?

It is trained on good textures alone, so that it should not draw what is not one of
them; a defect is where its output and the picture differ, pixel by pixel.

Source: Bergmann, Löwe, Fauser, Sattlegger, Steger, Improving unsupervised defect
segmentation by applying structural similarity to autoencoders, VISAPP 2019, arXiv
1807.02011: on photographs of materials the area under the ROC curve of pixels rises
from .688 (trained with squared error, map of squared residuals) to .966 (trained with
SSIM, map of SSIM). That changes what is trained and the map together; here each is
changed by itself.

Links:
https://arxiv.org/abs/1807.02011
https://doi.org/10.5220/0007364503720380

Protocol: textures of the suite, 32x32, smooth (power falls as frequency^-4), 2,000 to
train; conv_ae with a code of 32, 600 steps, `mse` and `ssim`, two rates of which each
of six seeds chooses by its own validation loss; clean input. In each of the test
images, drawn once, a disc of radius 5 is replaced: "rough", by a texture whose power
falls as frequency^-1, with the same law of grey levels, so that the histogram stays;
or "bright", by what was there, lighter by 0.15. A map is the squared residual, or 1 -
SSIM in the window (11 pixels, sigma 1.5, reflected) around each pixel. Score: area
under the ROC curve over all pixels of all test images together, discs the positives
(scikit-learn); six seeds, paired.

Deviations: their pictures are not here, so their two numbers cannot be judged; made
textures, another network and size, one map and no averaging over overlapping patches.

Predicted before any run: for rough discs SSIM in training and as map is ahead of
squared error in both by at least 0.05, and at least half of that comes with the map
alone, from the network that was trained with `mse`. For bright discs, which SSIM says
little of, squared error in both is at least as good: ahead by 0 or more. (Seen before
the run: 20 steps of two seeds, the small version.)
"""

import dataclasses
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite.report.style import COLOURS, INK
from lossjax.suite.reproduce.finding import (
    Finding,
    Published,
    Tag,
    agrees,
    cannot,
    measured,
    shown,
)
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task
from lossjax.suite.statistics import Interval, interval

SIDE, CENTRE_FROM, RADIUS = 32, 8, 5
GOOD, ROUGH = "textures(spectrum=4.0)", "textures(spectrum=1.0, seed=1)"
LIGHTER = 0.15
TRAINED, MAPS, DEFECTS = ("mse", "ssim"), ("squared", "ssim"), ("rough", "bright")
SEEDS, RATES, STEPS_TRAINED = 6, (3e-3, 1e-2), 600
C1, C2 = 0.01**2, 0.03**2
SOURCE = "Bergmann and others 2019"


def planted(clean: np.ndarray, rough: np.ndarray) -> tuple[dict[str, Any], np.ndarray]:
    """Images (n, h, w) with each defect, and the discs."""
    random = np.random.RandomState(0)
    centre = random.randint(CENTRE_FROM, SIDE - CENTRE_FROM, (2, len(clean), 1, 1))
    y, x = np.mgrid[:SIDE, :SIDE]
    disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= RADIUS**2
    lighter = np.minimum(clean + LIGHTER, 1)
    kinds = {"rough": rough, "bright": lighter}
    return {kind: np.where(disc, own, clean) for kind, own in kinds.items()}, disc


def ssim_map(image: np.ndarray, target: np.ndarray) -> np.ndarray:
    """1 - SSIM in the window around each pixel, (n, h, w), as the suite's loss has."""
    from scipy.ndimage import gaussian_filter

    def mean(values: np.ndarray) -> np.ndarray:
        window = {"sigma": 1.5, "radius": 5, "mode": "reflect"}
        return gaussian_filter(values, axes=(1, 2), **window)

    x, y = image.astype(np.float64), target.astype(np.float64)
    mx, my = mean(x), mean(y)
    vx, vy = mean(x * x) - mx * mx, mean(y * y) - my * my
    light = (2 * mx * my + C1) / (mx * mx + my * my + C1)
    return 1 - light * (2 * (mean(x * y) - mx * my) + C2) / (vx + vy + C2)


def scored(task: Task) -> pd.DataFrame:
    """Areas under the ROC curve, by loss, seed, defect and map."""
    import jax.numpy as jnp
    from sklearn.metrics import roc_auc_score

    import lossjax
    from lossjax.suite.config import Sweep
    from lossjax.suite.sweep import unattended
    from lossjax.suite.sweep.datasets import load

    plan = Sweep(
        datasets=(GOOD, ROUGH),
        models=("conv_ae",),
        losses=TRAINED,
        learning_rates=RATES[: 1 if task.quick else None],
        seeds=tuple(range(2 if task.quick else SEEDS)),
        train_steps=20 if task.quick else STEPS_TRAINED,
        batch_size=64,
        latent_dim=32,
        width=(8, 16),
        image_size=SIDE,
        curve_points=1,
    )
    data = load(plan)
    good, rough = (
        np.asarray(data[name].test.images)[..., 0] / 255 for name in (GOOD, ROUGH)
    )
    images, disc = planted(good, rough)
    plan = dataclasses.replace(plan, datasets=(GOOD,))
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        found = unattended.train(plan, {GOOD: data[GOOD]}, Path(folder), "best")
        for loss in TRAINED:
            for seed in plan.seeds:
                own = [r for r in found if (r.run.loss, r.run.seed) == (loss, seed)]
                best = min(own, key=lambda result: result.validation_loss)
                model = lossjax.load(Path(folder, "runs", best.run.run_id))
                for kind, image in images.items():
                    output = model(image[..., None].astype(np.float32))[..., 0]
                    maps = {
                        "squared": (output - image) ** 2,
                        "ssim": ssim_map(output, image),
                    }
                    same = lossjax.METRICS["ssim"].fn(
                        jnp.asarray(output[..., None]),
                        jnp.asarray(image[..., None], jnp.float32),
                    )
                    lines += [
                        {
                            "loss": loss,
                            "seed": seed,
                            "defect": kind,
                            "map": name,
                            "auroc": roc_auc_score(disc.ravel(), values.ravel()),
                            "off": abs(1 - float(same.mean()) - maps["ssim"].mean()),
                        }
                        for name, values in maps.items()
                    ]
    return pd.DataFrame(lines)


STEPS = {"scored": scored}


def conclude(record: Record) -> Conclusion:
    """What SSIM adds in training, as map, and in both."""
    table = record.tables["scored"]
    area = {
        (str(kind), str(loss), str(name)): own.sort_values("seed")["auroc"].to_numpy()
        for (kind, loss, name), own in table.groupby(["defect", "loss", "map"])
    }

    def gain(kind: str, one: tuple[str, str], other: tuple[str, str]) -> Interval:
        return interval(area[(kind, *one)] - area[(kind, *other)])

    squared, both, map_alone = ("mse", "squared"), ("ssim", "ssim"), ("mse", "ssim")
    rough = gain("rough", both, squared)
    alone = gain("rough", map_alone, squared)
    rest = interval(
        area[("rough", *map_alone)]
        - (area[("rough", *squared)] + area[("rough", *both)]) / 2
    )
    bright = gain("bright", squared, both)
    findings = [
        agrees(
            "mean of the map against the suite's `ssim`, largest difference",
            float(table["off"].max()),
            1e-5,
            key="map",
        ),
        _judged(
            "rough discs: SSIM in training and map less squared error in both, area",
            "at least 0.05",
            rough,
            rough.low >= 0.05,
            "rough",
        ),
        _judged(
            "rough discs: SSIM's map of the network trained with `mse`, less half way "
            "from squared error in both to SSIM in both, area",
            "0 or more: half of the gain is the map's",
            rest,
            rough.low > 0 and rest.low >= 0,
            "half",
        ),
        _judged(
            "bright discs: squared error in both less SSIM in training and map, area",
            "0 or more",
            bright,
            bright.low >= 0,
            "bright",
        ),
        *(
            cannot(
                f"area, {words}",
                Published(number, SOURCE, Tag.SEEN, floor=1.0),
                "their photographs of materials are not part of this",
            )
            for words, number in (
                ("squared error in training and map", "0.688"),
                ("SSIM in training and map", "0.966"),
            )
        ),
        measured("rough discs: gain of the map alone", alone, key="map_alone"),
        measured(
            "rough discs: gain of training alone, map of squared residuals",
            gain("rough", ("ssim", "squared"), squared),
            key="training_alone",
        ),
        *(
            measured(
                f"{kind} discs, trained with `{loss}`, {name} map: area",
                interval(area[kind, loss, name]),
                key=f"{kind}_{loss}_{name}",
            )
            for kind in DEFECTS
            for loss in TRAINED
            for name in MAPS
        ),
    ]
    rows = [
        {
            "trained with": f"`{loss}`",
            "map": name,
            **{
                f"{kind} discs, area": shown(interval(area[kind, loss, name]))
                for kind in DEFECTS
            },
        }
        for loss in TRAINED
        for name in MAPS
    ]
    counts: dict[str, Any] = {
        kind: {
            f"{loss}, {name}": float(f"{area[kind, loss, name].mean():.6g}")
            for loss in TRAINED
            for name in MAPS
        }
        for kind in DEFECTS
    }
    drawing = _draw(area)
    return Conclusion(findings, pd.DataFrame(rows, dtype=object), [drawing], counts)


def _judged(what: str, expected: str, ours: Interval, holds: bool, key: str) -> Finding:
    reason = "" if holds else "predicted wrongly"
    return Finding(what, expected, shown(ours), holds, reason, number=ours, key=key)


def _draw(area: dict[tuple[str, str, str], np.ndarray]) -> Drawing:
    """Every seed's area, by what trained it and which map; a panel a defect."""
    figure = Figure(figsize=(7.2, 3.0), layout="constrained")
    words = []
    for axes, kind in zip(figure.subplots(1, 2, sharey=True), DEFECTS, strict=True):
        for colour, loss in zip(COLOURS, TRAINED, strict=False):
            own = [area[kind, loss, name] for name in MAPS]
            for seeds in np.transpose(own):
                axes.plot(range(len(MAPS)), seeds, color=colour, alpha=0.3, lw=0.8)
            axes.plot(
                range(len(MAPS)),
                [seeds.mean() for seeds in own],
                color=colour,
                marker="os"[TRAINED.index(loss)],
                label=f"trained with {loss}" if kind == DEFECTS[0] else None,
            )
            words += [
                f"{kind}, {loss}, {name} map {seeds.mean():.3f}"
                for name, seeds in zip(MAPS, own, strict=True)
            ]
        axes.axhline(0.5, color=INK, lw=0.8, linestyle=":")
        axes.set_xticks(range(len(MAPS)), ["squared residual", "1 - SSIM"])
        axes.set_xlim(-0.3, len(MAPS) - 0.7)
        axes.set_title(f"{kind} discs")
        axes.set_xlabel("map")
    figure.axes[0].set_ylabel("area under the ROC curve, pixels")
    figure.legend(loc="outside lower center", ncols=2)
    return Drawing(
        figure,
        "Area under the ROC curve of planted discs by map, a thin line a seed: "
        + "; ".join(words)
        + ".",
    )


STUDY = Study(
    conclude,
    steps=STEPS,
)
