"""BCE is not 0 at a perfect prediction: what is it, and is it least?

BCE(y, p) = -y log p - (1 - y) log(1 - p) is not 0 at p = y for a grey pixel 0 < y < 1.
How large is what is left there, and what does that make of the losses that people
report?

Source: the question that started this project. The two worked examples: "loss of a
perfect prediction is 0.58", datascience.stackexchange.com question 97200, and the
non-binary data question of stats.stackexchange.com. The floor of MNIST's test images,
45.53 nats an image, is what stands behind every published BCE of MNIST.

Links:
https://datascience.stackexchange.com/questions/97200

Protocol: `bce` and `excess_bce` of the library, compiled, in float64. For 21 grey
levels y the least value is searched (grid, then the root of the gradient). The floor of
a dataset is the mean of `Loss.floor` over every pixel of a split; beside it the same
number counted from the histogram of its 256 levels, which shares no code with it.

What is quoted and corrected: the stats.stackexchange question puts A = .27752801 for
y = .2, p = .1. That is an arithmetic slip, log10 and 1 - .2 inside the second
logarithm; the value is .2366 in log10 and .5448 in nats. The asymmetry that it asks
about is there (p = .1 costs more than p = .3) and does not move the minimum.

Deviations: none; nothing is trained.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite.report import style
from lossjax.suite.report.style import COLOURS, INK
from lossjax.suite.reproduce.finding import (
    Finding,
    Published,
    Tag,
    agrees,
    cannot,
    compared,
    measured,
)
from lossjax.suite.reproduce.floors import floors
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task
from lossjax.suite.statistics import Interval

MINIMA = tuple(round(0.05 * k, 2) for k in range(21))
DRAWN = (0.0, 0.1, 0.2, 0.35, 0.5)
FOUR = ("bce", "mse", "mae", "log_cosh")  # as the question names them
WHITE = 0.3  # how often the pixel of the mixture is white
EXAMPLE = (0.5, 0.3, 0.5, 0.9)  # datascience.stackexchange 97200
WORSE = (0.1, 0.3, 0.5, 0.8)
SE = "datascience.stackexchange.com 97200"
STATS = "the non-binary data question of stats.stackexchange.com"
EDGE = 1e-7
CLIPPED = "ours less 1e-7 inside each logarithm, as the source's framework adds it"
FLOOR = "entropy of the pixels of MNIST's 10,000 test images"


def curves(task: Task) -> pd.DataFrame:
    """Both losses against p, for a few grey levels y."""
    import jax

    from lossjax import LOSSES
    from lossjax.certificates.probe import Probe

    p = np.linspace(0.004, 0.996, 249)
    y, grid = (each.ravel() for each in np.meshgrid(DRAWN, p, indexing="ij"))
    z = np.log(grid) - np.log1p(-grid)
    with jax.enable_x64(True):
        columns = {name: Probe(LOSSES[name])(z, y)[0] for name in ("bce", "excess_bce")}
    return pd.DataFrame({"y": y, "p": grid, **columns})


def minima(task: Task) -> pd.DataFrame:
    """Where each grey level's loss is least, and how large it is there."""
    import jax
    import jax.numpy as jnp

    from lossjax import LOSSES
    from lossjax.certificates.probe import Probe

    y = np.array(MINIMA)
    with jax.enable_x64(True):
        probe = Probe(LOSSES["bce"])
        z = probe.minimum(y)
        floor = LOSSES["bce"].floor(jnp.asarray(y).reshape(-1, 1, 1, 1))
        found = {
            "y": y,
            "p": probe.read_out(z),
            "least": probe(z, y)[0],
            "floor": np.asarray(floor),
        }
    return pd.DataFrame(found)


def minimisers(task: Task) -> pd.DataFrame:
    """Where the losses of the question are least: at one target, and on average."""
    import jax

    from lossjax import LOSSES
    from lossjax.certificates.probe import Probe

    y = np.array(MINIMA[1:-1])
    often, chance = np.array([[0.0, 1.0]]), np.array([[1 - WHITE, WHITE]])
    lines = []
    with jax.enable_x64(True):
        for name in FOUR:
            probe = Probe(LOSSES[name])
            p = probe.read_out(probe.minimum(y))
            lines.append(
                {
                    "loss": name,
                    "distance": np.abs(p - y).max(),
                    "elicited": probe.elicited(often, chance)[0],
                }
            )
    return pd.DataFrame(lines)


