"""Does weighing the Gaussian likelihood by its own variance mend a VAE's pictures?

A Gaussian with a variance for every pixel pulls at a mean by residual / variance. A
pixel that is fitted badly gets a large variance, and so a small pull: it stays badly
fitted. Beta-NLL multiplies the gradient of each pixel by its variance to the power
beta; at beta = 0 nothing changes, at beta = 1 the mean learns as by squared error.

Source: Seitzer, Tavakoli, Antic and Martius, On the pitfalls of heteroscedastic
uncertainty estimation with probabilistic neural networks, ICLR 2022, arXiv 2203.09168,
and its released code: a sinusoid that the likelihood leaves unfitted, and VAEs of MNIST
and Fashion-MNIST. The abstract says of its tasks that beta-NLL "achieves considerable
improvements", "both in predictive RMSE and log-likelihood criteria". The numbers of its
tables were not read; none is quoted.

Links:
https://arxiv.org/abs/2203.09168
https://github.com/martius-lab/beta-nll

Protocol: three parts. (1) Exact, no training: the pull of the compiled loss at the mean
of a pixel whose sigma equals its residual r, for r from 0.01 to 0.4; its power of r is
2 beta - 1. (2) The source's sinusoid, 0.4 sin(2 pi x) with noise of 0.01, 1,000 points;
a network 1-64-64, tanh, Adam at 0.0005, batches of 100, 10,000 updates, 3 seeds; the
error is that of the mean against the sinusoid without noise. (3) VAEs, 784-128-10 and
back, of MNIST cut to 7,000 images, 300 steps of 128; each of 3 seeds chooses its rate
of 0.003, 0.01 and 0.03 by the validation value of its own loss: for a likelihood
minus the ELBO, which beta does not change. Four losses: `gaussian` (sigma = 1: half the
squared error), `gaussian_pixel` (beta = 0), `beta_nll` at 0.5 and 1. Ratios and
differences are paired by seed.

Deviations: (2) the source's x goes to 12 and it trains up to 10 million updates of
128-128; range, width and updates were chosen with squared error alone, so that it fits
the sinusoid below its noise. The mean is a sigmoid of a sinusoid moved to 0.5, the
source's is linear. (3) The source's networks are 784-512-256-128-10, their rate is
0.0003, their batches 250, and they train until the validation likelihood has not
improved for some time, up to 1,000 epochs; Fashion-MNIST is left out. Its variance
starts at 1 and is at least 1e-8; here sigma starts at 0.14 and is at least half a grey
level. It reports the likelihood of a mixture of 20 draws of the code; here bits per
dimension are those of the ELBO, KL included. The value of `beta_nll` is the likelihood
itself, without the weight: the gradient is the source's, and no function has that
gradient.

Predicted before any of these runs. (2) After 10,000 updates beta = 0 leaves at least
twice the error of beta = 1; 0.5 leaves less than 0; beta = 1 leaves at most 1.5 times
what squared error does. (3) The squared error of test images is lower at 0.5 than at
0, as the source says of its tasks; bits per dimension are lower at 0 than at 0.5,
against what it says, because the likelihood is what beta = 0 trains and most pixels are
black; KL falls from 0 to 0.5 to 1, because beta weakens every pull against the same
prior; beta = 1 is the unit Gaussian with a variance that nobody reads, KL within 10 %
and squared error within 5 % of it; the squared error at 0.5 is below that of the unit
Gaussian, whose code says too little.

Changed after the first reading: ratios of the sinusoid are judged seed by seed and no
longer by their mean, whose interval went below 0: one seed of beta = 1 lagged. Read
with care: beta = 0 and 0.5 chose the lowest rate of the grid on every seed, and the
unit Gaussian on two, so a lower one may be better; 300 steps are few. Bits per
dimension were predicted wrongly: there the source is right. So was beta = 1 as a unit
Gaussian: its mean has that gradient, but other rates were chosen, and its layers learn
a variance, too.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lossjax.suite.report.style import COLOURS, INK
from lossjax.suite.reproduce.configs import config
from lossjax.suite.reproduce.finding import (
    Finding,
    agrees,
    cannot,
    halved,
    measured,
    shown,
)
from lossjax.suite.reproduce.study import (
    Conclusion,
    Drawing,
    Record,
    Study,
    Task,
    Trial,
)
from lossjax.suite.statistics import Interval, interval

PLAN = config("beta_nll")
UNIT, NLL, HALF, ONE = PLAN.LOSSES
BETAS: Mapping[str, float] = {NLL: 0.0, HALF: 0.5, ONE: 1.0}
WORDS: Mapping[str, str] = {
    UNIT: "unit",
    NLL: "beta = 0",
    HALF: "beta = 0.5",
    ONE: "beta = 1",
}
# Colours of their own: in a report the Gaussians share one.
MARKS = dict(zip(PLAN.LOSSES, zip(COLOURS, "osv^", strict=False), strict=True))
COLUMNS = tuple(
    f"test_{name}"
    for name in (
        "mse",
        "bits_per_dim",
        "bits_gaussian",
        "kl",
        "active_units",
        "implied_sigma",
        "sharpness_error",
    )
)
RESIDUALS = np.geomspace(0.01, 0.4, 17)
NOISE, AMPLITUDE, RANGE, POINTS = 0.01, 0.4, 2.0, 1000
WIDTH, RATE, BATCH, UPDATES, SEEDS, READ = 64, 5e-4, 100, 10_000, 3, 20
FIT = 5  # of the fit every fifth point is kept
ERROR, MEAN = "error", "mean"


def pulls(task: Task) -> pd.DataFrame:
    """Pull at the mean of a pixel whose sigma is its residual, by beta."""
    import jax
    import jax.numpy as jnp

    from lossjax import resolve
    from lossjax.losses.likelihoods import LOG_LEAST

    lines = []
    with jax.enable_x64(True):
        first = np.log(0.5 + RESIDUALS) - np.log(0.5 - RESIDUALS)
        # The raw output whose softly bounded log scale is the log of the residual.
        second = LOG_LEAST + np.log(np.expm1(np.log(RESIDUALS) - LOG_LEAST))
        raw = jnp.asarray(np.stack([first, second], 1).reshape(-1, 1, 1, 2))
        grey = jnp.full((len(RESIDUALS), 1, 1, 1), 0.5)
        steep = (0.5 + RESIDUALS) * (0.5 - RESIDUALS)
        for name in BETAS:
            loss = resolve(name)
            slope = jax.grad(lambda r, loss=loss: jnp.sum(loss.fn(r, grey)))(raw)
            pull = np.asarray(slope)[:, 0, 0, 0] / steep
            lines += [(name, *pair) for pair in zip(RESIDUALS, pull, strict=True)]
    return pd.DataFrame(lines, columns=["loss", "residual", "pull"])


def sinusoid(task: Task) -> pd.DataFrame:
    """Error of the mean along the training, and the first seed's last mean."""
    import jax

    key = jax.random.key(0)
    updates, seeds = (200, 1) if task.quick else (UPDATES, SEEDS)
    lines: list[tuple[str, int, str, float, float]] = []
    for name in PLAN.LOSSES:
        errors, means = jax.jit(
            jax.vmap(lambda one, name=name: _regressed(name, updates, one))
        )(jax.random.split(key, seeds))
        steps = updates // READ * np.arange(1, READ + 1)
        for seed, own in enumerate(np.asarray(errors)):
            pairs = zip(steps.tolist(), own.tolist(), strict=True)
            lines += [(name, seed, ERROR, *pair) for pair in pairs]
        grid = np.linspace(0, RANGE, POINTS)
        fit = np.asarray(means)[0, ::FIT].tolist()
        pairs = zip(grid[::FIT].tolist(), fit, strict=True)
        lines += [(name, 0, MEAN, *pair) for pair in pairs]
    return pd.DataFrame(lines, columns=["loss", "seed", "what", "at", "value"])


