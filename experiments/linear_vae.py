"""How many codes does a linear VAE keep, at each scale of the noise?

A code unit whose posterior is the prior says nothing: it has collapsed. For a linear
decoder with Gaussian noise the optimum is known, probabilistic PCA, so every VAE can be
held against it.

Source: Lucas, Tucker, Grosse, Norouzi, Don't blame the ELBO! A linear VAE perspective
on posterior collapse, NeurIPS 32, 2019, arXiv 1911.02469: the ELBO of a linear VAE has
no local maxima that the likelihood of pPCA has not; its columns are the principal
directions, and a direction is kept if and only if its eigenvalue of the data's
covariance exceeds the variance of the noise. pPCA: Tipping and Bishop, Journal of the
Royal Statistical Society B 61(3), 1999.

Links:
https://arxiv.org/abs/1911.02469

Protocol: the 1,197 training images of the digits, 64 pixels, 32 codes. The oracle is
the eigenvalues l of their covariance, float64: a direction of l > v is kept, its unit's
mean has variance 1 - v / l over the images and costs log(l / v) / 2 nats. Exact: the
ELBO in closed form (the mean over all images and codes, nothing drawn), maximised by
L-BFGS from three random starts at each of eight variances v, with v learnt, and at the
variances that usual ways to write the loss stand for; a unit counts as kept where
its mean KL is above 1e-4 nats. Trained: the suite's own `vae(body="linear")` with
`mse_linear`, batches of 128, one draw of the code, Adam, 10,000 steps, four seeds;
units whose mean varies by more than 0.01 over the test images, beside the oracle's on
the same images.

The ways to write the loss: half the summed squared error plus KL is v = 1; the summed
squared error plus KL is v = 1/2; a mean over pixels plus KL is v = D / 2 = 32.

Deviations: the digits for MNIST, so that L-BFGS reaches the optimum; the variance of a
code is a linear function of the image in the suite's encoder, one number for all images
in the source's and in the exact one; the optimum is the same. The source's figures give
the share of collapsed units against a threshold and print no numbers: all values to
meet follow from the eigenvalues.

Predicted before any run: exact counts equal at every variance and start; with v learnt
no unit collapses, for v becomes the mean of the 32 discarded eigenvalues, below each of
the kept; a mean over pixels keeps none. The trained ones: within one unit of the
oracle, because directions whose eigenvalue is near v are slow; KL within 5 per cent
where the oracle's is above one nat. Read strictly, after the rows were seen: the whole
interval over seeds, not its centre, has to lie within.
"""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite.report.style import COLOURS, INK
from lossjax.suite.reproduce.configs import config
from lossjax.suite.reproduce.finding import (
    Finding,
    Published,
    Tag,
    agrees,
    compared,
    measured,
    shown,
)
from lossjax.suite.reproduce.study import Conclusion, Drawing, Record, Study, Task
from lossjax.suite.statistics import Interval, interval

PLAN = config("linear_vae")
PIXELS = 64
STARTS = (0, 1, 2)
KEPT = 1e-4  # nats of a unit: the smallest that the oracle keeps here costs more
ACTIVE = 0.01  # as the suite's active_units
WRITTEN = {1.0: "half the sum", 0.5: "the sum", PIXELS / 2: "the mean"}
LEARNT = "learnt"
TICKS = (0.01, 0.1, 1, 10)
ORACLE = "eigenvalues of the covariance"
SHORT = "four seeds, 10,000 steps of one draw: no optimum, or a wider interval"


def spectrum(task: Task) -> pd.DataFrame:
    """Every direction's eigenvalue, and its variance over the test images."""
    train, test = (
        np.asarray(split.images).reshape(-1, PIXELS) / 255
        for split in (task.data["digits"].train, task.data["digits"].test)
    )
    mean = train.mean(0)
    values, vectors = np.linalg.eigh((train - mean).T @ (train - mean) / len(train))
    along = ((test - test.mean(0)) @ vectors).var(0)
    return pd.DataFrame({"eigenvalue": values[::-1], "test": along[::-1]})


