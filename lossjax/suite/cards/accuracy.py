"""Tables of accuracy and speed: our losses beside those of other libraries.

Accuracy is the largest error of value and gradient over a grid of logits and targets in
float32, in units of what rounding z and y can change: eps (|L| + |z L_z| + |y L_y|).
The truth is 150 digits of mpmath. Libraries that are not installed are named as such.
"""

import importlib.metadata
import importlib.util
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
from rich.table import Table

from lossjax import resolve
from lossjax.suite.cards.closed_forms import CLOSED, exact_with_scales

EPS = 2.0**-23
_SIZES = 10.0 ** np.linspace(-4, 2, 13)
LOGITS = np.concatenate([-_SIZES[::-1], [0.0], _SIZES]).astype(np.float32)
TARGETS = np.array([0, 1 / 255, 0.1, 0.25, 0.5, 0.9, 1], dtype=np.float32)
Both = tuple[np.ndarray, np.ndarray]
Rival = Callable[[np.ndarray, np.ndarray], Both]


def ours(name: str) -> Rival:
    """Value and gradient of one of our losses, compiled."""
    loss = resolve(name)

    def pixels(z: jax.Array, y: jax.Array) -> jax.Array:
        return loss.fn(z.reshape(-1, 1, 1, 1), y.reshape(-1, 1, 1, 1))

    return _jax(pixels)


def _jax(values: Callable[[jax.Array, jax.Array], jax.Array]) -> Rival:
    def rival(z: np.ndarray, y: np.ndarray) -> Both:
        slope = jax.grad(lambda raw, target: jnp.sum(values(raw, target)))
        pair = jax.jit(lambda raw, target: (values(raw, target), slope(raw, target)))
        value, gradient = pair(jnp.asarray(z), jnp.asarray(y))
        return np.asarray(value), np.asarray(gradient)

    return rival


def _optax() -> dict[str, Rival]:
    import optax

    p = jax.nn.sigmoid
    return {
        "bce": _jax(optax.losses.sigmoid_binary_cross_entropy),
        "mse": _jax(lambda z, y: optax.losses.squared_error(p(z), y)),
        "huber": _jax(lambda z, y: optax.losses.huber_loss(p(z), y, delta=0.1)),
        "log_cosh": _jax(lambda z, y: optax.losses.log_cosh(p(z), y)),
        "mse_linear": _jax(optax.losses.squared_error),
    }