def _regressed(name: str, updates: int, key: Any) -> tuple[Any, Any]:
    """Root mean squared errors of a network's mean, (READ,), and its last (POINTS,)."""
    import jax
    import jax.numpy as jnp
    import optax

    from lossjax import resolve

    loss = resolve(name)
    noise_key, weight_key, batch_key = jax.random.split(key, 3)
    x = jnp.linspace(0, RANGE, POINTS)
    truth = 0.5 + AMPLITUDE * jnp.sin(2 * jnp.pi * x)
    seen = truth + NOISE * jax.random.normal(noise_key, (POINTS,))
    sizes = (1, WIDTH, WIDTH, loss.channels)

    def layer(key: Any, before: int, after: int) -> tuple[Any, Any]:
        # Glorot's uniform weights and torch's biases, as the source's code has them.
        kernel_key, bias_key = jax.random.split(key)
        limit = (6 / (before + after)) ** 0.5
        kernel = jax.random.uniform(
            kernel_key, (before, after), minval=-limit, maxval=limit
        )
        bias = jax.random.uniform(bias_key, (after,), minval=-1, maxval=1)
        return kernel, bias / before**0.5

    def raw(weights: Any, x: Any) -> Any:
        *hidden, (kernel, bias) = weights
        code = x[:, None]
        for inner, shift in hidden:
            code = jnp.tanh(code @ inner + shift)
        return (code @ kernel + bias).reshape(len(x), 1, 1, -1)

    def score(weights: Any, places: Any) -> Any:
        target = seen[places].reshape(-1, 1, 1, 1)
        return jnp.mean(loss.fn(raw(weights, x[places]), target))

    def mean(weights: Any) -> Any:
        return loss.read_out(raw(weights, x))[:, 0, 0, 0]

    adam = optax.adam(RATE)

    def update(state: Any, key: Any) -> tuple[Any, None]:
        weights, moments = state
        places = jax.random.randint(key, (BATCH,), 0, POINTS)
        change, moments = adam.update(jax.grad(score)(weights, places), moments)
        return (optax.apply_updates(weights, change), moments), None

    def stretch(state: Any, key: Any) -> tuple[Any, Any]:
        state, _ = jax.lax.scan(update, state, jax.random.split(key, updates // READ))
        return state, jnp.sqrt(jnp.mean((mean(state[0]) - truth) ** 2))

    layers = zip(jax.random.split(weight_key, 3), sizes[:-1], sizes[1:], strict=True)
    weights = [layer(*each) for each in layers]
    state, errors = jax.lax.scan(
        stretch, (weights, adam.init(weights)), jax.random.split(batch_key, READ)
    )
    return errors, mean(state[0])


STEPS = {"pulls": pulls, "sinusoid": sinusoid}


def conclude(record: Record) -> Conclusion:
    """The exact powers, the sinusoid, and the VAEs."""
    errors = last_errors(record.tables["sinusoid"])
    findings = [*_exact(record.tables["pulls"]), *_fitted(errors)]
    counts: dict[str, Any] = {
        "sinusoid": {name: float(own.mean()) for name, own in errors.items()}
    }
    trial = record.trial("mnist")
    counts |= {
        column: {loss: trial.mean(loss, column).center for loss in PLAN.LOSSES}
        for column in COLUMNS
    }
    findings += _pictured(trial)
    findings.append(
        cannot(
            "the source's own table of VAEs",
            "RMSE and log-likelihood of larger networks, up to 1,000 epochs",
            "its numbers were not read; see the deviations",
        )
    )
    lines = [_line(trial, loss) for loss in PLAN.LOSSES]
    drawing = _draw(record.tables["sinusoid"], trial)
    return Conclusion(findings, pd.DataFrame(lines, dtype=object), [drawing], counts)


def last_errors(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """(seeds,) errors after the last update, by loss."""
    own = table[(table["what"] == ERROR)]
    last = own[own["at"] == own["at"].max()]
    return {name: last[last["loss"] == name]["value"].to_numpy() for name in WORDS}


def _exact(table: pd.DataFrame) -> list[Finding]:
    """The power of the residual by which a mean is pulled."""
    findings = []
    for name, beta in BETAS.items():
        own = table[table["loss"] == name]
        logs = np.log(own["residual"].to_numpy()), np.log(own["pull"].to_numpy())
        off = np.abs(logs[1] - (2 * beta - 1) * logs[0]).max()
        findings.append(
            agrees(
                f"{WORDS[name]}: pull at a pixel whose sigma is its residual r, "
                f"against r^{2 * beta - 1:g}",
                float(off),
                1e-9,
                "of its logarithm",
                key=f"power_{beta:g}",
            )
        )
    return findings


def _fitted(errors: Mapping[str, np.ndarray]) -> list[Finding]:
    """The sinusoid: what was predicted must hold on every seed."""
    after = f"sinusoid, error after {UPDATES:,} updates"

    def late(*names: str) -> str:
        lost = int((errors[ONE] > 2 * np.median(errors[ONE])).sum())
        told = ONE in names and lost
        return f"{lost} of {len(errors[ONE])} seeds of beta = 1 lag" if told else ""

    def every(what: str, one: str, other: str, holds: Any, key: str) -> Finding:
        ratios = errors[one] / errors[other]
        words, judged = holds
        return Finding(
            f"{after}: {WORDS[one]} over {what}",
            f"{words}, on every seed",
            ", ".join(f"{ratio:.3g}" for ratio in ratios),
            bool(judged(ratios).all()),
            late(one, other),
            key=key,
        )

    return [
        every("beta = 1", NLL, ONE, ("at least 2", lambda r: r >= 2), "sinusoid_lost"),
        every("beta = 0", HALF, NLL, ("below 1", lambda r: r < 1), "sinusoid_half"),
        every(
            "squared error",
            ONE,
            UNIT,
            ("at most 1.5", lambda r: r <= 1.5),
            "sinusoid_one",
        ),
        *(
            measured(
                f"{after}: {WORDS[name]}, beside noise of {NOISE:g}",
                interval(errors[name]),
                key=f"sinusoid_{place}",
            )
            for place, name in enumerate(PLAN.LOSSES)
        ),
    ]


def _pictured(trial: Trial) -> list[Finding]:
    """What was predicted of the VAEs; ratios and differences are paired by seed."""

    def ratio(column: str, one: str, other: str) -> Interval:
        arms = trial.columns[f"test_{column}"]
        return interval(arms[one].values / arms[other].values)

    def chosen(*losses: str) -> str:
        """What a rival reading of a difference would ask: the rates."""
        rates = [
            f"{WORDS[loss]} at " + "/".join(f"{rate:g}" for rate in trial.rates[loss])
            for loss in losses
        ]
        return "rates chosen by seed: " + ", ".join(rates)

    def below(
        what: str, own: Interval, limit: float, key: str, reason: str = ""
    ) -> Finding:
        return Finding(
            f"VAE: {what}",
            f"below {limit:g}, interval and all",
            shown(own),
            own.high < limit,
            reason,
            number=own,
            key=key,
        )

    def near(what: str, own: Interval, part: float, key: str) -> Finding:
        return Finding(
            f"VAE: {what}",
            f"1 within {part:g}, of the mean over seeds",
            shown(own),
            abs(own.center - 1) <= part,
            chosen(ONE, UNIT),
            number=own,
            key=key,
        )

    bits = trial.columns["test_bits_per_dim"]
    gained = interval(bits[NLL].values - bits[HALF].values)
    unit = "the unit Gaussian's"
    return [
        below(
            "squared error at beta = 0.5 over that at 0 (the source: below 1)",
            ratio("mse", HALF, NLL),
            1,
            "error",
        ),
        below(
            "bits per dimension at beta = 0 minus those at 0.5 (the source: above 0)",
            gained,
            0,
            "bits",
            chosen(NLL, HALF),
        ),
        below("KL at beta = 0.5 over that at 0", ratio("kl", HALF, NLL), 1, "kl_half"),
        below("KL at beta = 1 over that at 0.5", ratio("kl", ONE, HALF), 1, "kl_one"),
        near(f"KL at beta = 1 over {unit}", ratio("kl", ONE, UNIT), 0.1, "kl_unit"),
        near(
            f"squared error at beta = 1 over {unit}",
            ratio("mse", ONE, UNIT),
            0.05,
            "error_unit",
        ),
        below(
            f"squared error at beta = 0.5 over {unit}",
            ratio("mse", HALF, UNIT),
            1,
            "error_half",
        ),
    ]


_HEADS = {
    "mse": ("squared error", 4),
    "bits_per_dim": ("bits/dim, own law", 3),
    "bits_gaussian": ("bits/dim, calibrated Gaussian", 3),
    "kl": ("KL, nats", 2),
    "active_units": ("active units", 1),
    "implied_sigma": ("implied sigma", 3),
    "sharpness_error": ("sharpness error", 2),
}


def _line(trial: Trial, loss: str) -> dict[str, str]:
    line = {"loss": f"`{loss}`"}
    for column, (head, digits) in _HEADS.items():
        line[head] = halved(trial.mean(loss, f"test_{column}"), digits)
    rates = sorted(float(rate) for rate in trial.rates[loss])
    line["rates chosen"] = ", ".join(f"{rate:g}" for rate in rates)
    return line


def _draw(table: pd.DataFrame, trial: Trial) -> Drawing:
    """Fits and errors of the sinusoid; error and bits of the VAEs."""
    figure = Figure(figsize=(7.2, 5.0))
    boxes = [
        (0.1 + 0.5 * (k % 2), 0.69 - 0.44 * (k // 2), 0.38, 0.29) for k in range(4)
    ]
    fits, errors, error, bits = (figure.add_axes(box) for box in boxes)
    said = _draw_sinusoid(table, fits, errors)
    for axes, column, label in (
        (error, "mse", "VAE: squared error"),
        (bits, "bits_per_dim", "VAE: bits/dim, own law"),
    ):
        for place, loss in enumerate(PLAN.LOSSES):
            own, (colour, marker) = trial.mean(loss, f"test_{column}"), MARKS[loss]
            if np.isfinite(own.low):
                axes.plot([place, place], [own.low, own.high], color=colour)
            axes.plot(place, own.center, marker, color=colour)
            said.append(f"{WORDS[loss]}: {label} {own.center:.3g}")
        ticks = [words.removeprefix("beta = ") for words in WORDS.values()]
        axes.set_xticks(range(len(WORDS)), ticks)
        axes.set_xlabel("beta")
        axes.set_xlim(-0.6, len(WORDS) - 0.4)
        axes.grid(axis="x", visible=False)
        axes.set_ylabel(label)
    for loss in PLAN.LOSSES:
        colour, marker = MARKS[loss]
        label = f"{loss}: {WORDS[loss]}"
        fits.plot([], [], marker=marker, color=colour, label=label)
    figure.legend(loc="lower center", ncols=2)
    return Drawing(
        figure,
        "Above: a sinusoid as four losses fit it, and their error along the training. "
        "Below: squared error and bits per dimension of VAEs. " + "; ".join(said) + ".",
    )


def _draw_sinusoid(table: pd.DataFrame, fits: Axes, errors: Axes) -> list[str]:
    said = []
    grid = np.linspace(0, RANGE, 401)
    fits.plot(grid, 0.5 + AMPLITUDE * np.sin(2 * np.pi * grid), color=INK, lw=0.8)
    for loss in PLAN.LOSSES:
        own, (colour, marker) = table[table["loss"] == loss], MARKS[loss]
        mean = own[own["what"] == MEAN]
        fits.plot(mean["at"], mean["value"], color=colour)
        path = own[own["what"] == ERROR].groupby("at")["value"].mean()
        errors.plot(path.index, path, color=colour, marker=marker, ms=3)
        said.append(f"{WORDS[loss]}: error {path.iloc[-1]:.3g} at the end")
    errors.axhline(NOISE, color=INK, lw=0.8, linestyle=":")
    errors.set_yscale("log")
    errors.set_yticks((0.01, 0.1), ("0.01", "0.1"))
    errors.minorticks_off()
    errors.set_xlabel("updates; dotted: the noise")
    errors.set_ylabel("error of the mean")
    fits.set_xlabel("x, one seed")
    fits.set_ylabel("mean")
    return said


STUDY = Study(
    conclude,
    config="beta_nll",
    columns=COLUMNS,
    steps=STEPS,
    needs=("mnist",),
)