def exact(task: Task) -> pd.DataFrame:
    """The closed-form ELBO's maximum: KL of each unit, by variance and start."""
    import jax
    import jax.numpy as jnp
    from scipy.optimize import minimize

    images = np.asarray(task.data["digits"].train.images).reshape(-1, PIXELS) / 255
    centred = images - images.mean(0)
    lines = []
    with jax.enable_x64(True):
        covariance = jnp.asarray(centred.T @ centred / len(centred))

        def unpacked(flat: Any) -> tuple[Any, ...]:
            many = PIXELS * PLAN.CODES
            return (
                flat[:many].reshape(PIXELS, PLAN.CODES),
                flat[many : 2 * many].reshape(PLAN.CODES, PIXELS),
                flat[2 * many : 2 * many + PLAN.CODES],
                flat[-1],
            )

        def costs(encoder: Any, log_d: Any) -> Any:
            spread = jnp.einsum("ij,jk,ik->i", encoder, covariance, encoder)
            return (jnp.exp(log_d) + spread - 1 - log_d) / 2

        def negative(flat: Any, log_v: float, learnt: bool) -> Any:
            decoder, encoder, log_d, own = unpacked(flat)
            chosen = own if learnt else log_v
            left = jnp.eye(PIXELS) - decoder @ encoder
            error = jnp.trace(left @ covariance @ left.T)
            error += jnp.sum(jnp.exp(log_d) * jnp.sum(decoder**2, axis=0))
            nats = error / jnp.exp(chosen) + PIXELS * (chosen + math.log(2 * math.pi))
            return nats / 2 + jnp.sum(costs(encoder, log_d))

        slope = jax.jit(jax.value_and_grad(negative), static_argnums=2)
        variances: list[float | str] = [*PLAN.VARIANCES, *WRITTEN, LEARNT]
        for variance in dict.fromkeys(variances):
            learnt = variance == LEARNT
            log_v = math.log(0.1 if learnt else float(variance))
            for start in STARTS[:1] if task.quick else STARTS:
                random = np.random.RandomState(start)
                count = 2 * PIXELS * PLAN.CODES + PLAN.CODES + 1
                first = 0.1 * random.standard_normal(count)
                first[-1] = log_v
                found = minimize(
                    lambda x, v=log_v, own=learnt: slope(x, v, own),
                    first,
                    jac=True,
                    method="L-BFGS-B",
                    options={
                        "maxiter": 50 if task.quick else 20_000,
                        "maxfun": 50_000,
                        "ftol": 1e-15,
                        "gtol": 1e-9,
                        "maxcor": 30,
                    },
                )
                _, encoder, log_d, own = unpacked(found.x)
                units = np.sort(np.asarray(costs(encoder, log_d)))[::-1]
                for unit, cost in enumerate(units):
                    lines.append(
                        {
                            "variance": str(variance),
                            "start": start,
                            "unit": unit,
                            "kl": float(cost),
                            "elbo": -float(found.fun),
                            "learnt": math.exp(own) if learnt else math.nan,
                        }
                    )
    return pd.DataFrame(lines)


STEPS = {"spectrum": spectrum, "exact": exact}


def kept(values: np.ndarray, variance: float) -> np.ndarray:
    """Eigenvalues of the directions that pPCA keeps, largest first."""
    return values[: PLAN.CODES][values[: PLAN.CODES] > variance]


def likelihood(values: np.ndarray, variance: float) -> float:
    """Mean log-likelihood of pPCA at its optimum, nats per image."""
    model = np.full(PIXELS, variance)
    own = kept(values, variance)
    model[: len(own)] = own
    nats = PIXELS * math.log(2 * math.pi) + np.log(model).sum() + (values / model).sum()
    return -float(nats) / 2


def active(spectrum: pd.DataFrame, variance: float) -> int:
    """Units of the oracle whose mean varies by more than 0.01 over the test images."""
    own = len(kept(spectrum["eigenvalue"].to_numpy(), variance))
    values, test = (spectrum[name].to_numpy()[:own] for name in ("eigenvalue", "test"))
    return int(np.count_nonzero((values - variance) / values**2 * test > ACTIVE))


