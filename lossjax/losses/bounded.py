"""Likelihoods of other shapes: Beta density, and laws on the 256 grey levels."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.losses.bernoulli import divergence
from lossjax.losses.claims import NONE, WHOLE_LAW, Claims
from lossjax.losses.likelihoods import softly_above
from lossjax.losses.links import residual, sigmoid, slope, softplus, with_derivative
from lossjax.losses.loss import logit, row

LEVELS = 256
# Half the distance between two grey levels.
_HALF = 1 / 510
_LOG_NARROW = float(np.log(1 / 5100))
_LOG_FLAT, _LOG_SHARP = float(np.log(0.1)), float(np.log(1e4))
_HALF_LOG_2PI = float(np.log(2 * np.pi) / 2)


def _stirling_rest(x: jax.Array, log_x: jax.Array) -> jax.Array:
    """lgamma(x) - (x - 1/2) log x + x - log(2 pi) / 2, small where x is large."""
    small = x < 8
    far = 1 / jnp.where(small, 8, x)
    series = far * (1 / 12 - far**2 * (1 / 360 - far**2 / 1260))
    # lgamma(x) = lgamma(x + 1) - log x, and log x is known where x underflows.
    near = jnp.where(small, x, 1)
    # near * log_x is 0 where near underflows; unbounded, its cotangent would overflow.
    product = near * jnp.maximum(log_x, -200) + log_x / 2
    direct = jax.lax.lgamma(near + 1) - product + near - _HALF_LOG_2PI
    return jnp.where(small, direct, series)


def _log_precision(second: jax.Array) -> jax.Array:
    return _LOG_SHARP - softplus(_LOG_SHARP - softly_above(second, _LOG_FLAT))


def _pull_of_mean(raw: jax.Array, target: jax.Array) -> jax.Array:
    return slope(raw) * (raw - (jnp.log(target) - jnp.log1p(-target)))


@with_derivative(_pull_of_mean)
def _mean_divergence(raw: jax.Array, target: jax.Array) -> jax.Array:
    """KL(m, target) of two Bernoulli laws for m = sigmoid(raw), target inside (0, 1).

    Its derivative is written out: that of m log m by its parts divides by m squared.
    """
    r = -residual(raw, target)
    return divergence(r, sigmoid(raw), jnp.log(target), jnp.log1p(-target))


def beta_density(raw: jax.Array, target: jax.Array) -> jax.Array:
    """Beta law with mean sigmoid(raw[0]) and precision from raw[1]."""
    t = (255 * target + 0.5) / 256
    log_f = _log_precision(raw[1])
    f = jnp.exp(log_f)
    log_m, log_n = -softplus(-raw[0]), -softplus(raw[0])
    m, n = sigmoid(raw[0]), sigmoid(-raw[0])
    # Stirling's main terms make f KL(m, t): differences of lgamma near f log f would
    # leave no digits at large precision.
    main = f * _mean_divergence(raw[0], t)
    rest = (
        _stirling_rest(m * f, log_m + log_f)
        + _stirling_rest(n * f, log_n + log_f)
        - _stirling_rest(f, log_f)
    )
    spread = _HALF_LOG_2PI - (log_m + log_n + log_f) / 2
    return main + rest + spread + jnp.log(t) + jnp.log1p(-t)


@jax.custom_jvp
def _scaled(x: jax.Array, log_scale: jax.Array) -> jax.Array:
    return x * jnp.exp(-log_scale)


@_scaled.defjvp
def _scaled_jvp(primals: Any, tangents: Any) -> Any:
    value = _scaled(*primals)
    # Where the value overflows its scale has no slope left: not inf * 0.
    held = jnp.clip(value, -1e38, 1e38)
    return value, jnp.exp(-primals[1]) * tangents[0] - held * tangents[1]


def _log1mexp(log_w: jax.Array) -> jax.Array:
    """log(1 - exp(-w)) from log w; w itself may underflow."""
    w = jnp.exp(log_w)
    small = w < 1e-3
    closed = jnp.log(-jnp.expm1(-jnp.where(small, 1, w)))
    return jnp.where(small, log_w - w / 2 + w * w / 24, closed)


def discretized_logistic(raw: jax.Array, target: jax.Array) -> jax.Array:
    """Logistic law around raw[0] with log scale raw[1], summed over a grey level."""
    log_scale = softly_above(raw[1], _LOG_NARROW)
    level = jnp.round(255 * target)
    below = softplus(-_scaled(level / 255 + _HALF - raw[0], log_scale))
    above = softplus(_scaled(level / 255 - _HALF - raw[0], log_scale))
    # F(u) - F(l) = F(u) F(-l) (1 - exp(l - u)): no difference of two numbers near 1.
    inside = below + above - _log1mexp(float(np.log(2 * _HALF)) - log_scale)
    return jnp.where(level == 0, below, jnp.where(level == 255, above, inside))


def categorical(raw: jax.Array, target: jax.Array) -> jax.Array:
    """Softmax over the 256 grey levels; raw holds one block per level."""
    chosen = jnp.round(255 * target).astype(jnp.int32)
    levels = jnp.arange(LEVELS, dtype=jnp.int32).reshape(-1, 1, 1, 1, 1)
    picked = jnp.sum(jnp.where(levels == chosen[None], raw, 0), axis=0)
    peak = jax.lax.stop_gradient(jnp.max(raw, axis=0))
    total = jnp.sum(jnp.exp(raw - peak[None]), axis=0)
    return jnp.log(total) + (peak - picked)


def _beta_mean(raw: jax.Array) -> jax.Array:
    return sigmoid(raw[0])


def _logistic_mean(raw: jax.Array) -> jax.Array:
    """Mean level of the law: 1 minus the mean of its distribution function."""
    sharp = jnp.exp(-softly_above(raw[1], _LOG_NARROW))

    def add(k: int, total: jax.Array) -> jax.Array:
        edge = (k + 0.5) / 255
        return total + sigmoid((edge - raw[0]) * sharp)

    below = jax.lax.fori_loop(0, LEVELS - 1, add, jnp.zeros_like(raw[0]))
    return jnp.clip(1 - below / (LEVELS - 1), 0, 1)


def _categorical_mean(raw: jax.Array) -> jax.Array:
    levels = jnp.linspace(0, 1, LEVELS, dtype=raw.dtype).reshape(-1, 1, 1, 1, 1)
    return jnp.sum(jax.nn.softmax(raw, axis=0) * levels, axis=0)


def _beta_floor(target: jax.Array) -> jax.Array:
    """Value at the best mean and the largest precision, the infimum over raw."""
    sharpest = jnp.full_like(target, 200.0)

    def pull(z: jax.Array) -> jax.Array:
        total = lambda w: jnp.sum(beta_density(jnp.stack([w, sharpest]), target))  # noqa: E731
        return jax.grad(total)(z)

    def halve(_: int, ends: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = ends
        middle = (low + high) / 2
        below = pull(middle) < 0
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    bound = jnp.full_like(target, 30.0)
    low, high = jax.lax.fori_loop(0, 40, halve, (-bound, bound))
    return beta_density(jnp.stack([(low + high) / 2, sharpest]), target)


def _logistic_floor(target: jax.Array) -> jax.Array:
    level = jnp.round(255 * target)
    inside = -np.log(np.tanh(_HALF / 2 / np.exp(_LOG_NARROW)))
    return jnp.where((level == 0) | (level == 255), 0.0, float(inside))


def _begin_beta(mean: np.ndarray) -> np.ndarray:
    return np.stack([logit(mean), np.full_like(mean, 2.0)])


def _begin_logistic(mean: np.ndarray) -> np.ndarray:
    log_scale = -2.5
    sharp = np.exp(-(_LOG_NARROW + np.logaddexp(0, log_scale - _LOG_NARROW)))
    edges = (np.arange(LEVELS - 1) + 0.5)[:, None] / 255

    def read(location: np.ndarray) -> np.ndarray:
        return 1 - np.mean(1 / (1 + np.exp((location - edges) * sharp)), axis=0)

    return np.stack([_bisect(read, mean, 4.0), np.full_like(mean, log_scale)])


def _begin_categorical(mean: np.ndarray) -> np.ndarray:
    levels = np.linspace(0, 1, LEVELS)[:, None]

    def read(tilt: np.ndarray) -> np.ndarray:
        weight = np.exp(tilt * (levels - (tilt > 0)))
        return np.sum(weight * levels, axis=0) / np.sum(weight, axis=0)

    return _bisect(read, mean, 2000.0) * (levels - 0.5)


def _bisect(read: object, mean: np.ndarray, bound: float) -> np.ndarray:
    assert callable(read)
    low, high = np.full_like(mean, -bound), np.full_like(mean, bound)
    for _ in range(100):
        middle = (low + high) / 2
        below = read(middle) < mean
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


BETA_DENSITY = row(
    "beta_density",
    beta_density,
    link=_beta_mean,
    least=_beta_floor,
    begin=_begin_beta,
    channels=2,
    law="density",
    stretch=255 / 256,
    unit="nats",
    formula="-log Beta density at t = (255 y + 1/2)/256 of mean p and precision f",
    source="Ferrari, Cribari-Neto, Beta regression for modelling rates and "
    "proportions, Journal of Applied Statistics 31(7), 2004; targets moved inside, "
    "precision kept softly between 0.1 and 10,000.",
    claims=Claims(
        gradient="",
        floor="",
        elicits=NONE,
        minimiser="",
        curvature="",
        saturation="",
        convex="",
        domain="every raw; precision f between 0.1 and 10,000",
        use="Grey values whose spread shrinks towards black and white. Its mean is "
        "not the mean of the data but solves digamma(p f) - digamma((1-p) f) = mean "
        "logit t.",
    ),
)
DISCRETIZED_LOGISTIC = row(
    "discretized_logistic",
    discretized_logistic,
    link=_logistic_mean,
    least=_logistic_floor,
    begin=_begin_logistic,
    channels=2,
    law="levels",
    unit="nats",
    formula="-log(F((y + h - z)/scale) - F((y - h - z)/scale)), h = 1/510, edges open",
    source="Salimans, Karpathy, Chen, Kingma, PixelCNN++, ICLR 2017, section 2.1, "
    "with one component; location in intensity, read-out the mean of the pmf.",
    claims=Claims(
        gradient="",
        floor="where((y < 1/510) | (y > 509/510), 0, -log(tanh(5)))",
        elicits=NONE,
        minimiser="",
        curvature="",
        saturation="",
        convex="",
        domain="abs(location) < 6e34",
        use="A true likelihood of 8-bit pixels: bits per dimension that can be "
        "compared. Black and white pixels push the location outwards without end.",
    ),
)
CATEGORICAL = row(
    "categorical",
    categorical,
    link=_categorical_mean,
    begin=_begin_categorical,
    channels=LEVELS,
    law="levels",
    unit="nats",
    formula="logsumexp(raw) - raw[round(255 y)]",
    source="van den Oord, Kalchbrenner, Kavukcuoglu, Pixel recurrent neural networks, "
    "ICML 2016, section 2; read-out the mean of the pmf.",
    claims=Claims(
        gradient="",
        floor="0",
        elicits=WHOLE_LAW,
        minimiser="y",
        curvature="",
        saturation="",
        convex="",
        domain="differences of raw below 3.4e38",
        use="Any law of a pixel, at 256 times the output. For large data.",
    ),
)
