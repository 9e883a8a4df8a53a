"""Does the whole variational path give the number of a known VAE?

Source: `pytorch/examples/vae` (784-400-20-400-784, relu, sigmoid, binary
cross-entropy summed over pixels plus KL, Adam at a constant 1e-3, batches of 128); it
logs a test loss of 109.64 to 109.66 nats per image after epoch 4, 105.59 after epoch
10.

Links:
https://github.com/pytorch/examples/tree/main/vae

Protocol: the same network, loss, rate and batches on MNIST; `-elbo` on the 10,000 test
images with one draw of each code, as there. The floor is what no decoder can go below:
the entropy of the grey test pixels.

Deviations: 55,000 training images instead of 60,000, because every sweep keeps 5,000
for validation; the number of steps is theirs (10 epochs of 469, 4 of 469), so that each
image is seen 10.9 and 4.4 times. Kernels start at LeCun's normal law and biases at
zero, the last bias at the mean training image, theirs uniform; Adam's epsilon is 1e-15,
not 1e-8. Four seeds; theirs is one run.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite.report.style import COLOURS, INK
from lossjax.suite.reproduce.finding import (
    Finding,
    Published,
    Tag,
    compared,
    halved,
    measured,
)
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task
from lossjax.suite.statistics import interval

SOURCE = "pytorch/examples/vae, logged test set loss, nats per image"
FLOOR = 45.53  # entropy of the grey test pixels, which the step `floor` computes
PUBLISHED: Mapping[str, Published] = {
    # Logged as 109.64 to 109.66.
    "epoch 4": Published("109.65", SOURCE, Tag.SEEN, floor=FLOOR, spread=0.01),
    "epoch 10": Published("105.59", SOURCE, Tag.SEEN, floor=FLOOR),
}
REASON = "55,000 images for 60,000, so each is seen a tenth more often; other kernels"
COLUMNS = ("test_elbo", "test_kl", "test_iw_bound", "test_active_units")


def floor(task: Task) -> pd.DataFrame:
    """Entropy of the test images' grey pixels, nats per image."""
    images = np.asarray(task.data["mnist"].test.images)
    share = np.arange(1, 255) / 255
    entropy = np.zeros(256)
    entropy[1:-1] = -share * np.log(share) - (1 - share) * np.log1p(-share)
    total = np.bincount(images.ravel(), minlength=256) @ entropy / len(images)
    return pd.DataFrame({"floor": [total]})


def conclude(record: Record) -> Conclusion:
    """The test loss beside the logged one, and what it is made of."""
    least = float(record.tables["floor"]["floor"][0])
    findings: list[Finding] = []
    lines, found = [], {}
    for name, published in PUBLISHED.items():
        trial = record.trial(name)
        own = {column: trial.columns[column]["bce"].values for column in COLUMNS}
        loss = interval(-own["test_elbo"])
        what = f"test loss, {name}"
        findings.append(compared(what, published, loss, digits=5, reason=REASON))
        found[name] = loss.center
        lines.append(
            {
                "after": name,
                "published": f"{published.value:.2f}",
                "test loss, nats": halved(loss, 2),
                "KL": halved(interval(own["test_kl"]), 2),
                "reconstruction above its floor": halved(
                    interval(-own["test_elbo"] - own["test_kl"] - least), 2
                ),
                "importance-weighted": halved(interval(-own["test_iw_bound"]), 2),
                "active units": f"{own['test_active_units'].mean():.1f} of 20",
                "seeds": str(len(own["test_elbo"])),
            }
        )
    findings.append(
        measured(
            "floor: entropy of the grey test pixels, nats per image",
            least,
            digits=4,
            reason="part of every such test loss, whatever the decoder",
        )
    )
    table = pd.DataFrame(lines, dtype=object)
    return Conclusion(findings, table, [_draw(record, least)], found | {"floor": least})


def _draw(record: Record, least: float) -> Drawing:
    """What the test loss is made of, bars, with the published number across each."""
    figure = Figure(figsize=(4.6, 2.6))
    axes = figure.add_axes((0.2, 0.36, 0.76, 0.6))
    told_in_words = []
    for row, (name, published) in enumerate(PUBLISHED.items()):
        own = record.trial(name).columns
        total = -float(own["test_elbo"]["bce"].values.mean())
        code = float(own["test_kl"]["bce"].values.mean())
        parts = {"floor": least, "reconstruction": total - code - least, "KL": code}
        left = 0.0
        for place, (part, width) in enumerate(parts.items()):
            label = part if row == 0 else None
            axes.barh(row, width, 0.5, left, color=COLOURS[place], label=label)
            left += width
        mark = "published" if row == 0 else None
        axes.plot(
            [published.value] * 2, [row - 0.4, row + 0.4], color=INK, lw=2, label=mark
        )
        told_in_words.append(
            f"{name}: {total:.2f} nats against {published.value:.2f}, of which "
            f"{least:.2f} floor and {code:.2f} KL"
        )
    axes.set_yticks(range(len(PUBLISHED)), list(PUBLISHED))
    axes.set_ylim(len(PUBLISHED) - 0.5, -0.5)
    axes.set_xlabel("nats per test image")
    axes.grid(axis="y", visible=False)
    figure.legend(loc="lower center", ncols=4)
    words = "Test loss of the PyTorch example, taken apart. " + "; ".join(told_in_words)
    return Drawing(figure, words + ".")


STUDY = Study(
    conclude,
    config="vae_pytorch",
    columns=COLUMNS,
    steps={"floor": floor},
    needs=("mnist",),
)
