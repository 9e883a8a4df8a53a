"""Does BCE take digits for more normal than clothes, and does the floor's removal help?

An autoencoder of clothes draws digits badly; so an image that it draws badly should be
none of its kind. Scored by BCE it is the digits that look normal. The floor of BCE, the
entropy of an image's own grey pixels, is part of that score and says nothing about how
well the image was drawn.

Source: Yong, Pearce, Brintrup, Bayesian autoencoders: analysing and fixing the
Bernoulli likelihood for out-of-distribution detection, 2021, arXiv 2107.13304. Read off
its figures: over the test images of Fashion-MNIST and MNIST together the correlation of
an image's mean log-likelihood with its share of zero pixels is 0.86 (Bernoulli), 0.89
(continuous Bernoulli), -0.55 (Gaussian); BCE ranks MNIST as more normal than
Fashion-MNIST, squared error and SSIM do not.

Links:
https://arxiv.org/abs/2107.13304

Protocol: trained on Fashion-MNIST, two convolutions of 4x4, a code of 20, sigmoid,
batches of 100, one epoch of 600 steps, the default of the source's released script;
`bce`, `continuous_bernoulli` and `mse`, three networks of each. Every test image of
both sets, 10,000 each, is scored by the loss that the network was trained with, by what
is left of it above its floor, and by squared error and (after bce) SSIM of the output
image. AUROC: the chance that a digit has a worse score than a garment; 0.5 is a guess,
below it digits look more normal. Each network counts as one for intervals; the source's
score is the mean of five (an ensemble), and the mean of our three stands beside.

Deviations: 16 and 32 channels for 32 and 64 (a quarter of the time), three networks for
five; strides of 2 and 2 for 2 and 1; rectifiers, not leaky ones; no sigmoid before the
code; no pull to anchored weights; Adam at 0.003 with cosine decay where the source
searches for a rate; 55,000 training images. The published correlations are of an
ensemble.

Predicted before any run: by bce the AUROC is below 0.5; by what is left of it above
the floor (`excess_bce`), of the same networks and outputs, above 0.5: the order is
restored; likewise for the continuous Bernoulli; the correlation with zeros turns
negative, as squared error's is.

Found before any score was seen: for the continuous Bernoulli that prediction says
nothing. Its density at an exact 0 or 1 has no bound, so its floor is minus infinity on
every image here, and nothing can be subtracted.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite.report.style import COLOURS, INK
from lossjax.suite.reproduce.configs import config
from lossjax.suite.reproduce.finding import (
    Finding,
    Published,
    Tag,
    cannot,
    compared,
    measured,
    shown,
)
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task
from lossjax.suite.statistics import Interval, interval

if TYPE_CHECKING:
    from lossjax.suite.sweep.trained_model import TrainedModel

PLAN = config("outliers")
CLOTHES, DIGITS = "fashion_mnist", "mnist"
SOURCE = "Yong, Pearce, Brintrup 2021, read off a figure"
# Correlation with the share of zeros, by the loss of training, as that loss scores.
PUBLISHED = {
    loss: Published(text, SOURCE, Tag.VECTOR)
    for loss, text in zip(PLAN.LOSSES, ("0.86", "0.89", "-0.55"), strict=True)
}
OTHER_NETWORK = "one network for an ensemble of five; channels, strides, rate"
SCORES = (
    "own loss",
    "above its floor",
    "its floor alone",
    "squared error",
    "1 - SSIM",
)
OWN, ABOVE, FLOOR, SQUARE, SSIM = SCORES
TOGETHER = -1  # the mean score of all networks, as the source's ensemble


def scores(task: Task) -> pd.DataFrame:
    """What each network says of both test sets: AUROC and correlation of each score."""
    from scipy import stats
    from sklearn.metrics import roc_auc_score

    from lossjax import load
    from lossjax.suite.sweep import unattended

    (planned,) = PLAN.sweeps("quick" if task.quick else "usual").values()
    most = 200 if task.quick else None
    normal, other = (
        np.asarray(task.data[name].test.images)[:most] for name in (CLOTHES, DIGITS)
    )
    images = np.concatenate([normal, other])
    strange = np.repeat([False, True], [len(normal), len(other)])
    zeros = (images == 0).reshape(len(images), -1).mean(1)
    found: dict[tuple[str, str], dict[int, np.ndarray]] = {}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        given = {CLOTHES: task.data[CLOTHES]}
        for result in unattended.train(planned, given, place, keep_models="all"):
            run = result.run
            model = load(place / "runs" / run.run_id)
            for name, values in _of_images(model, images).items():
                found.setdefault((run.loss, name), {})[run.seed] = values
    lines = []
    for (loss, name), each in found.items():
        each[TOGETHER] = np.mean(list(each.values()), axis=0)
        for seed, values in each.items():
            lines.append(
                {
                    "loss": loss,
                    "score": name,
                    "seed": seed,
                    "auroc": roc_auc_score(strange, values),
                    "zeros": stats.pearsonr(zeros, -values)[0],
                    "clothes": values[~strange].mean(),
                    "digits": values[strange].mean(),
                }
            )
    table = pd.DataFrame(lines)
    rank = table["loss"].map(PLAN.LOSSES.index), table["score"].map(SCORES.index)
    table = table.assign(a=rank[0], b=rank[1]).sort_values(["a", "b", "seed"])
    return table.drop(columns=["a", "b"])


def _of_images(model: "TrainedModel", images: np.ndarray) -> dict[str, np.ndarray]:
    """Each score of each image: larger is stranger."""
    import jax
    import jax.numpy as jnp

    from lossjax import METRICS

    loss = model.loss
    shown = loss.name == "bce"  # whose images the source scores in other ways

    @jax.jit
    def of(raw: Any, target: Any) -> dict[str, Any]:
        output = loss.read_out(raw)
        own, floor = loss.fn(raw, target), loss.floor(target)
        return {
            OWN: own,
            ABOVE: own - floor,
            FLOOR: floor,
            SQUARE: METRICS["mse"].fn(output, target),
        } | ({SSIM: 1 - METRICS["ssim"].fn(output, target)} if shown else {})

    raws = model.raw(images)
    parts: list[dict[str, Any]] = []
    for k in range(0, len(images), 500):
        target = jnp.asarray(images[k : k + 500], jnp.float32) / 255
        parts.append(of(jnp.asarray(raws[k : k + 500]), target))
    found = {
        name: np.concatenate([np.asarray(part[name], np.float64) for part in parts])
        for name in parts[0]
    }
    floor = found[FLOOR]
    if not np.isfinite(floor).all() or not np.ptp(floor):  # nothing to take away
        del found[FLOOR], found[ABOVE]
    return found


STEPS = {"scores": scores}


def conclude(record: Record) -> Conclusion:
    """Correlations beside the published ones; which score tells digits from clothes."""
    table = record.tables["scores"]
    findings: list[Finding] = []
    for loss, published in PUBLISHED.items():
        findings.append(
            compared(
                f"{loss}: correlation of log-likelihood with the share of zeros",
                published,
                _each(table, loss, OWN, "zeros"),
                reason=OTHER_NETWORK,
                key=f"zeros_{loss}",
            )
        )
    findings += [
        _side(table, "bce", OWN, below=True),
        _side(table, "bce", ABOVE),
        _side(table, "bce", SQUARE),
        _side(table, "bce", SSIM),
        _side(table, "mse", OWN),
        cannot(
            "trained with continuous_bernoulli, scored by above its floor: AUROC",
            "above 0.5",
            "its floor is minus infinity for a pixel that is exactly 0 or 1",
        ),
        measured(
            "bce, the floor alone, without a network: AUROC",
            float(_whole(table, "bce", FLOOR)["auroc"]),
            key="floor_bce",
        ),
    ]
    turned = _each(table, "bce", ABOVE, "zeros")
    findings += [
        Finding(
            "bce above its floor: correlation of log-likelihood with zeros",
            "below 0",
            shown(turned),
            turned.high < 0,
            "" if turned.high < 0 else "predicted wrongly",
            number=turned,
            key="zeros_above",
        ),
    ]
    for loss in PUBLISHED:
        for name in _of_the_loss(loss):
            findings.append(
                measured(
                    f"{loss}, {name}: AUROC of the mean score of all networks",
                    float(_whole(table, loss, name)["auroc"]),
                    key=f"together_{loss}_{SCORES.index(name)}",
                )
            )
    rows = []
    for (loss, name), _ in table.groupby(["loss", "score"], sort=False):
        auroc, zeros = (_each(table, loss, name, x) for x in ("auroc", "zeros"))
        whole = _whole(table, loss, name)
        rows.append(
            {
                "trained with": loss,
                "scored by": name,
                "AUROC": shown(auroc),
                "of the mean score": f"{whole['auroc']:.3f}",
                "correlation with zeros": shown(zeros),
                "mean, clothes": f"{whole['clothes']:.4f}",
                "mean, digits": f"{whole['digits']:.4f}",
            }
        )
    counts = {
        f"{loss}, {name}": float(f"{_each(table, loss, name, 'auroc').center:.6g}")
        for loss in PUBLISHED
        for name in _of_the_loss(loss)
    }
    drawing = _draw(table)
    return Conclusion(findings, pd.DataFrame(rows, dtype=object), [drawing], counts)


def _of_the_loss(loss: str) -> tuple[str, ...]:
    """The scores that a loss itself gives."""
    return (OWN, ABOVE) if loss == "bce" else (OWN,)


def _each(table: pd.DataFrame, loss: Any, name: Any, what: str) -> Interval:
    """Mean over networks."""
    own = table[(table["loss"] == loss) & (table["score"] == name)]
    return interval(own[own["seed"] != TOGETHER][what].to_numpy())


def _whole(table: pd.DataFrame, loss: Any, name: Any) -> pd.Series:
    own = table[(table["loss"] == loss) & (table["score"] == name)]
    return own[own["seed"] == TOGETHER].iloc[0]


def _side(table: pd.DataFrame, loss: str, name: str, *, below: bool = False) -> Finding:
    """Whether a score is on the expected side of a guess, interval and all."""
    auroc = _each(table, loss, name, "auroc")
    holds = auroc.high < 0.5 if below else auroc.low > 0.5
    return Finding(
        f"trained with {loss}, scored by {name}: AUROC",
        "below 0.5: digits look more normal" if below else "above 0.5",
        shown(auroc),
        holds,
        "" if holds else "predicted wrongly",
        number=auroc,
        key=f"auroc_{loss}_{SCORES.index(name)}",
    )


def _draw(table: pd.DataFrame) -> Drawing:
    """Correlations beside the published ones; AUROC of each score beside a guess."""
    figure = Figure(figsize=(7.2, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    lines = [(loss, name) for loss in PUBLISHED for name in _of_the_loss(loss)]
    lines += [("bce", SQUARE), ("bce", SSIM)]
    words = []
    for row, (loss, name) in enumerate(lines):
        for axes, what in ((left, "zeros"), (right, "auroc")):
            own = _each(table, loss, name, what)
            axes.plot([own.low, own.high], [row, row], color=COLOURS[0])
            named = row == 0 and axes is left
            label = "reproduced, mean and 95 % interval" if named else None
            axes.plot(own.center, row, "o", color=COLOURS[0], label=label)
        if name == OWN:
            label = "published" if row == 0 else None
            left.plot(
                PUBLISHED[loss].value,
                row,
                "D",
                color=COLOURS[1],
                markerfacecolor="none",
                label=label,
            )
        zeros, auroc = (_each(table, loss, name, w).center for w in ("zeros", "auroc"))
        words.append(f"{loss}, {name}: {zeros:.2f}, {auroc:.2f}")
    left.axvline(0, color=INK, lw=0.8, linestyle=":")
    right.axvline(0.5, color=INK, lw=0.8, linestyle=":")
    left.set_xlim(-1, 1)
    right.set_xlim(0, 1)
    left.set_yticks(range(len(lines)), [f"{loss}\n{name}" for loss, name in lines])
    left.set_ylim(len(lines) - 0.5, -0.5)
    left.tick_params(axis="y", labelsize=8)
    left.set_xlabel("correlation of log-likelihood with zeros")
    right.set_xlabel("AUROC: digits score worse")
    for axes in (left, right):
        axes.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=2)
    return Drawing(
        figure,
        "By loss of training and score: correlation of the log-likelihood with the "
        "share of zero pixels, and AUROC of digits against clothes. "
        + "; ".join(words)
        + ".",
    )


STUDY = Study(
    conclude,
    steps=STEPS,
    needs=(CLOTHES, DIGITS),
)
