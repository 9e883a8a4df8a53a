"""Gradient against logit for every loss: which ones saturate?

How fast dL/dz of a pixel vanishes where the answer is wrong (target 0, raw output z
large) says which loss stops learning when it is most wrong.

Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.2.2.2: the
log of the likelihood "undoes the exp of the sigmoid", so its gradient saturates only
where the answer is right. The book covers targets of 0 and 1 and cross-entropy alone;
here are all losses of the table, and a grey target.

Links:
https://www.deeplearningbook.org/contents/mlp.html

Protocol: the compiled gradient of every loss in float64, of a constant image whose
first block of raw output is z, at targets 0, 0.2 and 1. The exponent b of exp(-b z) is
the slope of -log |dL/dz| from z = 20 to 24 at target 0. What is expected is algebra,
written again here from the textbook form of each loss with p = 1/(1 + exp(-z)) and
s = p (1 - p), and not read from the library.

Deviations: none. Structural losses are of a constant image, and the exponent of
`categorical` is that of the first of its 256 raw outputs; they are drawn, and nothing
is expected of them.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.special import expit

from lossjax.suite.report import style
from lossjax.suite.reproduce.finding import Finding, measured
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task

TARGETS = (0.0, 0.2, 1.0)
LOGITS = np.linspace(-8, 8, 65)
FAR = (20.0, 24.0)
DIGITS = 1e-4  # relative to the largest gradient of the loss on the grid
Algebra = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]  # of p, s, y

# dL/dz by algebra, and the exponent with which it vanishes at a wrong answer.
ALGEBRA: Mapping[str, tuple[Algebra, float]] = {
    "bce": (lambda p, s, y: p - y, 0),
    "excess_bce": (lambda p, s, y: p - y, 0),
    "mse": (lambda p, s, y: 2 * (p - y) * s, 1),
    "mae": (lambda p, s, y: np.sign(p - y) * s, 1),
    "huber": (lambda p, s, y: np.clip(p - y, -0.1, 0.1) * s, 1),
    "log_cosh": (lambda p, s, y: np.tanh(p - y) * s, 1),
    "charbonnier": (lambda p, s, y: (p - y) * s / np.hypot(p - y, 1e-3), 1),
    "barron": (lambda p, s, y: (p - y) * s / 0.01 / np.hypot((p - y) / 0.1, 1), 1),
    "power": (lambda p, s, y: (p - y) * np.sqrt(s), 0.5),
    "brier": (lambda p, s, y: 2 * (p - y) * s, 1),
    "poisson": (lambda p, s, y: (p - y) * (1 - p), 1),
    "itakura_saito": (lambda p, s, y: (p - np.maximum(y, 1 / 510)) * (1 - p) / p, 1),
    "beta_divergence": (lambda p, s, y: (p - y) * (1 - p) / np.sqrt(p), 1),
    "gaussian": (lambda p, s, y: (p - y) * s, 1),
    "gce": (lambda p, s, y: s * ((1 - y) * (1 - p) ** -0.3 - y * p**-0.3), 0.7),
}


def curves(task: Task) -> pd.DataFrame:
    """dL/dz of every loss at every target, and far out at target 0."""
    import jax

    from lossjax import LOSSES
    from lossjax.certificates.probe import Probe

    lines = []
    with jax.enable_x64(True):
        for name, loss in LOSSES.items():
            probe = Probe(loss)
            z = np.r_[LOGITS, FAR]
            for y in TARGETS:
                slopes = probe(z, np.array(y))[1]
                lines += [(name, y, *pair) for pair in zip(z, slopes, strict=True)]
    return pd.DataFrame(lines, columns=["loss", "target", "z", "slope"])


def conclude(record: Record) -> Conclusion:
    """Every gradient against algebra, every exponent of decay."""
    table = record.tables["curves"]
    findings: list[Finding] = []
    lines = []
    exponents: dict[str, float] = {}
    for name, own in table.groupby("loss", sort=False):
        far = own[(own.target == 0) & own.z.isin(FAR)].sort_values("z")
        size = np.abs(far.slope.to_numpy())
        found = np.nan
        if (size > 0).all() and np.isfinite(size).all():
            found = float(-np.diff(np.log(size))[0] / (FAR[1] - FAR[0]))
        exponents[str(name)] = found
        expected = ALGEBRA.get(str(name))
        error = np.nan
        if expected is not None:
            near = own[own.z.abs() <= LOGITS[-1]]
            p, q = expit(near.z.to_numpy()), expit(-near.z.to_numpy())
            right = expected[0](p, p * q, near.target.to_numpy())
            error = float(np.abs(near.slope - right).max() / np.abs(right).max())
            good = error < DIGITS
            findings += [
                Finding(
                    f"{name}: dL/dz against algebra",
                    f"error below {DIGITS:g} of the largest",
                    f"{error:.0e}",
                    good,
                    key=f"{name}_algebra",
                ),
                Finding(
                    f"{name}: exponent of decay at a wrong answer",
                    f"{expected[1]:g} (accepted: 0.01 either way)",
                    f"{abs(found):.4f}",
                    abs(found - expected[1]) <= 0.01,
                    key=f"{name}_fades",
                ),
            ]
        elif np.isfinite(found):
            findings.append(
                measured(f"{name}: exponent of decay at a wrong answer", found)
            )
        lines.append(
            {
                "loss": name,
                "exponent b of exp(-b z)": f"{found:z.3f}"
                if np.isfinite(found)
                else "",
                "by algebra": "" if expected is None else f"{expected[1]:g}",
                "error of dL/dz": "" if np.isnan(error) else f"{error:.0e}",
            }
        )
    kept = {k: round(v, 6) for k, v in exponents.items() if np.isfinite(v)}
    drawing = _draw(table, kept)
    return Conclusion(findings, pd.DataFrame(lines), [drawing], {"exponents": kept})


def _draw(table: pd.DataFrame, exponents: Mapping[str, float]) -> Drawing:
    """A small panel for every loss: its gradient at three targets, as they are."""
    names = list(table.loss.unique())
    columns = 4
    rows = -(-len(names) // columns)
    high = 1.12
    figure = Figure(figsize=(6.4, rows * high + 0.5))
    total = rows * high + 0.5
    marks = style.marks(tuple(map(str, TARGETS)))
    for place, name in enumerate(names):
        row, column = divmod(place, columns)
        bottom = 0.62 + (rows - 1 - row) * high
        box = (0.07 + 0.24 * column, bottom / total, 0.18, 0.62 / total)
        axes = figure.add_axes(box)
        own = table[(table.loss == name) & (table.z.abs() <= LOGITS[-1])]
        for y, curve in own.groupby("target"):
            axes.plot(curve.z, curve.slope, color=marks[str(y)].colour, lw=1.2)
        top = np.nanpercentile(np.abs(own.slope), 98)
        axes.set_ylim(-1.15 * top, 1.15 * top)
        axes.set_title(name, loc="left", fontsize=7.5, pad=3)
        axes.tick_params(labelsize=6, pad=1)
        axes.set_xticks((-8, 0, 8))
        axes.locator_params(axis="y", nbins=3)
    for y in TARGETS:
        axes.plot([], [], color=marks[str(y)].colour, label=f"target {y:g}")
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=3)
    figure.text(0.5, 0.36 / total, "raw output z", ha="center", fontsize=8.5)
    flat = [name for name, b in exponents.items() if b < 0.01]
    gone = [f"{name} {b:.2g}" for name, b in exponents.items() if b >= 0.01]
    return Drawing(
        figure,
        "dL/dz of one pixel against its raw output, a panel for each loss, for targets "
        f"0, 0.2 and 1. At a wrong answer it stays for {', '.join(flat)}; it vanishes "
        f"as exp(-b z) for {', '.join(gone)} (b beside the name).",
    )


STUDY = Study(
    conclude,
    steps={"curves": curves},
)