def conclude(record: Record) -> Conclusion:
    """Units kept at each variance: oracle, closed form, trained."""
    lines = record.tables["spectrum"]
    values = lines["eigenvalue"].to_numpy()
    table = record.tables["exact"]
    learnt = float(values[PLAN.CODES :].mean())
    rows, wrong, gap, cost_gap = [], [], 0.0, 0.0
    trained: dict[float, Interval] = {}
    findings: list[Finding] = []
    for name, own in table.groupby("variance", sort=False):
        variance = learnt if name == LEARNT else float(str(name))
        expected = kept(values, variance)
        counts = own[own["kl"] > KEPT].groupby("start").size()
        found = counts.reindex(own["start"].unique(), fill_value=0)
        wrong += [str(name) for n in found if n != len(expected)]
        best = likelihood(values, variance)
        gap = max(gap, float((own["elbo"] - best).abs().max()))
        code = 0.5 * float(np.log(expected / variance).sum())
        total = own.groupby("start")["kl"].sum()
        cost_gap = max(cost_gap, float((total - code).abs().max()))
        row = {
            "variance of the noise": f"{variance:.4g}"
            + (" (learnt)" if name == LEARNT else ""),
            "written as": WRITTEN.get(variance, ""),
            "eigenvalues above": str(len(expected)),
            "kept, closed form": ", ".join(str(n) for n in sorted(set(found))),
            "KL of pPCA, nats": f"{code:.2f}",
        }
        if variance in PLAN.VARIANCES:
            trial = record.trial("noise", PLAN.model(variance))
            units = interval(trial.columns["test_active_units"]["mse_linear"].values)
            nats = interval(trial.columns["test_kl"]["mse_linear"].values)
            trained[variance] = units
            row |= {
                "active, oracle": str(active(lines, variance)),
                "active, trained": shown(units),
                "KL, trained": shown(nats),
            }
            findings.append(_near(variance, units, active(lines, variance)))
            if code > 1:
                findings.append(_cost(variance, nats, code))
        rows.append(row)
    tries = len(table.groupby(["variance", "start"]))
    found_v = float(table[table["variance"] == LEARNT]["learnt"].mean())
    mean = table[table["variance"] == str(PIXELS / 2)]
    findings = [
        Finding(
            "closed form: units kept = eigenvalues above the variance",
            f"{tries} of {tries} optima",
            str(tries - len(wrong)),
            not wrong,
            f"not at {', '.join(dict.fromkeys(wrong))}" if wrong else "",
            key="exact_counts",
        ),
        agrees(
            "closed form: largest ELBO is the likelihood of pPCA", gap, 1e-4, "nats"
        ),
        agrees("closed form: KL of all units is pPCA's", cost_gap, 1e-2, "nats"),
        compared(
            "learnt variance of the noise: the mean discarded eigenvalue",
            Published(f"{learnt:.6f}", ORACLE, Tag.COMPUTED),
            found_v,
            digits=5,
            key="learnt",
        ),
        Finding(
            "units kept by a mean over pixels plus KL",
            "0: a variance of D / 2 exceeds every eigenvalue",
            str(int((mean["kl"] > KEPT).sum())),
            not (mean["kl"] > KEPT).any(),
            key="mean_keeps",
        ),
        *findings,
        measured("largest eigenvalue of the digits", values[0], key="largest"),
        measured("sum of all eigenvalues", float(values.sum()), key="total"),
    ]
    counts = {
        "largest": float(f"{values[0]:.9g}"),
        "kept": {f"{v:g}": len(kept(values, v)) for v in PLAN.VARIANCES},
    }
    shown_rows = pd.DataFrame(rows, dtype=object).fillna("")
    drawing = _draw(lines, table, trained)
    return Conclusion(findings, shown_rows, [drawing], counts)


def _near(variance: float, units: Interval, oracle: int) -> Finding:
    near = oracle - 1 <= units.low and units.high <= oracle + 1
    return Finding(
        f"trained at variance {variance:g}: active units",
        f"{oracle} within 1",
        shown(units),
        near,
        "" if near else SHORT,
        number=units,
    )


def _cost(variance: float, nats: Interval, code: float) -> Finding:
    near = 0.95 * code <= nats.low and nats.high <= 1.05 * code
    return Finding(
        f"trained at variance {variance:g}: KL, nats",
        f"{code:.2f} within 5 %",
        shown(nats),
        near,
        "" if near else SHORT,
        number=nats,
    )


def _draw(
    lines: pd.DataFrame, table: pd.DataFrame, trained: dict[float, Interval]
) -> Drawing:
    """Units kept against the variance: a staircase, and what was found."""
    values = lines["eigenvalue"].to_numpy()
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    grid = np.geomspace(2e-3, 50, 2000)
    steps = [len(kept(values, v)) for v in grid]
    axes.plot(grid, steps, color=INK, lw=1, label="eigenvalues above the variance")
    exact_rows = table[table["variance"] != LEARNT]
    at = exact_rows[exact_rows["kl"] > KEPT].groupby(["variance", "start"]).size()
    tries = exact_rows.groupby(["variance", "start"]).size().index
    found = at.reindex(tries, fill_value=0)
    axes.plot(
        [float(v) for v, _ in tries],
        found.to_numpy(),
        "o",
        color=COLOURS[0],
        markerfacecolor="none",
        ms=8,
        label="closed form",
    )
    axes.plot(
        list(trained),
        [own.center for own in trained.values()],
        "x",
        color=COLOURS[1],
        label="trained VAE, active units",
    )
    for variance, words in WRITTEN.items():
        axes.axvline(variance, color=COLOURS[2], lw=0.9, linestyle=":")
        axes.annotate(
            f"{words} + KL",
            (variance, PLAN.CODES),
            (-3, 0),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top",
            fontsize=8,
        )
    axes.set_xscale("log")
    axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axes.minorticks_off()
    axes.set_xlabel("variance of the observation noise")
    axes.set_ylabel(f"units kept, of {PLAN.CODES}")
    axes.legend(loc="lower left")
    words = ", ".join(f"{v:g}: {own.center:.3g}" for v, own in trained.items())
    return Drawing(
        figure,
        "Units that a linear VAE of the digits keeps against the variance of the "
        "noise: a falling staircase, the number of eigenvalues above it; optima of the "
        f"closed form lie on it. Trained, by variance: {words}.",
    )


STUDY = Study(
    conclude,
    config="linear_vae",
    columns=("test_active_units", "test_kl"),
    steps=STEPS,
    needs=("digits",),
)
