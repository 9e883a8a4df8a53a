"""How long does one neuron take to unlearn, by either cost?

A sigmoid behind squared error learns slowly when it is most wrong; behind cross-entropy
it does not.

Source: Nielsen, Neural Networks and Deep Learning (2015), chapter 3: input 1, target 0,
quadratic cost (y - a)^2 / 2, learning rate 0.15, 300 epochs of gradient descent, from
w = 0.6, b = 0.9 (output 0.82) and from w = b = 2 (output 0.98). The book's
cross-entropy curves have learning rate 0.005 and are "not the point", says the book:
compare shapes.

Links:
http://neuralnetworksanddeeplearning.com/chap3.html

Protocol: `mse` (half of it is the quadratic cost) and `bce` of the library, in float64,
by jax.grad through output and link; the book's two starts and rates, and both costs at
the book's quadratic rate, 0.15, until the output is below 0.5. The gradient of the
quadratic cost carries a (1 - a), which is 1/4 at most: at four times the rate both
costs step alike where the output is undecided, and what is left is saturation.

Deviations: none. The finals are quoted from memory to the two digits that the book
prints; the accepted range is half of the last digit.
"""

import math

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite.report import style
from lossjax.suite.report.style import INK
from lossjax.suite.reproduce.finding import (
    Finding,
    Published,
    Tag,
    compared,
    measured,
)
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task

NIELSEN = "Nielsen 2015, chapter 3"
STARTS = {"w = 0.6, b = 0.9": (0.6, 0.9), "w = b = 2": (2.0, 2.0)}
FINALS = {"w = 0.6, b = 0.9": "0.09", "w = b = 2": "0.20"}
FIRST = {"w = 0.6, b = 0.9": "0.82", "w = b = 2": "0.98"}
KEYS = {"w = 0.6, b = 0.9": "moderate_start", "w = b = 2": "bad_start"}
COSTS = {"quadratic": ("mse", 0.5), "cross-entropy": ("bce", 1.0)}
EPOCHS, RATE, SLOW = 300, 0.15, 0.005
EQUAL = 4 * RATE  # of the quadratic cost: its gradient at a = 1/2 is then bce's
MOST = 3000  # epochs at one rate, by which every neuron has turned


def descents(task: Task) -> pd.DataFrame:
    """Output after every epoch, of every start, cost and rate."""
    import jax
    import jax.numpy as jnp

    from lossjax import resolve

    lines = []
    with jax.enable_x64(True):
        target = jnp.zeros((1, 1, 1, 1))
        for cost, (name, factor) in COSTS.items():
            loss = resolve(name)

            def objective(weights, loss=loss, factor=factor):  # type: ignore[no-untyped-def]
                raw = jnp.sum(weights).reshape(1, 1, 1, 1)  # the input is 1
                return factor * loss.fn(raw, target)[0]

            for start, weights in STARTS.items():
                for rate in (RATE, SLOW, EQUAL):

                    def epoch(now, _, rate=rate, objective=objective):  # type: ignore[no-untyped-def]
                        return now - rate * jax.grad(objective)(now), now

                    _, path = jax.lax.scan(epoch, jnp.array(weights), None, MOST + 1)
                    path = np.asarray(path).sum(1)
                    outputs = np.exp(-np.logaddexp(0, -path))
                    lines += [
                        (cost, start, rate, epoch, output)
                        for epoch, output in enumerate(outputs.tolist())
                    ]
    columns = ["cost", "start", "rate", "epoch", "output"]
    return pd.DataFrame(lines, columns=columns)


