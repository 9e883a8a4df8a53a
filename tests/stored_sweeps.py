"""Synthetic sweeps: stored runs with known numbers, written by the real store."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lossjax.suite import protocol
from lossjax.suite.config import Sweep
from lossjax.suite.store import results
from lossjax.suite.store.results import Result, Run
from lossjax.suite.store.test_images import GROUPS, Kept, Worst

METRICS = {
    "mse": {
        "direction": "lower",
        "unit": "intensity^2",
        "margin": {"value": 0.01, "relative": True},
    },
    "psnr": {
        "direction": "higher",
        "unit": "dB",
        "margin": {"value": 0.05, "relative": False},
    },
    "ssim": {
        "direction": "higher",
        "unit": "",
        "margin": {"value": 0.002, "relative": False},
    },
    "knn_accuracy": {
        "direction": "higher",
        "unit": "",
        "margin": {"value": 0.005, "relative": False},
    },
}
DIAGNOSTICS = {
    name: {"unit": "ratio", "note": f"what {name} is"}
    for name in ("blur", "residual_1", "residual_2")
}
LOSSES = {"bce": 0, "mse": 0.01, "mae": 4, "huber(delta=0.05)": 2}  # loss -> place
Change = Callable[[Result], Result | None]


def score(run: Run) -> dict[str, float]:
    """Known scores: each loss in its place, a fixed wiggle over the seeds."""
    place = LOSSES[run.loss]
    distance = abs(math.log10(run.learning_rate / 3e-3))
    wiggle = (run.seed % 7 - 3) * 1e-4
    error = 0.010 + 0.001 * place + 0.004 * distance + wiggle
    return {
        "mse": error,
        "psnr": -10 * math.log10(error),
        "ssim": 0.95 - 5 * error + 0.01 * (place == 1),
    }


DERIVED = {"psnr": "mse"}
CLASSES = {"labels": [3, 8], "counts": [100, 200]}


def describe(sweep: Sweep, images: int = 4, side: int = 8) -> dict[str, Any]:
    """What a sweep writes into sweep.json."""
    pixels = np.arange(images * side * side) % 256
    gallery = pixels.astype(np.uint8).reshape(images, side, side, 1)
    return {
        "config": sweep.to_json(),
        "losses": list(sweep.losses),
        "metrics": METRICS,
        "diagnostics": DIAGNOSTICS,
        "datasets": {
            name: {
                "fingerprint": f"{i:064x}",
                "shape": [side, side, 1],
                "train": 1197,
                "validation": 300,
                "test": 300,
                "derived": DERIVED,
                "gallery": results.pack(gallery),
                "gallery_labels": [CLASSES["labels"][k % 2] for k in range(images)],
                "classes": CLASSES,
            }
            for i, name in enumerate(sweep.datasets)
        },
        "provenance": {
            "numerics": 1,
            "backend": "cpu",
            "devices": ["cpu:0", "cpu:1"],
            "versions": {"jax": "0.10.2"},
            "seconds": 81.5,
        },
    }


def kept(run: Run, scores: Mapping[str, float], images: int, side: int) -> Kept:
    """Groups of test images around the scores, wider where the loss is worse."""
    scatter = np.linspace(-1, 1, GROUPS) * (1 + LOSSES[run.loss])
    groups = [score * (1 + 0.01 * scatter) for score in scores.values()]
    # The worse a loss, the better it is at the second class than at the first.
    gap = 0.1 * LOSSES[run.loss]
    classes = [(score * (1 + gap), score * (1 - gap / 2)) for score in scores.values()]
    pictures = np.full((images, side, side, 1), 40, np.uint8)
    worst = Worst("ssim", (9, 7, 5, 3)[:images], (0.1,) * images, pictures, pictures)
    return Kept(
        tuple(scores),
        np.array(groups, np.float32),
        worst if run.seed == 0 else None,
        np.array(classes, np.float32),
    )


def result(run: Run, images: int = 4, side: int = 8) -> Result:
    """A finished run with the known scores."""
    scores = score(run)
    splits = ("val", "test")
    metrics = {f"{split}_{n}": v for split in splits for n, v in scores.items()}
    metrics |= {
        f"diag_{name}": (1 + LOSSES[run.loss]) / (1 + place)
        for place, name in enumerate(DIAGNOSTICS)
    }
    steps = [20 * i for i in range(1, 11)]
    curve = [scores["mse"] * (1 + 20 / i) for i in range(1, 11)]
    grey = np.uint8(min(180, 40 * LOSSES[run.loss] + 20))
    return Result(
        run,
        "ok",
        validation_loss=scores["mse"],
        metrics=metrics,
        curve={
            "step": [float(step) for step in steps],
            "train_loss": curve,
            "validation_loss": curve,
            "validation_mse": curve,
        },
        gallery=np.uint8(20) * np.arange(images, dtype=np.uint8)[:, None, None, None]
        + np.full((images, side, side, 1), grey, np.uint8),
        kept=kept(run, scores, images, side),
        provenance={"layout": "2 devices", "backend": "cpu"},
    )


def write(
    out: Path,
    sweep: Sweep,
    change: Change = lambda result: result,
    description: Mapping[str, Any] | None = None,
) -> None:
    """Store every run of the grid.

    `change` may alter a result, or withhold it (None): that run stays missing.
    """
    described = dict(description or describe(sweep))
    results.write_sweep(out, described)
    fixed = protocol.fixed_values(sweep, described["datasets"], 1)
    for block in protocol.blocks(sweep, fixed):
        for run in block.runs:
            if (changed := change(result(run))) is not None:
                results.write_result(out, changed)
