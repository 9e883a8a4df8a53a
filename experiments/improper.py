"""Focal loss and GCE: where do they send a grey pixel?

Focal loss and generalised cross-entropy (GCE) are cross-entropies for hard labels; the
target here is a grey level.

Source: focal loss, Lin et al., ICCV 2017, "focal loss for autoencoders" snippets, and
Charoenphakdee et al., CVPR 2021 (calibrated, not strictly proper, and its map can be
inverted); GCE, Zhang and Sabuncu, NeurIPS 2018. The values to meet follow from the
formulas: with gamma = 2 a target of .2 is sent to .3733852; GCE sends y to p with
p / (1 - p) = (y / (1 - y))^(1 / (1 - q)).

Links:
https://arxiv.org/abs/1708.02002
https://arxiv.org/abs/2011.09172
https://arxiv.org/abs/1805.07836

Protocol: for 99 grey levels the least value of the compiled loss is searched in
float64. The inverse of focal's map is solved from its gradient at the drawn level
alone, without the target, and must give the target back. Then three losses are trained
on the digits (conv_ae, 200 steps, rates tuned, ten seeds) and their pictures are judged
as they are: this is what happens to somebody who swaps the loss and keeps the read-out.

Deviations: the sources train classifiers; nothing of theirs is rebuilt but the map.
"""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite.report import style
from lossjax.suite.report.style import INK
from lossjax.suite.reproduce.finding import (
    Finding,
    Published,
    Tag,
    agrees,
    compared,
    measured,
)
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task

FORMULA = "30-digit arithmetic of the formula"
SHOWN = {
    "bce": "bce",
    "focal, γ = 0.5": "focal(gamma=0.5)",
    "focal, γ = 2": "focal",
    "focal, γ = 5": "focal(gamma=5.0)",
    "gce, q = 0.3": "gce(q=0.3)",
    "gce, q = 0.7": "gce",
}
QS = {"gce(q=0.3)": 0.3, "gce": 0.7}
GAMMAS = {"focal(gamma=0.5)": 0.5, "focal": 2.0, "focal(gamma=5.0)": 5.0}


def drawn(task: Task) -> pd.DataFrame:
    """Where each loss sends each grey level."""
    import jax

    from lossjax import resolve
    from lossjax.certificates.probe import Probe

    y = np.round(np.linspace(0.01, 0.99, 99), 2)
    lines = []
    with jax.enable_x64(True):
        for name in SHOWN.values():
            probe = Probe(resolve(name))
            p = probe.read_out(probe.minimum(y))
            lines.append(pd.DataFrame({"loss": name, "y": y, "p": p}))
    return pd.concat(lines)


def inverted(task: Task) -> pd.DataFrame:
    """The target that each drawn level of focal stands for, and what it was."""
    import jax

    from lossjax import resolve
    from lossjax.certificates.probe import Probe

    y = np.round(np.linspace(0.01, 0.99, 99), 2)
    lines = []
    with jax.enable_x64(True):
        for name in GAMMAS:
            probe = Probe(resolve(name))
            z = probe.minimum(y)
            # The loss is affine in the target: its gradient is 0 for one target only.
            white, black = (probe(z, np.full_like(z, end))[1] for end in (1.0, 0.0))
            found = black / (black - white)
            lines.append(pd.DataFrame({"loss": name, "y": y, "found": found}))
    return pd.concat(lines)


STEPS = {"drawn": drawn, "inverted": inverted}


def conclude(record: Record) -> Conclusion:
    """Where a target of .2 goes, whether the map can be undone, and what it costs."""
    sent = record.tables["drawn"].set_index(["loss", "y"])["p"]
    back = record.tables["inverted"]
    undone = float((back["found"] - back["y"]).abs().max())
    wide = [
        sent[name].to_numpy() - _sharpened(sent[name].index.to_numpy(dtype=float), q)
        for name, q in QS.items()
    ]
    gap = max(float(np.abs(each).max()) for each in wide)
    proper = sent["bce"]
    straight = float((proper - proper.index.to_numpy()).abs().max())
    findings = [
        compared(
            "focal, gamma = 2, sends y = .2 to",
            Published("0.3733852", FORMULA, Tag.COMPUTED),
            sent["focal", 0.2],
            digits=7,
        ),
        compared(
            "and leaves y = .5 at",
            Published("0.5000000", FORMULA, Tag.COMPUTED),
            sent["focal", 0.5],
            digits=7,
        ),
        agrees(
            "the inverse map gives the target back, 3 gammas, 99 levels", undone, 1e-3
        ),
        agrees("gce sharpens by p/(1-p) = (y/(1-y))^(1/(1-q))", gap, 1e-6),
        agrees("bce sends every level to itself", straight, 1e-6),
        measured("gce, q = .7, sends y = .2 to", sent["gce", 0.2], digits=3),
    ]
    trial = record.trial("digits")
    errors = {loss: trial.mean(loss, "test_mse") for loss in trial.arms}
    for loss in list(errors)[1:]:
        ratio = trial.arms[loss].values / trial.arms["bce"].values
        findings.append(
            Finding(
                f"trained on digits with {loss}: squared error over that of bce",
                "above 1",
                f"{ratio.mean():.2f} (smallest seed {ratio.min():.2f})",
                bool(ratio.min() > 1),
            )
        )
    for loss in errors:
        findings.append(measured(f"squared error on digits, {loss}", errors[loss]))
    lines = []
    for label, name in SHOWN.items():
        line = {"loss": label}
        for y in (0.05, 0.2, 0.35, 0.5, 0.8):
            line[f"y = {y:g} becomes"] = f"{sent[name, y]:.3f}"
        error = errors.get(name)
        line["mse on digits"] = "" if error is None else f"{error.center:.4f}"
        lines.append(line)
    counts = {"undone": float(f"{undone:.3g}"), "gce": float(f"{gap:.3g}")}
    table = pd.DataFrame(lines, dtype=object)
    return Conclusion(findings, table, [_draw(record)], counts)


def _sharpened(y: np.ndarray, q: float) -> np.ndarray:
    """Where GCE sends y, by its formula."""
    odds = (y / (1 - y)) ** (1 / (1 - q))
    return odds / (1 + odds)


def _draw(record: Record) -> Drawing:
    """Drawn level against target level."""
    figure = Figure(figsize=(5.2, 4.0), layout="constrained")
    axes = figure.subplots()
    table = record.tables["drawn"]
    axes.plot([0, 1], [0, 1], color=INK, linestyle=":", lw=1)
    for label, mark in style.marks(tuple(SHOWN)).items():
        line = table[table["loss"] == SHOWN[label]]
        axes.plot(
            line["y"],
            line["p"],
            color=mark.colour,
            marker=mark.marker,
            markevery=(mark.index * 2, 14),
            ms=5,
            label=label,
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_xlabel("target grey level y")
    axes.set_ylabel("level p of least loss")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return Drawing(
        figure,
        "The level of least loss against the target level: bce is the diagonal; focal "
        "losses are flatter, dark pixels become lighter and light ones darker; gce is "
        "steeper, it drives grey levels to black and white.",
    )


STUDY = Study(
    conclude,
    config="improper",
    steps=STEPS,
)
