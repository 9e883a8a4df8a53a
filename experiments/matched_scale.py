"""BCE and MSE VAEs look different: how much is only the noise scale?

c times the squared error summed over pixels plus beta KL is a Gaussian decoder of
variance beta / (2 c). "MSE" as it is commonly written (the sum, beta = 1) therefore
claims a standard deviation of .71 of the range from black to white, and BCE, whose
weight on a residual is 1 / (p (1 - p)), a much smaller one.

Source: sigma^2 = beta / (2 c) (Rybkin and others 2021); mean reductions that collapse
(users of VAE code, many).

Links:
https://arxiv.org/abs/2006.13202

Protocol: one network (784-128-8-128-784, a code of 8), MNIST cut to 14,000 images, 800
steps; every seed of every loss at the rate it chose of 0.01 and 0.03; 4 seeds. The
matched scale was fixed before these runs: at sigma = 0.408 a Gaussian's code had cost
the KL of bce, by interpolation between scales 0.3 and 0.45 in earlier runs. Here a
Gaussian is trained at that scale itself. Shown: whether its KL is that of bce, and the
share of each difference between bce and mse that it removes, 1 - |bce - matched| /
|bce - mse|, of the means; its interval is that of the paired difference bce - matched
at the mean bce - mse. Expected: KL within 5 % of bce's, at least half of the
difference in mse and in ssim gone; and, before any run, a matched variance between .02
and .08 (the mean p (1 - p) of MNIST is .02 and more where a decoder is unsure). The
matched variance of these runs is interpolated seed by seed between the two nearest
scales by straight lines in log sigma.

`implied_sigma` is measured on every trained model: the scale of the Gaussian that would
pull at its residuals as its loss does. For squared error it is sqrt(beta / (2 c)); for
bce it is set by the pixels that carry the residuals, those of uncertain edges, and is
given beside the matched scale.

A mean over pixels beside a KL summed over the code is beta = 784: a standard deviation
of 19.8; at one rate, 0.01. Published (findings of practitioners): such a code
collapses, KL < .1 nats, where the sum gives more than 5.

What is not said: that a code of 8 and 800 steps speak for larger ones; and nothing of
neighbours in the code, of which so few seeds leave any share possible. The pictures
come from one seed of each loss at rate 0.01, trained once more.
"""

import dataclasses
import math
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite.data import Dataset
from lossjax.suite.data.dataset import Content, make_dataset, three_splits
from lossjax.suite.report import style
from lossjax.suite.report.style import COLOURS
from lossjax.suite.reproduce.configs import config
from lossjax.suite.reproduce.finding import Finding, halved, measured, shown
from lossjax.suite.reproduce.study import (
    Conclusion,
    Drawing,
    Record,
    Study,
    Task,
    Trial,
)
from lossjax.suite.statistics import Interval, interval

PLAN = config("matched_scale")
METRICS = ("kl", "mse", "ssim", "sharpness_error", "bits_gaussian")
COLUMNS = tuple(
    f"test_{name}"
    for name in (*METRICS, "implied_sigma", "active_units", "bits_per_dim")
)
RATE = 1e-2  # of the pictures
MATCHED = PLAN.gaussian(PLAN.MATCHED)
SIZE = f"{PLAN.LATENTS} latents, {PLAN.STEPS} steps, {PLAN.IMAGES:,} images"
REMOVED = ("mse", "ssim", "sharpness_error", "bits_gaussian")
DECIDE = ("mse", "ssim")
SHOWN = 8  # pictures of a row
DRAWN = (
    "bce",
    MATCHED,
    "mse",
    "gaussian_shared",
    "continuous_bernoulli",
)