def examples(task: Task) -> pd.DataFrame:
    """The worked examples of the two questions."""
    import jax
    import jax.numpy as jnp

    from lossjax import LOSSES

    def bce(p: tuple[float, ...], y: tuple[float, ...]) -> float:
        image = jnp.asarray(p).reshape(1, 2, -1, 1)
        raw = jnp.log(image) - jnp.log1p(-image)
        loss = jax.jit(LOSSES["bce"].fn)
        return float(loss(raw, jnp.asarray(y).reshape(image.shape))[0])

    with jax.enable_x64(True):
        values = {
            "perfect": bce(EXAMPLE, EXAMPLE),
            "worse": bce(WORSE, EXAMPLE),
            "y=.2, p=.1": bce((0.1, 0.1), (0.2, 0.2)),
            "y=.2, p=.3": bce((0.3, 0.3), (0.2, 0.2)),
        }
    return pd.DataFrame({"example": list(values), "bce": list(values.values())})


STEPS = {
    "curves": curves,
    "minima": minima,
    "minimisers": minimisers,
    "examples": examples,
    "floors": floors,
}


def conclude(record: Record) -> Conclusion:
    """Where the minimum is, what is left there, and what that is for whole datasets."""
    least, data = record.tables["minima"], record.tables["floors"]
    value = record.tables["examples"].set_index("example")["bce"]
    away = float((least["p"] - least["y"]).abs().max())
    above = float((least["least"] - least["floor"]).abs().max())
    apart = float((data["floor"] - data["counted"]).abs().max())
    log10 = value["y=.2, p=.1"] / math.log(10)
    asymmetry = float(
        (value["y=.2, p=.1"] - _entropy(0.2)) / (value["y=.2, p=.3"] - _entropy(0.2))
    )
    findings = [
        agrees(
            "lowest at p = y, for 21 grey levels: largest distance",
            away,
            1e-6,
            key="lowest_at_target",
        ),
        agrees(
            "lowest value is H(y): largest distance",
            above,
            1e-6,
            "nats",
            key="floor_is_entropy",
        ),
        *_minimisers(record.tables["minimisers"].set_index("loss")),
        compared(
            "a perfect prediction of (.5, .3, .5, .9)",
            Published("0.5805602", SE, Tag.SEEN, floor=value["perfect"]),
            value["perfect"] - _clipped(EXAMPLE),
            digits=7,
            reason=CLIPPED,
            key="perfect",
        ),
        compared(
            "an imperfect one, (.1, .3, .5, .8)",
            Published("0.7174391", SE, Tag.SEEN, floor=value["perfect"]),
            value["worse"] - _clipped(WORSE),
            digits=7,
            reason=CLIPPED,
            key="imperfect",
        ),
        compared(
            "y = .2, p = .1, in nats",
            Published("0.544805", STATS, Tag.COMPUTED),
            value["y=.2, p=.1"],
            digits=6,
        ),
        compared(
            "y = .2, p = .3, in nats",
            Published("0.526135", STATS, Tag.COMPUTED),
            value["y=.2, p=.3"],
            digits=6,
        ),
        compared(
            "y = .2, p = .1, in log10, as the question printed it",
            Published(
                "0.27752801", STATS, Tag.SEEN, floor=_entropy(0.2) / math.log(10)
            ),
            log10,
            digits=6,
            reason="an arithmetic slip of the source: 1 - .2 stands in the second "
            "logarithm where 1 - .1 belongs",
        ),
        Finding(
            "the asymmetry: excess at p = .1 over excess at p = .3",
            "above 1",
            f"{asymmetry:.3g}",
            asymmetry > 1,
            "both are above the same minimum at p = .2; the penalty is not symmetric, "
            "the minimum is where it should be",
            number=Interval(asymmetry, asymmetry, asymmetry),
            key="asymmetry",
        ),
        agrees(
            "floors of all data, against their histograms: largest distance",
            apart,
            1e-5,
            "nats per pixel",
        ),
        _mnist(data),
    ]
    for name in dict.fromkeys(data["dataset"]):
        line = data[(data["dataset"] == name) & (data["split"] == "test")].iloc[0]
        what, key = f"floor of {name}, nats per pixel", f"floor_{name}"
        findings.append(measured(what, line["floor"], digits=5, key=key))
    return Conclusion(
        findings,
        _table(data),
        [_draw_curves(record), _draw_floors(data)],
        {"floors": data.drop(columns="counted").round(9).to_dict("records")},
    )


def _clipped(p: tuple[float, ...]) -> float:
    """What 1e-7 added to p and to 1 - p inside the logarithms takes from the loss."""
    y, q = np.array(EXAMPLE), np.array(p)
    return float(np.mean(EDGE * (y / q + (1 - y) / (1 - q))))


def _entropy(y: float) -> float:
    return -y * math.log(y) - (1 - y) * math.log(1 - y)