def _textbook() -> dict[str, Rival]:
    def bce(z: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.maximum(z, 0) - z * y + jnp.log1p(jnp.exp(-jnp.abs(z)))

    def divergence(z: jax.Array, y: jax.Array) -> jax.Array:
        return bce(z, y) - resolve("bce").least(y)

    def hypotenuse(z: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.hypot(jax.nn.sigmoid(z) - y, 1e-3) - 1e-3

    return {
        "bce": _jax(bce),
        "excess_bce": _jax(divergence),
        "charbonnier": _jax(hypotenuse),
    }


def _torch() -> dict[str, Rival]:
    import torch
    from torch.nn import functional

    def rival(values: Callable) -> Rival:
        def both(z: np.ndarray, y: np.ndarray) -> Both:
            raw = torch.tensor(z, requires_grad=True)
            value = values(raw, torch.tensor(y))
            value.sum().backward()
            return value.detach().numpy(), raw.grad.numpy()

        return both

    def bernoulli(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return -torch.distributions.ContinuousBernoulli(logits=z).log_prob(y)

    none: dict[str, Any] = {"reduction": "none"}
    p = torch.sigmoid
    return {
        "bce": rival(
            lambda z, y: functional.binary_cross_entropy_with_logits(z, y, **none)
        ),
        "mse": rival(lambda z, y: functional.mse_loss(p(z), y, **none)),
        "mae": rival(lambda z, y: functional.l1_loss(p(z), y, **none)),
        "huber": rival(lambda z, y: functional.huber_loss(p(z), y, delta=0.1, **none)),
        "poisson": rival(
            lambda z, y: functional.poisson_nll_loss(
                functional.logsigmoid(z), y, log_input=True, **none
            )
        ),
        "continuous_bernoulli": rival(bernoulli),
        "mse_linear": rival(lambda z, y: functional.mse_loss(z, y, **none)),
    }


def _probability() -> dict[str, Rival]:
    from tensorflow_probability.substrates import jax as tfp

    # Its import is lazy: here it fails where its release is older than this jax.
    law = tfp.distributions.ContinuousBernoulli

    def bernoulli(z: jax.Array, y: jax.Array) -> jax.Array:
        return -law(logits=z).log_prob(y)

    return {"continuous_bernoulli": _jax(bernoulli)}


# Column, package that must be there, its losses.
RIVALS: tuple[tuple[str, str, Callable[[], dict[str, Rival]]], ...] = (
    ("textbook", "jax", _textbook),
    ("optax", "optax", _optax),
    ("torch", "torch", _torch),
    ("tfp", "tensorflow_probability", _probability),
)
# Those that another library has too, and focal.
_ROWS = (
    *("bce", "excess_bce", "mse", "mae", "huber", "log_cosh", "charbonnier"),
    *("poisson", "focal", "mse_linear", "continuous_bernoulli"),
)


def accuracy_table() -> Table:
    """Largest error of value / gradient in units of rounding, ours and others'."""
    table = Table(
        title="Largest error of value / gradient, in units of rounding (up to 6 / 8 is "
        "the promise)",
        box=None,
    )
    columns: dict[str, dict[str, Rival]] = {}
    for label, package, build in RIVALS:
        if importlib.util.find_spec(package) is None:
            table.caption = f"{table.caption or ''} {label} is not installed."
            continue
        try:
            columns[label] = build()
        except (ImportError, AttributeError) as error:
            table.caption = f"{table.caption or ''} {label} does not import: {error}."
            continue
    table.add_column("loss")
    table.add_column("ours", justify="right")
    for label in columns:
        package = next(p for name, p, _ in RIVALS if name == label)
        version = importlib.metadata.version(package.replace("_", "-"))
        shown = label if label == "textbook" else f"{label} {version}"
        table.add_column(shown, justify="right")
    for name in _ROWS:
        cells = [_cell(name, ours(name))]
        cells += [
            _cell(name, each[name]) if name in each else "" for each in columns.values()
        ]
        table.add_row(name, *cells)
    return table


def _cell(name: str, rival: Rival) -> str:
    value, gradient = errors(name, rival)
    return f"{value:.2g} / {gradient:.2g}"


def errors(name: str, rival: Rival) -> tuple[float, float]:
    """Largest error of value and gradient of `rival`, in units of rounding."""
    z, y = (x.ravel() for x in np.meshgrid(LOGITS, TARGETS))
    with mp.workdps(150):
        truth = [
            exact_with_scales(CLOSED[name], float(a), float(b), round_one=True)
            for a, b in zip(z, y, strict=True)
        ]
    value, scale, slope, steep = np.array(truth).T
    found = rival(z, y)
    # Below the smallest normal number float32 has no relative precision.
    tiny = 1.2e-37
    off = (np.abs(np.float64(found[0]) - value) / (EPS * scale + tiny)).max()
    wrong = (np.abs(np.float64(found[1]) - slope) / (EPS * steep + tiny)).max()
    return float(off), float(wrong)


def speed_table(names: Sequence[str], rounds: int = 30) -> Table:
    """Time of value and gradient on a (128, 28, 28, 1) batch, relative to bce."""
    key, other = jax.random.split(jax.random.key(0))
    target = jnp.round(255 * jax.random.uniform(other, (128, 28, 28, 1))) / 255
    compiled = {}
    for name in dict.fromkeys(["bce", *names]):
        loss = resolve(name)
        raw = 3 * jax.random.normal(key, (128, 28, 28, loss.channels))

        def mean(raw: jax.Array, loss: object = loss) -> jax.Array:
            return jnp.mean(loss.fn(raw, target))  # type: ignore[attr-defined]

        start = time.perf_counter()
        program = jax.jit(jax.value_and_grad(mean)).lower(raw).compile()
        compiled[name] = (program, raw, time.perf_counter() - start)
        jax.block_until_ready(program(raw))
    best = dict.fromkeys(compiled, np.inf)
    # Rounds over all losses: a busy minute of the machine hits every one.
    for _ in range(rounds):
        for name, (program, raw, _seconds) in compiled.items():
            start = time.perf_counter()
            jax.block_until_ready(program(raw))
            best[name] = min(best[name], time.perf_counter() - start)
    device = jax.devices()[0]
    table = Table(
        title=f"Value and gradient, (128, 28, 28, 1) float32, {device.device_kind}, "
        f"best of {rounds}",
        box=None,
    )
    for heading in ("loss", "ms", "times bce", "compile s"):
        table.add_column(heading, justify="left" if heading == "loss" else "right")
    for name, (_, _, seconds) in compiled.items():
        ratio = best[name] / best["bce"]
        table.add_row(name, f"{1e3 * best[name]:.2f}", f"{ratio:.2f}", f"{seconds:.2f}")
    return table