def pictures(task: Task) -> pd.DataFrame:
    """Samples and reconstructions of one seed of each loss, and the originals.

    One line per picture: model, loss, kind, its place, its pixels in hexadecimal.
    """
    from lossjax.suite.sweep import unattended
    from lossjax.suite.sweep.resident import gallery_of

    lines: list[tuple[str, str, str, int, str]] = []
    for planned in PLAN.sweeps("quick" if task.quick else "usual").values():
        dataset = _cut(task.data["mnist"], planned.max_examples)
        losses = tuple(loss for loss in DRAWN if loss in planned.losses)
        one = dataclasses.replace(
            planned, losses=losses, learning_rates=(RATE,), seeds=(0,)
        )
        with tempfile.TemporaryDirectory() as folder:
            results = unattended.train(one, {"mnist": dataset}, Path(folder))
        if not lines:
            images = np.asarray(dataset.test.images)
            originals = images[gallery_of(len(images))]
            lines += _lines("", "", "original", originals)
        for result in sorted(results, key=lambda r: DRAWN.index(r.run.loss)):
            assert result.gallery is not None and result.drawn is not None
            who = result.run.model, result.run.loss
            lines += _lines(*who, "reconstruction", result.gallery)
            lines += _lines(*who, "sample", result.drawn.samples[:SHOWN])
    names = ["model", "loss", "kind", "place", "pixels"]
    return pd.DataFrame(lines, columns=names)


def _cut(dataset: Dataset, images: int) -> Dataset:
    """As the grids cut it."""
    splits = three_splits(dataset.splits, images)
    return make_dataset(dataset.name, Content(splits, dataset.description))


def _lines(
    model: str, loss: str, kind: str, images_u8: np.ndarray
) -> list[tuple[str, str, str, int, str]]:
    return [
        (model, loss, kind, place, image.tobytes().hex())
        for place, image in enumerate(images_u8)
    ]


def conclude(record: Record) -> Conclusion:
    """What matching removes of each difference, and what a mean over pixels costs."""
    trial, averaged = record.trial("sum"), record.trial("mean")
    scale = matched_scale(trial)
    code = {loss: trial.mean(loss, "test_kl") for loss in (*PLAN.OTHERS, MATCHED)}
    arms = trial.columns["test_kl"]
    nearness = interval(arms[MATCHED].values / arms["bce"].values)
    ratio = code["bce"].center / code["mse"].center
    variance = interval(scale**2)
    findings = [
        Finding(
            "KL of bce over that of mse, both summed",
            "at least 1.5: a clear factor",
            f"{ratio:.2f}",
            ratio >= 1.5,
            key="kl_ratio",
        ),
        Finding(
            f"KL of `{MATCHED}` over that of bce ({SIZE})",
            "1 within 0.05: it was fixed by earlier runs",
            shown(nearness),
            abs(nearness.center - 1) <= 0.05,
            number=nearness,
            key="matched_kl",
        ),
        Finding(
            "variance of the Gaussian whose code costs the KL of bce",
            "between .02 and .08",
            f"{shown(variance)}, sigma {scale.mean():.3f}",
            0.02 <= variance.center <= 0.08,
            "the mean p (1 - p) over all pixels was expected to count; it is that of "
            "the pixels that carry the residuals, whose share is larger",
            number=variance,
            key="matched_variance",
        ),
    ]
    removed = {metric: share(trial, metric) for metric in REMOVED}
    findings += [_removed(metric, own) for metric, own in removed.items()]
    pull = interval(_scales(trial)["bce"])
    findings.append(
        measured(
            "scale that bce's own pull implies, in intensity",
            pull,
            key="pull",
            reason="with nothing fitted; beside it the matched scale",
        )
    )
    collapsed = {loss: averaged.mean(loss, "test_kl") for loss in averaged.arms}
    for loss, own in collapsed.items():
        findings.append(
            Finding(
                f"{loss}: KL with a mean over pixels",
                "below 0.1 nats, above 5 with the sum",
                f"{own.center:.3g}, {code[loss].center:.3g}",
                own.center < 0.1 and code[loss].center > 5,
                number=own,
                key=f"{loss}_mean",
            )
        )
    counts: dict[str, Any] = {
        "matched_sigma": float(scale.mean()),
        "nearness": vars(nearness),
        "removed": {metric: vars(own) for metric, own in removed.items()},
        "pull": pull.center,
        "kl_ratio": ratio,
        "kl": {loss: own.center for loss, own in code.items()},
        "kl_mean": {loss: own.center for loss, own in collapsed.items()},
    }
    drawings = [_curves(trial), _album(record.tables["pictures"])]
    return Conclusion(findings, _table(trial, averaged), drawings, counts)