def _minimisers(found: pd.DataFrame) -> list[Finding]:
    """One target: all four agree. A pixel that varies: they do not."""
    between = float(found.loc["log_cosh", "elicited"])
    distance = float(found["distance"].max())
    return [
        agrees(
            "bce, mse, mae and log_cosh are lowest at p = y",
            distance,
            1e-6,
            key="shared_minimum",
        ),
        *(
            compared(
                f"{name} draws a pixel that is white 3 times in 10 at",
                Published(f"{wanted:.6f}", what, Tag.COMPUTED),
                float(found.loc[name, "elicited"]),
                key=f"{name}_draws",
            )
            for name, wanted, what in (
                ("bce", WHITE, "the mean"),
                ("mse", WHITE, "the mean"),
                ("mae", 0.0, "the median"),
            )
        ),
        Finding(
            "log_cosh draws a pixel that is white 3 times in 10 at",
            "between the median, 0, and the mean, 0.3",
            f"{between:.3g}",
            0 < between < WHITE,
            number=Interval(between, between, between),
            key="log_cosh_draws",
        ),
    ]


def _mnist(data: pd.DataFrame) -> Finding:
    what = "floor of MNIST's test images, nats per pixel"
    published = Published("0.0581", FLOOR, Tag.COMPUTED)
    line = data[(data["dataset"] == "mnist") & (data["split"] == "test")]
    if line.empty:
        return cannot(what, published, "mnist was not there when the rows were made")
    return compared(what, published, line["floor"].iloc[0], digits=4)


def _table(data: pd.DataFrame) -> pd.DataFrame:
    lines: list[dict[str, Any]] = [
        {
            "dataset": line["dataset"],
            "split": line["split"],
            "images": f"{line['images']:,}",
            "floor (nats/pixel)": f"{line['floor']:.5f}",
            "floor (nats/image)": f"{line['floor'] * line['pixels']:.2f}",
            "exactly 0": f"{100 * line['black']:.1f} %",
            "exactly 255": f"{100 * line['white']:.1f} %",
        }
        for line in data.to_dict("records")
    ]
    return pd.DataFrame(lines, dtype=object)


def _draw_curves(record: Record) -> Drawing:
    """BCE against p with its floors, and the same with the floor taken away."""
    table = record.tables["curves"]
    figure = Figure(figsize=(6.8, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    marks = style.marks(tuple(f"y = {y:g}" for y in DRAWN))
    for y, (label, mark) in zip(DRAWN, marks.items(), strict=True):
        line = table[np.isclose(table["y"], y)]
        for axes, name in ((left, "bce"), (right, "excess_bce")):
            axes.plot(line["p"], line[name], color=mark.colour, label=label)
        floor = 0.0 if y == 0 else _entropy(y)
        for axes, height in ((left, floor), (right, 0.0)):
            axes.plot(
                y,
                height,
                marker=mark.marker,
                color=mark.colour,
                linestyle="none",
                clip_on=False,
                zorder=3,
            )
    p = np.linspace(0.001, 0.999, 200)
    entropy = -p * np.log(p) - (1 - p) * np.log(1 - p)
    left.plot(p, entropy, color=INK, linestyle=":", lw=1)
    left.annotate("floor H(y)", (0.6, 0.13), fontsize=8.5)
    left.set_title("BCE(y, p)")
    right.set_title("BCE(y, p) - H(y)")
    for axes in (left, right):
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 2)
        axes.set_xlabel("prediction p")
    left.set_ylabel("nats per pixel")
    figure.legend(
        *left.get_legend_handles_labels(), loc="outside lower center", ncols=5
    )
    return Drawing(
        figure,
        "Binary cross-entropy against the prediction for five grey levels, each with a "
        "mark at its least value, which lies at p = y on the entropy curve; on the "
        "right the same with the entropy taken away: every curve touches 0 at p = y.",
    )


def _draw_floors(data: pd.DataFrame) -> Drawing:
    """What is left of the loss of a perfect reconstruction, by dataset."""
    test = data[data["split"] == "test"]
    figure = Figure(figsize=(6.4, 0.9 + 0.4 * len(test)), layout="constrained")
    axes = figure.subplots()
    axes.set_xlim(0, 1.12 * test["floor"].max())
    told_ = []
    for row, line in enumerate(test.to_dict("records")):
        axes.barh(row, line["floor"], 0.6, color=COLOURS[0])
        axes.annotate(f" {line['floor']:.4f}", (line["floor"], row), va="center")
        told_.append(f"{line['dataset']} {line['floor']:.4f}")
    axes.set_yticks(range(len(test)), list(test["dataset"]))
    axes.set_ylim(len(test) - 0.5, -0.5)
    axes.set_xlabel("BCE of a perfect reconstruction, nats per pixel (test images)")
    axes.grid(axis="y", visible=False)
    return Drawing(
        figure,
        "BCE of a perfect reconstruction by dataset: " + ", ".join(told_) + ".",
        "floors",
    )


STUDY = Study(
    conclude,
    steps=STEPS,
    needs=("digits", "patches"),
    wishes=("mnist",),
)
