"""The continuous Bernoulli law: which normaliser, densities, mean, warps?

BCE is the log-likelihood of a law on {0, 1}. The law on [0, 1] that has the same form,
p(x) = C(lambda) lambda^x (1 - lambda)^(1 - x), needs a normaliser C that BCE leaves
out, and lambda is not its mean.

Source: Loaiza-Ganem and Cunningham, The continuous Bernoulli: fixing a pervasive error
in variational autoencoders, NeurIPS 32, 2019 (figure 1 and the poster, panels a to d).

Links:
https://arxiv.org/abs/1907.06845

Protocol: everything is the library's `continuous_bernoulli`, compiled, in float64:
log C from its value at x = 0, densities from its value, the mean from its read-out. The
values to meet are those of 30-digit arithmetic. The warp f_gamma of the source moves
contrast: gamma = -0.5 makes pixels binary, 0 leaves them, 0.5 makes all of them grey.

What is quoted and corrected: a README that writes C = lambda / (2 atanh(.)) and one
notebook that added log C with the wrong sign; the library's value is the paper's,
C = 2 atanh(1 - 2 lambda) / (1 - 2 lambda), and its densities integrate to 1. Who shows
lambda as the picture shows too much contrast: the mean is mu(lambda). The source clips
lambda at 1e-4, which caps what a black pixel can earn; the library does not clip.

Deviations: none; nothing is trained.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossjax.models.contrast import warp
from lossjax.suite.report import style
from lossjax.suite.report.style import COLOURS, INK
from lossjax.suite.reproduce.finding import (
    Finding,
    Published,
    Tag,
    agrees,
    compared,
    measured,
)
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task

PAPER = "Loaiza-Ganem and Cunningham 2019"
DIGITS = "30-digit arithmetic of the formula"
LAMBDAS = tuple(round(0.1 * k, 1) for k in range(1, 10))
GAMMAS = tuple(round(-0.5 + 0.1 * k, 1) for k in range(11))
LOGITS = (-50.0, -20.0, -5.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 5.0, 20.0, 50.0)
BLACK = 1 / 512  # mean of a black pixel after the source's dequantisation
CLIP = 1e-4  # the source's least lambda

# lambda, log C, mean; then target, logit of that mean, floor, value at sigmoid(z) = y.
LAW = (
    (0.5, 0.6931471806, 0.5),
    (0.3, 0.7505877509, 0.4302225011),
    (0.1, 1.010338559, 0.3301196133),
)
FITTED = (
    (0.5, 0.0, 0.0, 0.0),
    (0.3, -2.672103855, -0.252845563, -0.13972345),
    (0.1, -9.995441134, -1.302630597, -0.68525559),
)


def law(task: Task) -> pd.DataFrame:
    """log C and the mean against lambda."""
    import jax

    from lossjax import LOSSES
    from lossjax.certificates.probe import Probe

    edge = np.logspace(-6, -2, 60)
    dense = np.linspace(0.01, 0.99, 197)
    wanted = np.array([row[0] for row in LAW])
    lam = np.unique(np.round(np.concatenate([edge, dense, 1 - edge, wanted]), 10))
    z = np.log(lam) - np.log1p(-lam)
    with jax.enable_x64(True):
        probe = Probe(LOSSES["continuous_bernoulli"])
        # log p(0) = log C + log(1 - lambda).
        log_c = -probe(z, np.zeros_like(z))[0] - np.log1p(-lam)
        mean = probe.read_out(z)
    return pd.DataFrame({"lambda": lam, "log_c": log_c, "mean": mean})


def densities(task: Task) -> pd.DataFrame:
    """p(x) against x, for the lambdas of the source."""
    import jax

    from lossjax import LOSSES
    from lossjax.certificates.probe import Probe

    x = np.linspace(0, 1, 101)
    lam, grid = (each.ravel() for each in np.meshgrid(LAMBDAS, x, indexing="ij"))
    z = np.log(lam) - np.log1p(-lam)
    with jax.enable_x64(True):
        value = Probe(LOSSES["continuous_bernoulli"])(z, grid)[0]
    return pd.DataFrame({"lambda": lam, "x": grid, "density": np.exp(-value)})


def integrals(task: Task) -> pd.DataFrame:
    """The integral of the density over [0, 1], by Gauss-Legendre."""
    import jax

    from lossjax import LOSSES
    from lossjax.certificates.probe import Probe

    nodes, weights = np.polynomial.legendre.leggauss(200)
    x = (nodes + 1) / 2
    logits, grid = np.meshgrid(LOGITS, x, indexing="ij")
    with jax.enable_x64(True):
        value = Probe(LOSSES["continuous_bernoulli"])(logits, grid)[0]
    return pd.DataFrame({"z": LOGITS, "integral": np.exp(-value) @ weights / 2})


def fits(task: Task) -> pd.DataFrame:
    """What the loss makes of a target: the best logit, its value, that of z(y)."""
    import jax
    import jax.numpy as jnp

    from lossjax import LOSSES
    from lossjax.certificates.probe import Probe

    y = np.array([row[0] for row in FITTED] + [BLACK])
    loss = LOSSES["continuous_bernoulli"]
    with jax.enable_x64(True):
        probe = Probe(loss)
        # The search of a black pixel's logit needs a wider grid than the probe's.
        best = np.array([*probe.minimum(y[:-1]), _logit_of_mean(probe, y[-1])])
        naive = np.log(y) - np.log1p(-y)
        clipped = np.full_like(y, math.log(CLIP) - math.log1p(-CLIP))
        floor = loss.floor(jnp.asarray(y).reshape(-1, 1, 1, 1))
        return pd.DataFrame(
            {
                "y": y,
                "z": best,
                "lambda": 1 / (1 + np.exp(-best)),
                "least": probe(best, y)[0],
                "floor": np.asarray(floor),
                "at_sigmoid": probe(naive, y)[0],
                "clipped": probe(clipped, y)[0],
                # The loss's curvature in z is the variance of the law.
                "deviation": np.sqrt(probe(best, y)[2]),
            }
        )


def _logit_of_mean(probe: Any, y: float) -> float:
    """Root of the gradient, by bisection."""
    from lossjax.certificates.probe import bisect

    ends = np.array([-2000.0]), np.array([0.0])
    return float(bisect(lambda z: probe(z, np.full_like(z, y))[1], *ends)[0])


STEPS = {"law": law, "densities": densities, "integrals": integrals, "fits": fits}


def conclude(record: Record) -> Conclusion:
    """Every value of the table and the reproduced one."""
    of = record.tables["law"].set_index("lambda")
    fit = record.tables["fits"].set_index("y")
    area = record.tables["integrals"]
    worst = float((area["integral"] - 1).abs().max())
    findings = []
    for lam, log_c, mean in LAW:
        at = of.loc[lam]
        for what, value, ours in (
            (f"log C({lam:g})", log_c, at["log_c"]),
            (f"mean of lambda = {lam:g}", mean, at["mean"]),
        ):
            published = Published(f"{value:.6f}", DIGITS, Tag.COMPUTED)
            findings.append(compared(what, published, ours, digits=10))
    for y, logit, floor, naive in FITTED:
        row = fit.loc[y]
        for kind, what, value, ours in (
            ("logit", f"logit whose mean is {y:g}", logit, row["z"]),
            ("floor", f"floor of y = {y:g}, nats", floor, row["floor"]),
            (
                "lambda_is_y",
                f"value where sigmoid(z) = y = {y:g}, nats",
                naive,
                row["at_sigmoid"],
            ),
        ):
            published = Published(f"{value:.6f}", DIGITS, Tag.COMPUTED)
            key = f"{kind}_{10 * y:.0f}_tenths"
            findings.append(compared(what, published, ours, digits=9, key=key))
    black = fit.loc[fit.index[np.isclose(fit.index, BLACK)][0]]
    findings += [
        agrees(
            f"densities integrate to 1, {len(area)} logits from -50 to 50", worst, 1e-6
        ),
        Finding(
            "least log C: the ELBO with C is above that without, everywhere",
            "log 2 = 0.693147, at lambda = 1/2",
            f"{of['log_c'].min():.6f} at {of['log_c'].idxmin():g}",
            abs(of["log_c"].min() - math.log(2)) < 1e-6,
        ),
        compared(
            "most that a black pixel (mean 1/512) can earn, nats",
            Published("5.2383", DIGITS, Tag.COMPUTED),
            -black["least"],
            digits=5,
        ),
        compared(
            "the same with lambda clipped at 1e-4, as the source does",
            Published("2.2024", DIGITS, Tag.COMPUTED),
            -black["clipped"],
            digits=5,
            reason="the clip costs a black pixel three nats; four of five MNIST pixels "
            "are black",
        ),
    ]
    what = "standard deviation of a pixel of mean 0.3"
    spread = float(fit.loc[0.3, "deviation"])
    findings += [
        measured(f"{what}, continuous Bernoulli", spread, key="spread"),
        measured(f"{what}, coin", math.sqrt(0.3 * 0.7), key="spread_coin"),
    ]
    table = pd.DataFrame(
        [
            {
                "lambda": f"{lam:g}",
                "log C": f"{of.loc[lam, 'log_c']:.9f}",
                "mean": f"{of.loc[lam, 'mean']:.9f}",
                "y": f"{y:g}",
                "logit of mean y": f"{fit.loc[y, 'z']:.8f}",
                "its lambda": f"{fit.loc[y, 'lambda']:.7g}",
                "floor (nats)": f"{fit.loc[y, 'floor']:.9f}",
            }
            for (lam, *_), (y, *_) in zip(LAW, FITTED, strict=True)
        ],
        dtype=object,
    )
    counts = {"worst_integral": float(f"{worst:.3g}")}
    return Conclusion(findings, table, [_draw(record)], counts)


def _draw(record: Record) -> Drawing:
    """Panels a to d, as the source has them."""
    figure = Figure(figsize=(7.2, 6.0), layout="constrained")
    (a, b), (c, d) = figure.subplots(2, 2)
    of = record.tables["law"]
    a.plot(of["lambda"], of["log_c"], color=COLOURS[0])
    a.set_ylim(math.log(2), 2.5)
    _name(a, "(a) normaliser", "λ", "log C(λ)")
    shades = style.COLOURS
    lines = record.tables["densities"]
    for place, lam in enumerate(LAMBDAS):
        line = lines[np.isclose(lines["lambda"], lam)]
        dash = "-" if place < len(shades) else "--"
        b.plot(
            line["x"], line["density"], dash, color=shades[place % 7], label=f"{lam:g}"
        )
    b.set_ylim(0, None)
    b.legend(title="λ", ncols=3, loc="upper center", fontsize=7.5, title_fontsize=8)
    _name(b, "(b) density", "x", "p(x | λ)")
    c.plot(of["lambda"], of["mean"], color=COLOURS[0], label="continuous Bernoulli")
    c.plot([0, 1], [0, 1], color=INK, linestyle="--", lw=1, label="Bernoulli")
    c.set_ylim(0, 1)
    c.legend(loc="upper left")
    _name(c, "(c) mean", "λ", "μ(λ)")
    x = np.linspace(0, 1, 401)
    for place, gamma in enumerate(GAMMAS):
        dash = "-" if place < len(shades) else "--"
        d.plot(x, warp(x, gamma), dash, color=shades[place % 7], label=f"{gamma:g}")
    d.legend(title="γ", loc="center left", bbox_to_anchor=(1, 0.5), fontsize=7.5)
    _name(d, "(d) warp of contrast", "x", "f_γ(x)")
    for axes in (a, b, c, d):
        axes.set_xlim(0, 1)
    return Drawing(
        figure,
        "Four panels of the continuous Bernoulli law: the log of its normaliser "
        "against lambda, least (log 2) at one half; its densities for nine lambdas; "
        "its mean against lambda, an S-curve across the Bernoulli diagonal; the warp "
        "of contrast for eleven gammas, from a step to a flat line.",
    )


def _name(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


STUDY = Study(
    conclude,
    steps=STEPS,
)
