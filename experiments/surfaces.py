"""Cost over two weights: where are the plateaus?

The training criterion of a two-layer network, as a function of one weight in each
layer, for squared error and for cross-entropy.

Source: Glorot and Bengio (AISTATS 2010), section 4.1 and figure 5: one hidden layer of
tanh, random input and target, "clearly more severe plateaus with the quadratic cost".
Figure: cross-entropy black, on top; quadratic red, below; W1 of the first and W2 of the
output layer.

Links:
https://proceedings.mlr.press/v9/glorot10a.html

Protocol: h = tanh(W1 x), p = sigmoid(W2 h), mean cost over random pairs (x, y): x
normal, y 0 or 1 with equal chance; W1 in [-4, 4], W2 in [-5, 5], a grid of 101 x 101,
`bce` and `mse` of the library in float64, gradient and second derivatives by jax. A
point is on a plateau where the gradient's length is below 5 % of the 95th percentile of
that surface's lengths; that is the first ratio. Two more say what it rests on: the same
over a window twice as wide, and with one threshold for both surfaces, that of
cross-entropy. Repeated for 30 draws of 20 pairs, so that shares have an interval; the
first draw is drawn.

Deviations: ranges, seed and number of pairs are not in the paper; a softmax of two
classes is a sigmoid. The paper gives no number: expected is its sentence, as a ratio.
The first ratio does not bear the sentence out. Within this window the output unit sees
at most 5, where the sigmoid still has 3 % of its steepest slope, so the quadratic
surface is shallow there rather than flat, and cross-entropy's own flat region, around
its minimum, is larger. The other two do.
"""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite import statistics
from lossjax.suite.report.style import COLOURS, INK
from lossjax.suite.reproduce.finding import Finding
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task
from lossjax.suite.statistics import Interval

COSTS = {"cross-entropy": "bce", "quadratic": "mse"}
SIDE, DRAWS, PAIRS = 101, 30, 20
W1, W2 = np.linspace(-4, 4, SIDE), np.linspace(-5, 5, SIDE)
FLAT, STEEP = 0.05, 95  # share of the percentile
WINDOWS = (1, 2)
COARSE = 5  # every so many points of the first draw's surface are kept


def _criteria(draws: int, window: float):  # type: ignore[no-untyped-def]
    """(draw, cost, value, length of gradient, curvature in W2), SIDE x SIDE each.

    `window` is how many times as wide as W1 and W2 the grid is.
    """
    import jax
    import jax.numpy as jnp

    from lossjax import resolve

    rng = np.random.default_rng(0)
    pairs = [(rng.normal(size=PAIRS), rng.integers(0, 2, PAIRS)) for _ in range(draws)]
    with jax.enable_x64(True):
        for cost, name in COSTS.items():
            loss = resolve(name)

            def criterion(w1, w2, x, y, loss=loss):  # type: ignore[no-untyped-def]
                raw = (w2 * jnp.tanh(w1 * x)).reshape(-1, 1, 1, 1)
                return jnp.mean(loss.fn(raw, y.reshape(raw.shape)))

            def point(w1, w2, x, y, criterion=criterion):  # type: ignore[no-untyped-def]
                value, slopes = jax.value_and_grad(criterion, (0, 1))(w1, w2, x, y)
                bend = jax.grad(jax.grad(criterion, 1), 1)(w1, w2, x, y)
                return value, jnp.hypot(*slopes), bend

            whole = jax.jit(
                jax.vmap(jax.vmap(point, (None, 0, None, None)), (0, None, None, None))
            )
            for draw, (x, y) in enumerate(pairs):
                found = whole(
                    window * W1, window * W2, jnp.array(x), jnp.array(y, float)
                )
                yield draw, cost, *(np.asarray(each) for each in found)


def shares(task: Task) -> pd.DataFrame:
    """Of every window, draw and cost: shares of plateau and of concavity in W2.

    `plateau` has the surface's own threshold, `plateau_common` that of cross-entropy.
    """
    lines = []
    for window in WINDOWS:
        steep: dict[int, float] = {}
        for draw, cost, _, length, bend in _criteria(
            3 if task.quick else DRAWS, window
        ):
            own = float(np.percentile(length, STEEP))
            common = steep.setdefault(draw, own)  # cross-entropy comes first
            flat = [(length < FLAT * limit).mean() for limit in (own, common)]
            tiny = 1e-12 * np.abs(bend).max()
            lines.append((window, draw, cost, *flat, (bend < -tiny).mean()))
    columns = ["window", "draw", "cost", "plateau", "plateau_common", "concave_in_w2"]
    return pd.DataFrame(lines, columns=columns)


