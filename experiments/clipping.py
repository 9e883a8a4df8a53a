"""What does clipping a decoder's output cost, before anything is trained?

Many implementations keep the output away from 0 and 1 before they take logarithms. BCE
hardly minds. A continuous Bernoulli decoder does: its lambda is no mean, and black is
drawn only in the limit.

Source: Loaiza-Ganem and Cunningham, The continuous Bernoulli: fixing a pervasive error
in variational autoencoders, NeurIPS 32, 2019, arXiv 1907.06845: their released code
clips lambda at 1e-4; its ELBO of MNIST is 1470 nats with the normaliser, 1139 without
(poster, figure of warps at gamma = 0). Keras clips BCE at 1e-7.

Links:
https://arxiv.org/abs/1907.06845

Protocol: nothing is trained. A pixel of grey level k is (k + u) / 256 with u uniform,
as in the source; its log-likelihood is linear in it, so that its mean (k + 1/2) / 256
is enough. For each of the 256 levels the largest expected log-likelihood of the
library's `continuous_bernoulli`, compiled, float64, over lambda in [e, 1 - e]; weighed
with the histogram of MNIST's 10,000 test images this is a ceiling that no network with
such a clip can pass, whatever its code. Bits per dimension are 8 - nats / (784 log 2).
The same for BCE with p in [e, 1 - e], on the grey levels k / 255 themselves.

Deviations: none; the source's numbers are of trained networks and must lie below.

Predicted before any run: with a clip of 1e-4 no network reaches 4.80 bits per dimension
(published: 5.29); the least grey that it can draw is 0.108, 28 of 255; the clip takes
more from the ceiling than the 331 nats that lie between the two published ELBOs; the
same clip takes less than 0.1 nats from BCE.

Changed after the first reading: 4.80 had been compared as if it were the ceiling
itself. It is a bound, that of an image of nothing but black; the rows gave 5.07, and
the finding is the inequality that the prediction says.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite.report.style import COLOURS, INK
from lossjax.suite.reproduce.finding import (
    Finding,
    Published,
    Tag,
    compared,
    measured,
)
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task
from lossjax.suite.statistics import Interval

PIXELS = 784
CLIPS = (0.0, 1e-12, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)
TICKS = (1e-12, 1e-9, 1e-6, 1e-4, 1e-2)
USED = 1e-4  # in the source's code
CB, BCE = "continuous_bernoulli", "bce"
PAPER = "Loaiza-Ganem and Cunningham 2019, poster, MNIST at gamma = 0"
WITH, WITHOUT = 1470.0, 1139.0
CLOSED = "closed form"
FAR = 3000.0  # a logit beyond that of every level's best lambda
BLACK = math.log((math.log1p(-USED) - math.log(USED)) / (1 - 2 * USED))
BOUND = 8 - (BLACK + math.log1p(-USED)) / math.log(2)


def levels(task: Task) -> pd.DataFrame:
    """Best expected value of each grey level under each clip, in nats."""
    import jax

    from lossjax import LOSSES
    from lossjax.certificates.probe import Probe, bisect

    grey = np.arange(256)
    lines = []
    with jax.enable_x64(True):
        for name, target in ((CB, (grey + 0.5) / 256), (BCE, grey / 255)):
            probe = Probe(LOSSES[name])
            for clip in CLIPS:
                end = math.log1p(-clip) - math.log(clip) if clip else FAR

                def slope(z: Any, probe: Any = probe, target: Any = target) -> Any:
                    return probe(z, target)[1]

                best = bisect(slope, np.full(256, -end), np.full(256, end))
                lines.append(
                    pd.DataFrame(
                        {
                            "loss": name,
                            "clip": clip,
                            "level": grey,
                            "value": probe(best, target)[0],
                            "drawn": probe.read_out(best),
                        }
                    )
                )
    return pd.concat(lines)


def histogram(task: Task) -> pd.DataFrame:
    """How often each grey level is in MNIST's test images."""
    images = np.asarray(task.data["mnist"].test.images)
    counts = np.bincount(images.ravel(), minlength=256)
    return pd.DataFrame({"level": np.arange(256), "share": counts / counts.sum()})


STEPS = {"levels": levels, "histogram": histogram}