def answer(counts: Mapping[str, Any]) -> str:
    """What matching the scale removes, every number from the counts."""
    removed = {k: _percent(Interval(**own)) for k, own in counts["removed"].items()}
    return (
        f"A Gaussian decoder trained at sigma {PLAN.MATCHED:g}, whose code costs "
        f"{shown(Interval(**counts['nearness']))} times the nats of BCE's, removes of "
        f"the difference between BCE and MSE {removed['mse']} in squared error, "
        f"{removed['ssim']} in SSIM, {removed['sharpness_error']} in sharpness and "
        f"{removed['bits_gaussian']} in calibrated bits per dimension ({SIZE}). The "
        "scale that BCE's own pull on its residuals implies, with nothing fitted, is "
        f"{counts['pull']:.2f}. We had expected a smaller one, 0.14 to 0.28, and were "
        "wrong: the pixels that count are those of uncertain edges, not the mean pixel."
    )


def _percent(part: Interval) -> str:
    text = f"{100 * part.center:.0f} %"
    if math.isfinite(part.low):
        text += f" [{100 * part.low:.0f}, {100 * part.high:.0f}]"
    return text


def _removed(metric: str, removed: Interval) -> Finding:
    """What the pictures show was expected to go; of the others nothing was."""
    decides = metric in DECIDE
    return Finding(
        f"share of the difference in {metric} that `{MATCHED}` removes",
        "at least 50 %" if decides else "",
        _percent(removed),
        removed.center >= 0.5,
        SIZE,
        decides=decides,
        number=removed,
        key=f"removed_{metric}",
    )


def _scales(trial: Trial) -> dict[str, np.ndarray]:
    """(seeds,) implied scales by loss."""
    return {
        loss: arm.values for loss, arm in trial.columns["test_implied_sigma"].items()
    }


def matched_scale(trial: Trial) -> np.ndarray:
    """(seeds,) scale at which a Gaussian's code costs the KL of bce on that seed.

    NaN where it lies outside the scales that were trained.
    """
    arms = trial.columns["test_kl"]
    codes = np.array([arms[PLAN.gaussian(sigma)].values for sigma in PLAN.SIGMAS])
    # KL falls with the scale; np.interp wants it to rise.
    return np.array(
        [
            np.exp(np.interp(-wanted, -own, np.log(PLAN.SIGMAS), np.nan, np.nan))
            for wanted, own in zip(arms["bce"].values, codes.T, strict=True)
        ]
    )


def share(trial: Trial, metric: str) -> Interval:
    """Share of the difference between bce and mse that the scale removes; 1 is all."""
    arms = trial.columns[f"test_{metric}"]
    whole = float(np.mean(arms["bce"].values - arms["mse"].values))
    left = interval((arms["bce"].values - arms[MATCHED].values) / whole)
    # Beyond the matched scale the difference turns over: as far from none as before.
    ends = sorted(1 - abs(x) for x in (left.low, left.high))
    high = 1.0 if left.low <= 0 <= left.high else ends[1]
    return Interval(1 - abs(left.center), ends[0], high)


def _table(trial: Trial, averaged: Trial) -> pd.DataFrame:
    lines = [_line(trial, loss, "sum") for loss in trial.arms]
    lines += [_line(averaged, loss, "mean") for loss in averaged.arms]
    return pd.DataFrame(lines, dtype=object)


_HEADS = {
    "test_implied_sigma": ("implied sigma", 3),
    "test_kl": ("KL, nats", 2),
    "test_active_units": ("active units", 1),
    "test_bits_gaussian": ("bits/dim, calibrated Gaussian", 3),
    "test_bits_per_dim": ("bits/dim, own law", 3),
    "test_mse": ("mse", 4),
    "test_sharpness_error": ("sharpness error", 2),
}


def _line(trial: Trial, loss: str, reduction: str) -> dict[str, str]:
    line = {"loss": f"`{loss}`", "over pixels": reduction}
    for column, (head, digits) in _HEADS.items():
        mean = trial.mean(loss, column)
        there = math.isfinite(mean.center)
        line[head] = halved(mean, digits) if there else "none"
    return line


