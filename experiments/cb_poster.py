"""The poster of the continuous Bernoulli (2019): its curves over the warp, and ours.

Loaiza-Ganem and Cunningham; three bounds of a VAE in nats per image, two accuracies of
15 neighbours of its code; the points at a warp of 0.5 leave its axes and are left out.
"""

import dataclasses
import io
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.cb_panels import warp
from lossjax.suite.report.style import COLOURS
from lossjax.suite.reproduce.study import Drawing, Trial
from lossjax.suite.statistics import Interval

SOURCE = "Loaiza-Ganem and Cunningham 2019, poster"
CB, BCE = "continuous_bernoulli", "bce"
KNN = "test_knn_accuracy"

# The poster's curves, read off their vector paths.
POSTER = pd.read_csv(
    io.StringIO("""
gamma  elbo_p  elbo_mean  elbo_lambda  knn_p  knn_lambda
-0.50    1542    1496    1396  0.9639  0.9620
-0.45    1543    1490    1389  0.9662  0.9614
-0.40    1535    1489    1388  0.9667  0.9636
-0.35    1531    1485    1383  0.9658  0.9611
-0.30    1530    1481    1376  0.9650  0.9638
-0.25    1523    1472    1370  0.9674  0.9621
-0.20    1520    1470    1365  0.9647  0.9606
-0.15    1511    1469    1365  0.9680  0.9614
-0.10    1504    1463    1360  0.9680  0.9632
-0.05    1496    1452    1350  0.9672  0.9644
 0.00    1470    1416    1139  0.9674  0.9656
 0.05    1151     962     611  0.9637  0.9519
 0.10     838     720     417  0.9651  0.9422
 0.15     571     524     283  0.9545  0.8964
 0.20     382     365     192  0.9320  0.8538
 0.25     238     233     120  0.8621  0.7831
 0.30     144     134    61.3  0.8425  0.6857
 0.35    68.3      63    17.7  0.6615  0.1009
 0.40    19.6    18.5   -14.7  0.4070  0.1009
 0.45   -16.6   -19.4   -58.1  0.1009  0.1009
"""),
    sep=r"\s+",
    index_col="gamma",
)


@dataclasses.dataclass(frozen=True)
class Curve:
    """A curve of the source: its words, whose score it is, its column of POSTER."""

    words: str
    loss: str
    column: str
    poster: str

    def at(self, gamma: float) -> float:
        """The published value."""
        return float(POSTER.loc[gamma, self.poster])


ELBOS: Mapping[str, Curve] = MappingProxyType(
    {
        "p": Curve("trained on p", CB, "test_elbo_cb", "elbo_p"),
        "mean": Curve("trained with BCE, μ⁻¹", BCE, "test_elbo_cb_mean", "elbo_mean"),
        "lambda": Curve("trained with BCE", BCE, "test_elbo_cb", "elbo_lambda"),
    }
)
ACCURACIES: Mapping[str, Curve] = MappingProxyType(
    {
        "p": Curve("trained on p", CB, KNN, "knn_p"),
        "lambda": Curve("trained with BCE", BCE, KNN, "knn_lambda"),
    }
)
ALL_GAMMAS = tuple(POSTER.index)
COLLAPSE = {CB: 0.45, BCE: 0.35}
# Colour and outline of a curve, the same in every panel.
LOOKS = {"p": (COLOURS[0], "o"), "mean": (COLOURS[2], "D"), "lambda": (COLOURS[1], "s")}


def table(found: Mapping[float, Trial]) -> pd.DataFrame:
    """A line a warp: published / ours, half a 95 % interval after the ±."""
    lines = []
    for gamma, trial in found.items():
        line = {"gamma (published / ours)": f"{gamma:g}"}
        for curve in ELBOS.values():
            own = trial.mean(curve.loss, curve.column)
            line[f"E(p), {curve.words}"] = _beside(curve.at(gamma), own, 1)
        for curve in ACCURACIES.values():
            own = trial.mean(curve.loss, curve.column)
            line[f"kNN, {curve.words}"] = _beside(curve.at(gamma), own, 4)
        for loss, words in ((CB, "p"), (BCE, "BCE")):
            line[f"KL, {words}"] = f"{trial.mean(loss, 'test_kl').center:.2f}"
        lines.append(line)
    return pd.DataFrame(lines, dtype=object)


def _beside(published: float, own: Interval, digits: int) -> str:
    text = f"{published:g} / {own.center:.{digits}f}"
    if math.isfinite(own.low):
        text += f" ± {(own.high - own.low) / 2:.{digits}f}"
    return text


def draw(found: Mapping[float, Trial]) -> Drawing:
    """Panels d, e and g of the source, its own points hollow."""
    figure = Figure(figsize=(7.2, 5.6), layout="constrained")
    axes = figure.subplot_mosaic([["e", "e"], ["d", "g"]])
    _warps(axes["d"], list(found))
    said = [
        *_curves(axes["e"], ELBOS, found, "(e) bound", "E(p), nats per image"),
        *_curves(axes["g"], ACCURACIES, found, "(g) code", "kNN accuracy"),
    ]
    axes["e"].legend(fontsize=7.5)
    axes["g"].set_ylim(0, 1.03)
    return Drawing(
        figure,
        "The warp of contrast, and against it the bound of a VAE trained with the "
        "continuous Bernoulli law, with BCE, and with BCE read as the mean, and the "
        "accuracy of neighbours of the code; the poster's points hollow. "
        + "; ".join(said)
        + ".",
    )


def _warps(axes: Axes, gammas: Sequence[float]) -> None:
    x = np.linspace(0, 1, 401)
    for place, gamma in enumerate(sorted(gammas)):
        dash = "-" if place < len(COLOURS) else "--"
        colour = COLOURS[place % len(COLOURS)]
        axes.plot(x, warp(x, gamma), dash, color=colour, label=f"{gamma:g}")
    axes.legend(title="γ", loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7.5)
    axes.set_title("(d) warp of contrast")
    axes.set_xlabel("x")
    axes.set_ylabel("f_γ(x)")
    axes.set_xlim(0, 1)


def _curves(
    axes: Axes,
    curves: Mapping[str, Curve],
    found: Mapping[float, Trial],
    title: str,
    label: str,
) -> list[str]:
    """Ours, filled, with intervals, above the poster's points; what they say."""
    gammas = sorted(found)
    said = []
    for key, curve in curves.items():
        colour, outline = LOOKS[key]
        axes.plot(
            ALL_GAMMAS,
            POSTER[curve.poster],
            linestyle=":",
            lw=1,
            marker=outline,
            markersize=5.5,
            color=colour,
            markerfacecolor="none",
            label=f"{curve.words}, published",
        )
        means = [found[gamma].mean(curve.loss, curve.column) for gamma in gammas]
        axes.errorbar(
            gammas,
            [mean.center for mean in means],
            [
                [np.nan_to_num(mean.center - mean.low) for mean in means],
                [np.nan_to_num(mean.high - mean.center) for mean in means],
            ],
            linestyle="none",
            marker=outline,
            markersize=4,
            color=colour,
            label=f"{curve.words}, ours",
        )
        at = [
            f"{mean.center:.4g} at {gamma:g} (published {curve.at(gamma):g})"
            for gamma, mean in zip(gammas, means, strict=True)
            if gamma in (gammas[0], 0, gammas[-1])
        ]
        said.append(f"{label}, {curve.words}: {', '.join(at)}")
    axes.set_title(title)
    axes.set_xlabel("γ")
    axes.set_ylabel(label)
    return said