def conclude(record: Record) -> Conclusion:
    """Ceilings by clip, beside what was published of trained networks."""
    table = record.tables["levels"]
    share = record.tables["histogram"]["share"].to_numpy()
    nats = {
        (str(loss), float(clip)): PIXELS * float(own["value"].to_numpy() @ share)
        for (loss, clip), own in table.groupby(["loss", "clip"], sort=False)
    }
    least = {
        float(clip): float(own["drawn"].min())
        for clip, own in table[table["loss"] == CB].groupby("clip", sort=False)
    }
    ceiling = {clip: -nats[CB, clip] for clip in CLIPS}
    bits = {clip: 8 - own / PIXELS / math.log(2) for clip, own in ceiling.items()}
    taken = ceiling[0.0] - ceiling[USED]
    lost = nats[BCE, USED] - nats[BCE, 0.0]
    grey = 1 / (math.log1p(-USED) - math.log(USED)) - USED / (1 - 2 * USED)
    unseen = float(share[np.arange(256) < 255 * least[USED]].sum())
    falls = bool(np.all(np.diff([ceiling[clip] for clip in CLIPS]) < 0))
    findings = [
        Finding(
            "least bits per dimension of any network with a clip of 1e-4",
            f"above {BOUND:.2f}, what an image of nothing but black would take",
            f"{bits[USED]:.3f}",
            bits[USED] > BOUND,
            number=Interval(bits[USED], bits[USED], bits[USED]),
            key="bits",
        ),
        Finding(
            "the published ELBO with the normaliser, 1470 nats, is below that ceiling",
            f"below {ceiling[USED]:.0f}",
            f"{WITH:.0f}",
            ceiling[USED] > WITH,
            "" if ceiling[USED] > WITH else "no network can do that",
            key="below",
        ),
        compared(
            "least mean that a clip of 1e-4 can draw",
            Published(f"{grey:.6f}", CLOSED, Tag.COMPUTED),
            least[USED],
            digits=6,
            key="least_grey",
        ),
        Finding(
            "nats per image that a clip of 1e-4 takes from the ceiling",
            f"more than {WITH - WITHOUT:.0f}, what lies between the published ELBOs",
            f"{taken:.0f}",
            taken > WITH - WITHOUT,
            key="taken",
        ),
        Finding(
            "nats per image that a clip of 1e-4 takes from BCE",
            "less than 0.1",
            f"{lost:.3g}",
            lost < 0.1,
            "" if lost < 0.1 else "predicted wrongly",
            key="taken_bce",
        ),
        Finding(
            "the ceiling falls with every wider clip",
            "at each",
            "at each" if falls else "not at each",
            falls,
            key="falls",
        ),
        measured(
            "share of MNIST's test pixels darker than a clip of 1e-4 can draw, per "
            "cent",
            100 * unseen,
            key="unseen",
        ),
        measured("ceiling without a clip, nats per image", ceiling[0.0], digits=4),
        measured(
            "ceiling with a clip of 1e-4, nats per image", ceiling[USED], digits=4
        ),
        measured(
            "ceiling with a clip of 1e-7, nats per image", ceiling[1e-7], digits=4
        ),
    ]
    rows = [
        {
            "clip": f"{clip:g}" if clip else "none",
            "least mean": f"{least[clip]:.4f}",
            "of 255": f"{255 * least[clip]:.1f}",
            "ceiling, nats per image": f"{ceiling[clip]:.0f}",
            "bits per dimension": f"{bits[clip]:.3f}",
            "BCE above its floor, nats": f"{nats[BCE, clip] - nats[BCE, 0.0]:.2g}",
        }
        for clip in CLIPS
    ]
    counts: dict[str, Any] = {
        f"{clip:g}": float(f"{own:.9g}") for clip, own in ceiling.items()
    }
    drawing = _draw(ceiling, least)
    return Conclusion(findings, pd.DataFrame(rows, dtype=object), [drawing], counts)


def _draw(ceiling: dict[float, float], least: dict[float, float]) -> Drawing:
    """Ceiling and least grey against the clip."""
    clips = [clip for clip in CLIPS if clip]
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(clips, [ceiling[c] for c in clips], "o-", color=COLOURS[0])
    left.axhline(ceiling[0.0], color=INK, lw=1, linestyle="--")
    left.annotate(
        "no clip",
        (clips[-1], ceiling[0.0]),
        (0, -11),
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
    )
    for value, words in ((WITH, "published"), (WITHOUT, "published, no normaliser")):
        left.plot(USED, value, "D", color=COLOURS[1], markerfacecolor="none")
        left.annotate(f"{words}  ", (USED, value), ha="right", va="center", fontsize=8)
    left.set_ylabel("most that an image can earn (nats)")
    left.set_ylim(0, None)
    right.plot(clips, [255 * least[c] for c in clips], "o-", color=COLOURS[0])
    right.set_ylabel("darkest grey level that can be drawn")
    right.set_ylim(0, None)
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
        axes.minorticks_off()
        axes.set_xlabel("lambda is kept so far from 0 and 1")
    return Drawing(
        figure,
        "Against the clip of lambda: the ceiling of a continuous Bernoulli decoder's "
        "log-likelihood of MNIST, and the darkest grey level it can draw: "
        + ", ".join(
            f"{c:g}: {ceiling[c]:.0f} nats, {255 * least[c]:.0f}" for c in clips
        )
        + ".",
    )


STUDY = Study(
    conclude,
    steps=STEPS,
    needs=("mnist",),
)