def conclude(record: Record) -> Conclusion:
    """The book's printed numbers, and how long each cost takes to turn the neuron."""
    table = record.tables["descents"]
    keys = ["cost", "start", "rate"]
    paths = {key: own["output"].to_numpy() for key, own in table.groupby(keys)}
    findings: list[Finding] = []
    lines, turns = [], {}
    for start in STARTS:
        quadratic = paths["quadratic", start, RATE]
        for what, published, ours in (
            ("output before", FIRST[start], quadratic[0]),
            (f"output after {EPOCHS} epochs", FINALS[start], quadratic[EPOCHS]),
        ):
            number = Published(published, NIELSEN, Tag.RECALLED)
            findings.append(
                compared(
                    f"{start}, quadratic: {what}",
                    number,
                    float(ours),
                    digits=2,
                    reason="printed to two digits; quoted from memory",
                )
            )
        turn = {
            cost: int(np.argmax(paths[cost, start, RATE] < 0.5)) or math.nan
            for cost in COSTS
        }
        turn["equal"] = int(np.argmax(paths["quadratic", start, EQUAL] < 0.5))
        turns[start] = turn
        ratio = turn["quadratic"] / turn["cross-entropy"]
        equal = turn["equal"] / turn["cross-entropy"]
        findings.append(
            measured(
                f"{start}: epochs until the output is below 0.5, quadratic over "
                "cross-entropy at the same rate",
                ratio,
                key=KEYS[start],
                reason=f"{turn['quadratic']:g} epochs against "
                f"{turn['cross-entropy']:g} at rate {RATE}",
            )
        )
        findings.append(
            measured(
                f"{start}: the same with four times the rate for the quadratic cost",
                equal,
                key=f"{KEYS[start]}_equal",
                reason=f"{turn['equal']} epochs against {turn['cross-entropy']:g}; "
                "equal gradient where the output is 1/2",
            )
        )
        for cost in COSTS:
            own, slow = paths[cost, start, RATE], paths[cost, start, SLOW]
            lines.append(
                {
                    "start": start,
                    "cost": cost,
                    "output before": f"{own[0]:.2f}",
                    f"after {EPOCHS} epochs at {RATE}": f"{own[EPOCHS]:.3f}",
                    f"after {EPOCHS} at {SLOW}": f"{slow[EPOCHS]:.3f}",
                    f"epochs to 0.5 at {RATE}": f"{turn[cost]:g}",
                    "with gradients of one size at 0.5": (
                        f"{turn['equal' if cost == 'quadratic' else cost]:g}"
                    ),
                }
            )
    late, early = (turns[s]["quadratic"] for s in ("w = b = 2", "w = 0.6, b = 0.9"))
    findings.append(
        Finding(
            "the worse start is the slower one by squared error",
            "more epochs to 0.5",
            f"{late:g} against {early:g}",
            late > early,
        )
    )
    counts = {"turns": turns}
    return Conclusion(findings, pd.DataFrame(lines), [_draw(paths)], counts)


def _draw(paths: dict) -> Drawing:
    """Cost against epoch, a panel for each cost and start, as the book shows them."""
    marks = style.marks(tuple(COSTS))
    figure = Figure(figsize=(6.4, 4.2))
    told = []
    for row, cost in enumerate(COSTS):
        for column, start in enumerate(STARTS):
            box = (0.09 + 0.48 * column, 0.63 - 0.45 * row, 0.41, 0.3)
            axes = figure.add_axes(box)
            for rate, line in ((RATE, "-"), (SLOW, "--")):
                outputs = paths[cost, start, rate][: EPOCHS + 1]
                values = outputs**2 / 2
                if cost == "cross-entropy":
                    values = -np.log1p(-outputs)
                axes.plot(
                    values,
                    color=marks[cost].colour,
                    linestyle=line,
                )
            told.append(
                f"{cost} from {start}: output {paths[cost, start, RATE][EPOCHS]:.2f} "
                f"after {EPOCHS} epochs at rate {RATE}"
            )
            axes.set_ylim(bottom=0)
            axes.set_title(f"{cost}, {start}", loc="left", fontsize=9)
            if row:
                axes.set_xlabel("epoch")
            if not column:
                axes.set_ylabel("cost")
    for line, rate in (("-", RATE), ("--", SLOW)):
        axes.plot([], [], color=INK, linestyle=line, label=f"rate {rate}")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles[-2:], labels[-2:], loc="lower center", ncols=2)
    words = "Cost of one sigmoid neuron against the epoch, target 0. "
    return Drawing(figure, words + "; ".join(told) + ".")


STUDY = Study(
    conclude,
    steps={"descents": descents},
)
