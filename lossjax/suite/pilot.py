"""What one trained network's residuals say about which loss will do.

A weight that grows as the variance falls is the best one (quasi-likelihood, Wedderburn
1974). Where the variance of a residual is a constant times [p (1 - p)]^a, that is the
weight of power(g) at g = 1 - a: 0 is bce, 1 is mse. This module estimates a from the
output images of one run. Only `of_run` needs jax.
"""

import dataclasses
import math
from os import PathLike

import numpy as np
from scipy.special import rel_entr

from lossjax.suite.data import Dataset
from lossjax.suite.statistics import Interval

HALF_LEVEL = 1 / 510  # an 8-bit target tells no output nearer to 0 or 1 from them
BINS = 64  # of equal width in log s
RESAMPLES = 1_000
GREY = 0.05  # s above this: p from .053 to .947
_RANGE = (-4.0, 8.0)  # of the exponents that are looked at
_END = 1e-6  # an exponent nearer to an end than this lies beyond it


@dataclasses.dataclass(frozen=True)
class Pilot:
    """What the residuals of one run say.

    Attributes:
      exponent: a of variance ~ s^a, s = p (1 - p), NaN where none from -4 to 8 fits;
        its interval is over images.
      by_s: a where each pixel has weight s: saturated pixels count little.
      grey: a of the pixels of s above GREY alone; NaN where there are none.
      black: share of pixels that are exactly 0.
      white: share that are exactly 255 (or 1.0).
      coin: sum of squared residuals over that of s: 1 where pixels are coin flips.
      tail: mean over median of the images' excess bce.
      images: how many there were.
    """

    exponent: Interval
    by_s: float
    grey: float
    black: float
    white: float
    coin: float
    tail: float
    images: int

    @property
    def g(self) -> Interval:
        """The g of power(g) that fits this variance."""
        return fitting(self.exponent)


def fitting(exponent: Interval) -> Interval:
    """The g of power(g) that fits a variance of this exponent."""
    return Interval(1 - exponent.center, 1 - exponent.high, 1 - exponent.low)


def of_run(run: str | PathLike[str], dataset: Dataset) -> Pilot:
    """The pilot of a run whose network is kept (`sweep --keep_models=best`).

    It is of validation images; where the training targets carry noise, of fresh noise
    of that law on training images, since no others have any.

    Args:
      run: the run's folder, or its model.npz.
      dataset: what it was trained on.

    Raises:
      UserError: as `lossjax.load`.
    """
    from lossjax.suite.sweep.trained_model import load

    if dataset.noise is None:
        images = targets = dataset.validation.images
    else:
        import jax
        import jax.numpy as jnp

        from lossjax.suite.data.noise import noisy_targets

        images = dataset.train.images.astype(np.float32) / 255
        key, places = jax.random.key(0), jnp.arange(len(images))
        noisy = noisy_targets(dataset.noise, key, jnp.asarray(images), places)
        targets = np.asarray(noisy)
    return of_outputs(load(run)(np.nan_to_num(images, nan=0.5)), targets)


def of_outputs(outputs: np.ndarray, images: np.ndarray) -> Pilot:
    """The pilot of output images in [0, 1] and the images they stand for.

    Both (n, height, width, channels); images uint8, or float intensities, which noise
    may take beyond [0, 1]: then the tail is NaN. Where an image is NaN no pixel counts;
    some pixel of each must. The interval is a seeded percentile
    bootstrap over images: pixels of one image are not independent.

    Raises:
      ValueError: shapes differ, or the images are neither.
    """
    whole = images.dtype == np.uint8
    if outputs.shape != images.shape or not (whole or images.dtype.kind == "f"):
        raise ValueError(
            f"of_outputs: outputs {outputs.shape}, images {images.shape} of "
            f"{images.dtype}; must be of one shape, images uint8 or float"
        )
    white = 255 if whole else 1
    p = np.clip(
        outputs.reshape(len(images), -1).astype(float), HALF_LEVEL, 1 - HALF_LEVEL
    )
    y = images.reshape(p.shape) / white
    counts = np.isfinite(y)
    y = np.where(counts, y, p)
    s, square = p * (1 - p), (y - p) ** 2
    lowest = HALF_LEVEL * (1 - HALF_LEVEL)
    edges = np.linspace(np.log(lowest), np.log(0.25), BINS + 1)
    places = np.clip(np.digitize(np.log(s), edges) - 1, 0, BINS - 1)
    # One bincount of all images: bins of image i begin at i * BINS.
    places += np.arange(len(p))[:, None] * BINS
    n, squares, logs = (
        np.bincount(places.ravel(), w, len(p) * BINS).reshape(len(p), BINS)
        for w in (counts.ravel(), square.ravel(), (counts * np.log(s)).ravel())
    )
    seen = n.sum(0)
    middle = (edges[:-1] + edges[1:]) / 2
    at = np.divide(logs.sum(0), seen, out=middle, where=seen > 0)
    drawn = np.random.default_rng(0).multinomial(
        len(p), np.full(len(p), 1 / len(p)), RESAMPLES
    )
    low, high = np.percentile(_exponents(drawn @ n, drawn @ squares, at), [2.5, 97.5])
    n, squares = n.sum(0), squares.sum(0)
    grey = at > np.log(GREY)
    excess = (rel_entr(y, p) + rel_entr(1 - y, 1 - p)).sum(1) / counts.sum(1)
    within = bool(np.isfinite(excess).all())
    tail = float(excess.mean() / np.median(excess)) if within else math.nan
    weight = np.exp(at)
    return Pilot(
        Interval(_exponent(n, squares, at), float(low), float(high)),
        _exponent(n * weight, squares * weight, at),
        _exponent(n[grey], squares[grey], at[grey]),
        float(np.sum(images == 0) / counts.sum()),
        float(np.sum(images == white) / counts.sum()),
        float(squares.sum() / (counts * s).sum()),
        tail,
        len(images),
    )


def _exponent(n: np.ndarray, squares: np.ndarray, at: np.ndarray) -> float:
    return float(_exponents(n[None], squares[None], at)[0])


def _exponents(n: np.ndarray, squares: np.ndarray, at: np.ndarray) -> np.ndarray:
    """a of each row: pixels and squared residuals (k, bins), at log s (bins).

    The quasi-likelihood of r^2 with mean c s^a and a variance that goes as that mean
    squared (Carroll and Ruppert 1982): least sum of n [m / (c s^a) + log(c s^a)], m the
    mean of a bin. With the best c put in it is log(sum of squares s^-a) + a * mean of
    log s, which is convex in a; where its slope is 0 is found by halving. NaN where no
    exponent of the range fits, as with outputs that hardly differ.
    """
    low, high = (np.full(len(n), end) for end in _RANGE)
    total = n.sum(1)
    if not ((total > 0) & (squares.sum(1) > 0)).all():
        return np.full(len(n), np.nan)
    mean = n @ at / total
    for _ in range(50):
        a = (low + high) / 2
        weight = squares * np.exp(-a[:, None] * (at - at.max()))
        rising = mean > weight @ at / weight.sum(1)
        low, high = np.where(rising, low, a), np.where(rising, a, high)
    a = (low + high) / 2
    within = (a > _RANGE[0] + _END) & (a < _RANGE[1] - _END)
    return np.where(within, a, np.nan)