def surface(task: Task) -> pd.DataFrame:
    """The first draw's surfaces, thinned."""
    lines = []
    for _, cost, value, _, _ in _criteria(1, 1):
        for i in range(0, SIDE, COARSE):
            for j in range(0, SIDE, COARSE):
                lines.append((cost, W1[i], W2[j], value[i, j]))
    return pd.DataFrame(lines, columns=["cost", "w1", "w2", "value"])


def conclude(record: Record) -> Conclusion:
    """Shares of plateau against each other, and the curvature in W2."""
    table = record.tables["shares"]
    said = "more severe plateaus with the quadratic cost (accepted: over 2)"
    findings, lines = [], []
    counts: dict[str, Any] = {"draws": int(table.draw.nunique()), "ratios": {}}
    for window, column, words, reason in (
        (1, "plateau", "its own threshold", "window and threshold: see the text"),
        (2, "plateau", "its own threshold, twice as wide a window", ""),
        (1, "plateau_common", "one threshold for both", ""),
    ):
        own = table[table.window == window]
        share = {c: own[own.cost == c][column].to_numpy() for c in COSTS}
        ratio = _ratio(share["quadratic"], share["cross-entropy"])
        findings.append(
            Finding(
                f"share of plateau, quadratic over cross-entropy, {words}",
                said,
                f"{ratio.center:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]",
                ratio.center > 2,
                reason,
                number=ratio,
            )
        )
        counts["ratios"][words] = float(f"{ratio.center:.6g}")
        line = {"plateau by": words}
        for cost in COSTS:
            mean = statistics.interval(share[cost])
            line[cost] = f"{mean.center:.3f} [{mean.low:.3f}, {mean.high:.3f}]"
        line["ratio"] = f"{ratio.center:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"
        lines.append(line)
    bent = {c: table[table.cost == c].concave_in_w2.to_numpy() for c in COSTS}
    findings += [
        Finding(
            "cross-entropy is convex in W2 everywhere, in every draw",
            "0 of the grid concave",
            f"at most {bent['cross-entropy'].max():.3g}",
            bool(bent["cross-entropy"].max() == 0),
        ),
        Finding(
            "the quadratic cost is concave in W2 somewhere, in every draw",
            "over 0 of the grid",
            f"at least {bent['quadratic'].min():.3g}",
            bool(bent["quadratic"].min() > 0),
        ),
    ]
    drawing = _draw(record.tables["surface"], counts)
    return Conclusion(findings, pd.DataFrame(lines), [drawing], counts)


def _ratio(upper: np.ndarray, lower: np.ndarray) -> Interval:
    """Geometric mean over draws, with its interval."""
    spread = statistics.interval(np.log(upper / lower))
    low, high = (float(np.exp(x)) for x in (spread.low, spread.high))
    return Interval(float(np.exp(spread.center)), low, high)


def _draw(table: pd.DataFrame, counts: dict) -> Drawing:
    """Two wireframes in one box: cross-entropy black and above, quadratic red."""
    figure = Figure(figsize=(6.4, 4.4))
    axes = figure.add_axes((0.02, 0.05, 0.9, 0.92), projection="3d")
    for cost, colour in (("quadratic", COLOURS[4]), ("cross-entropy", INK)):
        wide = table[table.cost == cost].pivot(index="w1", columns="w2", values="value")
        x, y = np.meshgrid(wide.index, wide.columns, indexing="ij")
        axes.plot_wireframe(  # type: ignore[attr-defined]
            x, y, wide.to_numpy(), color=colour, lw=0.6, label=cost
        )
    axes.set_xlabel("W1")
    axes.set_ylabel("W2")
    axes.set_zlabel("cost")  # type: ignore[attr-defined]
    axes.view_init(elev=18, azim=-58)  # type: ignore[attr-defined]
    axes.legend(loc="upper left")
    return Drawing(
        figure,
        "Training criterion over one weight of each layer, cross-entropy above the "
        "quadratic cost. Share of plateau, quadratic over cross-entropy: "
        + "; ".join(
            f"{words} {ratio:.2f}" for words, ratio in counts["ratios"].items()
        ),
    )


STUDY = Study(
    conclude,
    steps={"shares": shares, "surface": surface},
)