def _curves(trial: Trial) -> Drawing:
    """Scores against the scale: a line for the Gaussians, a mark for each rival."""
    figure = Figure(figsize=(7.2, 2.9))
    marks = style.marks(PLAN.OTHERS)
    panels = (
        ("kl", "KL (nats)"),
        ("mse", "squared error"),
        ("bits_gaussian", "bits/dim, calibrated"),
    )
    said = []
    for place, (metric, label) in enumerate(panels):
        axes = figure.add_axes((0.075 + 0.335 * place, 0.36, 0.245, 0.6))
        arms = trial.columns[f"test_{metric}"]
        line = [
            float(arms[PLAN.gaussian(sigma)].values.mean()) for sigma in PLAN.SIGMAS
        ]
        name = "gaussian(sigma)" if place == 0 else None
        axes.plot(PLAN.SIGMAS, line, color=COLOURS[-1], marker=".", label=name)
        for loss in PLAN.OTHERS:
            mark = marks[loss]
            x, y = (
                float(_scales(trial)[loss].mean()),
                trial.mean(loss, f"test_{metric}"),
            )
            if math.isfinite(y.low):
                axes.plot([x, x], [y.low, y.high], color=mark.colour)
            axes.plot(
                x,
                y.center,
                marker=mark.marker,
                color=mark.colour,
                linestyle="none",
                label=loss if place == 0 else None,
            )
            said.append(f"{loss} {metric} {y.center:.3g} at {x:.2g}")
        axes.set_xscale("log")
        axes.set_xticks((0.1, 0.2, 0.4, 0.7), ("0.1", "0.2", "0.4", "0.7"))
        axes.minorticks_off()
        axes.set_xlabel("implied sigma")
        axes.set_ylabel(label)
    figure.legend(loc="lower center", ncols=3)
    return Drawing(
        figure,
        "KL, squared error and calibrated bits per dimension against the noise scale "
        "that a loss implies: a line for Gaussians of fixed scale, a mark for "
        "each other loss. " + "; ".join(said) + ".",
    )


def _album(table: pd.DataFrame) -> Drawing:
    """Reconstructions on the left, samples on the right, a row for each loss."""
    whole = table.fillna("")
    rows: Sequence[tuple[str, str]] = list(
        dict.fromkeys(zip(whole["model"], whole["loss"], strict=True))
    )
    figure = Figure(figsize=(7.2, 0.42 * len(rows) + 0.35))
    top = 0.3 / figure.get_figheight()
    height = (1 - top) / len(rows)
    for kind, left in (("reconstruction", 0.24), ("sample", 0.63)):
        figure.text(left + 0.18, 1 - top / 2, f"{kind}s", ha="center", va="center")
    for row, (model, loss) in enumerate(rows):
        bottom = 1 - top - (row + 1) * height
        words = loss or "original"
        words += ", mean over pixels" if model == PLAN.MEAN else ""
        figure.text(0.01, bottom + height / 2, words, va="center", fontsize=8)
        mine = whole[(whole["model"] == model) & (whole["loss"] == loss)]
        for kind, left in (
            ("original", 0.24),
            ("reconstruction", 0.24),
            ("sample", 0.63),
        ):
            texts = mine[mine["kind"] == kind]["pixels"]
            if not len(texts):
                continue
            strip = np.hstack([_picture(text) for text in texts])
            axes = figure.add_axes((left, bottom, 0.36, height * 0.96))
            axes.imshow(strip, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_axis_off()
    names = ", ".join(dict.fromkeys(loss for _, loss in rows if loss))
    return Drawing(
        figure,
        "Reconstructions of test images and samples from the prior, one seed of each: "
        f"{names}; the last rows with a mean over pixels instead of a sum.",
        "pictures",
    )


def _picture(text: str) -> np.ndarray:
    pixels = np.frombuffer(bytes.fromhex(text), np.uint8)
    side = math.isqrt(len(pixels))
    return pixels.reshape(side, side)


STUDY = Study(
    conclude,
    config="matched_scale",
    columns=COLUMNS,
    steps={"pictures": pictures},
    answer=answer,
    needs=("mnist",),
)
