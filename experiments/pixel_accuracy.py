"""Why does an autoencoder's accuracy stop at 81 %?

An autoencoder compiled in Keras with metrics=["accuracy"] reports 81.25 % and never
more, however good it is.

Source: stackoverflow.com question 56519500 (an autoencoder of MNIST, loss
binary_crossentropy, accuracy 0.8125).

Links:
https://stackoverflow.com/questions/56519500

Protocol: with that loss Keras takes "accuracy" for binary accuracy, the share of pixels
with round(prediction) == target. A grey target equals neither 0 nor 1, so it can never
be met: the share of pixels that are exactly 0 or 255 is the ceiling of the number,
whatever the model. It is counted from the histogram of all levels;
beside it the accuracy of a perfect reconstruction and of an all-black picture, computed
pixel by pixel.

What it shows: on MNIST a perfect reconstruction scores the ceiling and no more, and a
black picture is within a point of it. The number says how black the data is.

Deviations: nothing is trained, so the user's own 81.25 % is explained, not rebuilt: on
MNIST the ceiling lies within half a point of it.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite.report.style import COLOURS
from lossjax.suite.reproduce.finding import (
    Finding,
    agrees,
    cannot,
    measured,
)
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task
from lossjax.suite.statistics import Interval

SOURCE = "stackoverflow.com 56519500"
ASKED = 81.25  # per cent, at which the accuracy of the question stays


def shares(task: Task) -> pd.DataFrame:
    """The ceiling of every split of the data, counted and scored."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def accuracy(prediction: jax.Array, target: jax.Array) -> jax.Array:
        """Keras' binary accuracy."""
        return jnp.mean((jnp.where(prediction > 0.5, 1.0, 0.0) == target) * 1.0)

    lines = []
    for name, dataset in task.data.items():
        for split, content in dataset.splits.items():
            images = np.asarray(content.images)
            counts = np.bincount(images.ravel(), minlength=256) / images.size
            size = 1000
            perfect, black = [], []
            for first in range(0, len(images), size):
                target = jnp.asarray(images[first : first + size], jnp.float32) / 255
                perfect.append(float(accuracy(target, target)) * len(target))
                nothing = jnp.zeros_like(target)
                black.append(float(accuracy(nothing, target)) * len(target))
            lines.append(
                {
                    "dataset": name,
                    "split": split,
                    "black": counts[0],
                    "white": counts[255],
                    "grey": counts[1:255].sum(),
                    "perfect": sum(perfect) / len(images),
                    "all_black": sum(black) / len(images),
                }
            )
    return pd.DataFrame(lines)


STEPS = {"shares": shares}


def conclude(record: Record) -> Conclusion:
    """The ceiling, that it is one, and how near nothing comes to it."""
    data = record.tables["shares"]
    ceiling = data["black"] + data["white"]
    off = float((ceiling - data["perfect"]).abs().max())
    findings = [
        agrees(
            "a perfect picture scores the share of pixels at 0 or 255",
            off,
            1e-5,
            key="ceiling",
        )
    ]
    what = "accuracy of a perfect reconstruction of MNIST, per cent"
    mnist = data[data["dataset"] == "mnist"].set_index("split")
    if mnist.empty:
        reason = "mnist was not there when the rows were made"
        findings.append(cannot(what, f"{ASKED:g}", reason))
    else:
        perfect, black = (
            100 * float(mnist.loc["test", column])
            for column in ("perfect", "all_black")
        )
        findings += [
            Finding(
                what,
                f"above the {ASKED:g} of the question ({SOURCE}), by less than 1",
                f"{perfect:.2f}",
                ASKED < perfect < ASKED + 1,
                number=Interval(perfect, perfect, perfect),
                key="perfect",
            ),
            measured(
                "accuracy of an all-black picture on MNIST, per cent",
                black,
                digits=4,
                key="black",
            ),
        ]
    for name in dict.fromkeys(data["dataset"]):
        line = data[(data["dataset"] == name) & (data["split"] == "test")].iloc[0]
        findings.append(
            measured(f"ceiling of {name}, per cent", 100 * line["perfect"], digits=4)
        )
    table = pd.DataFrame(
        [
            {
                "dataset": line["dataset"],
                "split": line["split"],
                "exactly 0": f"{100 * line['black']:.2f} %",
                "exactly 255": f"{100 * line['white']:.2f} %",
                "grey": f"{100 * line['grey']:.2f} %",
                "accuracy of a perfect picture": f"{100 * line['perfect']:.2f} %",
                "of a black one": f"{100 * line['all_black']:.2f} %",
            }
            for line in data.to_dict("records")
        ],
        dtype=object,
    )
    return Conclusion(findings, table, [_draw(data)], {"off": float(f"{off:.2g}")})


def _draw(data: pd.DataFrame) -> Drawing:
    """Pixels by level, test images: exactly 0, exactly 255, grey."""
    test = data[data["split"] == "test"]
    figure = Figure(figsize=(6.4, 1.3 + 0.4 * len(test)), layout="constrained")
    axes = figure.subplots()
    words = []
    for row, line in enumerate(test.to_dict("records")):
        left = 0.0
        for part, colour in (
            ("black", COLOURS[0]),
            ("white", COLOURS[1]),
            ("grey", COLOURS[6]),
        ):
            share = 100 * line[part]
            label = {"black": "exactly 0", "white": "exactly 255", "grey": "grey"}[part]
            axes.barh(
                row, share, 0.6, left=left, color=colour, label="" if row else label
            )
            left += share
        ceiling = 100 * (line["black"] + line["white"])
        axes.annotate(f" {ceiling:.1f}", (100, row), va="center", annotation_clip=False)
        words.append(f"{line['dataset']} {ceiling:.1f} %")
    axes.set_yticks(range(len(test)), list(test["dataset"]))
    axes.set_ylim(len(test) - 0.5, -0.5)
    axes.set_xlim(0, 100)
    axes.set_xlabel("pixels of test images (%); right: the ceiling of the accuracy")
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=3)
    return Drawing(
        figure,
        "Share of pixels exactly black, exactly white and grey, by dataset. The "
        "highest accuracy that any model can have: " + ", ".join(words) + ".",
    )


STUDY = Study(
    conclude,
    steps=STEPS,
    needs=("digits", "patches"),
    wishes=("mnist",),
)
