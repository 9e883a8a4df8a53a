"""Fixed yardsticks: METRICS on images, CODE_METRICS on codes."""

from __future__ import annotations

import dataclasses
import math
import types
from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.losses import structural
from lossjax.losses.bernoulli import entropy
from lossjax.losses.checks import as_floating, working_dtype
from lossjax.losses.loss import image_mean

# An image is kept half a grey level away from 0 and 1 before a logarithm is taken.
EDGE = 1 / 510
Reader = Callable[[jax.Array], jax.Array]
CLASS_LIMIT = 128
_NEIGHBOURS = 15
_PROBE_STEPS = 300


@dataclasses.dataclass(frozen=True)
class Margin:
    """Difference that does not matter; relative to the better value, or absolute."""

    value: float
    relative: bool


class Yardstick:
    """What every kind of metric says of itself beside its number."""

    label = ""  # its name in a sentence, where that is another than its key
    meaning = ""  # what it is, in plain words, for who meets it in a table
    derived = ""
    derived_under = math.inf

    def derived_from(self, shape: Sequence[int]) -> str:
        """Name of the metric that this one only restates, "" if it says more.

        Args:
          shape: (height, width, ...) of the images it is measured on.
        """
        return self.derived if min(shape[:2]) < self.derived_under else ""


@dataclasses.dataclass(frozen=True)
class Metric(Yardstick):
    """A yardstick of images; `fn(image, target) -> (batch,)`, intensity in [0, 1].

    Attributes:
      name: key in METRICS.
      score: `(image, target, weights) -> (batch,)`; weights are an array or None.
      direction: "lower" or "higher", which is better.
      unit: unit of the score.
      margin: difference that does not matter.
      note: what a reader must know of the number.
      derived: the metric that this one is a function of, pixel by pixel or image by
        image; such a metric is shown and not counted.
      derived_under: it is so only on images whose smaller side is below this.
      label: its name in a sentence.
      meaning: what it is, in plain words.
    """

    name: str
    score: Callable[[jax.Array, jax.Array, jax.Array | None], jax.Array]
    direction: str
    unit: str
    margin: Margin
    note: str = ""
    derived: str = ""
    derived_under: float = math.inf
    label: str = ""
    meaning: str = ""

    def fn(
        self, image: jax.Array, target: jax.Array, *, weights: jax.Array | None = None
    ) -> jax.Array:
        """Score of each image, (batch,), in image's dtype.

        Args:
          image: float (batch, height, width, channels).
          target: same shape.
          weights: optional, of the same shape, non-negative; a mask is a weight of 0
            and 1. Pixels of weight 0 may hold anything, nan included. An image without
            weight scores as if it were equal to its target.

        Raises:
          TypeError: an array is not floating.
          ValueError: shapes differ (metrics never broadcast).
        """
        image = as_floating(self.name, "image", image)
        target = as_floating(self.name, "target", target)
        if image.ndim != 4 or image.shape != target.shape:
            raise ValueError(
                f"{self.name}: image {image.shape} and target {target.shape} must have "
                "one shape (batch, height, width, channels); metrics never broadcast"
            )
        wide = working_dtype(image, target)
        shown, true = image.astype(wide), target.astype(wide)
        if weights is not None:
            weights = as_floating(self.name, "weights", weights).astype(wide)
            if weights.shape != target.shape:
                raise ValueError(
                    f"{self.name}: weights {weights.shape} must have the shape of "
                    f"target {target.shape}"
                )
            shown, true = (jnp.where(weights > 0, x, 0.5) for x in (shown, true))
        return self.score(shown, true, weights).astype(image.dtype)


@dataclasses.dataclass(frozen=True)
class CodeMetric(Yardstick):
    """A yardstick of codes, given labels of the images: how often a reader is right.

    `reader(train_codes, train_labels)` takes float codes (n, d) and integer labels
    (n,) and returns what gives codes (m, d) their labels (m,), -1 where it cannot say;
    deterministic, jittable.
    """

    name: str
    reader: Callable[[jax.Array, jax.Array], Reader]
    direction: str
    unit: str
    margin: Margin
    note: str = ""
    label: str = ""
    meaning: str = ""

    def fn(
        self,
        train_codes: jax.Array,
        train_labels: jax.Array,
        test_codes: jax.Array,
        test_labels: jax.Array,
    ) -> jax.Array:
        """Share of test codes that are read right, float32 (); nan where none can be.

        Raises:
          TypeError: codes are not floating, or labels not integer.
          ValueError: shapes that do not belong together.
        """
        codes = as_floating(self.name, "train_codes", train_codes)
        shown = as_floating(self.name, "test_codes", test_codes)
        labels, true = jnp.asarray(train_labels), jnp.asarray(test_labels)
        _check_codes(self.name, codes, labels, shown, true)
        return share_right(self.reader(codes, labels)(shown), true)


def share_right(read: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of labels (n,) that were read right, float32 (); nan if one is -1."""
    right = jnp.mean((read == labels).astype(jnp.float32))
    return jnp.where(jnp.any(read < 0), jnp.nan, right)


def mse(image: jax.Array, target: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Mean squared error."""
    return image_mean((image - target) ** 2, weights)


def psnr(image: jax.Array, target: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Peak signal-to-noise ratio in dB, peak 1; the error is floored at 1e-10."""
    return -10 * jnp.log10(jnp.maximum(mse(image, target, weights), 1e-10))


def mae(image: jax.Array, target: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Mean absolute error."""
    return image_mean(jnp.abs(image - target), weights)


def excess_bce(
    image: jax.Array, target: jax.Array, weights: jax.Array | None
) -> jax.Array:
    """Binary cross-entropy minus the entropy of the target, in nats."""
    return bce(image, target, weights) - image_mean(entropy(target), weights)


def bce(image: jax.Array, target: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Binary cross-entropy in nats of the image clipped to [1/510, 509/510]."""
    p = jnp.clip(image, EDGE, 1 - EDGE)
    return -image_mean(target * jnp.log(p) + (1 - target) * jnp.log1p(-p), weights)


def ssim(image: jax.Array, target: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Mean structural similarity, 1 where equal; see lossjax.losses.structural."""
    return 1 - structural.dissimilarity(image - target, target, weights)


def ms_ssim(
    image: jax.Array, target: jax.Array, weights: jax.Array | None
) -> jax.Array:
    """Multi-scale structural similarity, 1 where equal."""
    return 1 - structural.multiscale_dissimilarity(image - target, target, weights)


def sharpness_error(
    image: jax.Array, target: jax.Array, weights: jax.Array | None
) -> jax.Array:
    r"""Absolute log ratio of high-frequency energy, image to target.

    .. math:: |\log E(x) - \log E(t)|, \quad
       E(x) = \frac{1}{D} \sum_i \Big(\sum_{j \sim i} (x_j - x_i)\Big)^2 + 510^{-2}

    with i over the D pixels and channels, j over the up to four pixels above, below,
    left and right of i that lie inside the image and have a weight. Under weights the
    mean over i is the weighted one. The square of half a grey level lets two flat
    images score 0. Too sharp and too soft both lose: 0 is as sharp as the target, log 4
    has twice or half its contrast.
    """
    energies = [_energy(x, weights) for x in (image, target)]
    return jnp.abs(jnp.log(energies[0]) - jnp.log(energies[1]))


def _energy(image: jax.Array, weights: jax.Array | None) -> jax.Array:
    seen = (
        jnp.ones_like(image) if weights is None else (weights > 0).astype(image.dtype)
    )
    total = jnp.zeros_like(image)
    for axis in (1, 2):
        for step in (1, -1):
            beside, there = (_shifted(x, axis, step) for x in (image, seen))
            total = total + there * (beside - image)
    return image_mean(total**2, weights) + EDGE**2


def _shifted(x: jax.Array, axis: int, step: int) -> jax.Array:
    """The neighbour of each pixel one step along an axis; 0 beyond the border."""
    ahead = jax.lax.slice_in_dim(x, 1, None, axis=axis)
    if step < 0:
        ahead = jax.lax.slice_in_dim(x, 0, -1, axis=axis)
    widths = [(0, 0)] * x.ndim
    widths[axis] = (0, 1) if step > 0 else (1, 0)
    return jnp.pad(ahead, widths)


_RELATIVE = Margin(0.01, relative=True)
_CLIPPED = "image clipped to [1/510, 509/510]"
METRICS: Mapping[str, Metric] = types.MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric(
                "mse",
                mse,
                "lower",
                "intensity squared",
                _RELATIVE,
                label="squared error",
                meaning="mean of (output - original) squared, over pixels",
            ),
            Metric(
                "psnr",
                psnr,
                "higher",
                "dB",
                Margin(0.05, False),
                derived="mse",
                label="PSNR",
                meaning="the squared error on the scale of decibels",
            ),
            Metric(
                "mae",
                mae,
                "lower",
                "intensity",
                _RELATIVE,
                label="absolute error",
                meaning="mean of |output - original|, over pixels",
            ),
            # Relative to a number that is mostly floor, so a fifth of 1 %.
            Metric(
                "bce",
                bce,
                "lower",
                "nats/pixel",
                Margin(0.002, True),
                note=_CLIPPED,
                derived="excess_bce",
                label="cross-entropy",
                meaning="binary cross-entropy, pixels taken as chances of white",
            ),
            Metric(
                "excess_bce",
                excess_bce,
                "lower",
                "nats/pixel",
                _RELATIVE,
                _CLIPPED,
                label="cross-entropy above its floor",
                meaning="binary cross-entropy less what a perfect image would get",
            ),
            Metric(
                "ssim",
                ssim,
                "higher",
                "index",
                Margin(0.002, False),
                label="SSIM",
                meaning="likeness of local patterns: 1 where equal",
            ),
            Metric(
                "ms_ssim",
                ms_ssim,
                "higher",
                "index",
                Margin(0.002, False),
                note="the same number as ssim where a side is under 16 pixels",
                derived="ssim",
                derived_under=2 * structural.COARSEST,
                label="MS-SSIM",
                meaning="likeness of local patterns at several scales: 1 where equal",
            ),
            Metric(
                "sharpness_error",
                sharpness_error,
                "lower",
                "abs log ratio",
                Margin(0.01, False),
                note="of the energy of fine detail; too sharp and too soft both lose",
                label="sharpness error",
                meaning="how far the amount of fine detail is from the original's",
            ),
        )
    }
)


def nearest(train_codes: jax.Array, train_labels: jax.Array) -> Reader:
    """The vote of the 15 nearest training codes (Euclidean).

    Equal counts go to the label whose nearest member is nearest; equal distances to the
    earlier training code. Works through blocks of 256 codes.
    """
    centre = jnp.mean(train_codes, axis=0)
    train = train_codes - centre[None]
    squares = jnp.sum(train * train, axis=1)
    k = min(_NEIGHBOURS, train.shape[0])

    def read(code: jax.Array) -> jax.Array:
        # The square of the code itself shifts all distances alike.
        closeness = 2 * (train @ (code - centre)) - squares
        _, near = jax.lax.top_k(closeness, k)
        votes = train_labels[near]
        counts = jnp.sum(votes[:, None] == votes[None, :], axis=1)
        return votes[jnp.argmax(counts)]

    return lambda codes: jax.lax.map(read, codes, batch_size=256)


def probe(train_codes: jax.Array, train_labels: jax.Array) -> Reader:
    """Multinomial logistic regression on standardised codes.

    300 accelerated full-batch gradient steps from zero, with an L2 penalty of 1e-4.
    Labels must lie in 0..127 where they are traced (it cannot say otherwise); concrete
    labels set the number of classes, which is faster.
    """
    classes = _class_count(train_labels)
    mean = jnp.mean(train_codes, axis=0, keepdims=True)
    spread = jnp.std(train_codes, axis=0, keepdims=True)
    # A dead dimension stays 0 instead of being blown up.
    scale = jnp.where(spread > 1e-6, 1 / jnp.where(spread > 1e-6, spread, 1), 0)
    train = _with_bias((train_codes - mean) * scale)
    truth = jax.nn.one_hot(train_labels, classes, dtype=train.dtype)
    penalty = 1e-4
    second = train.T @ train / train.shape[0]
    # The softmax curvature is at most 1/2 of the second moment, whose largest
    # eigenvalue is at most its Frobenius norm.
    rate = 1 / (0.5 * jnp.sqrt(jnp.sum(second * second)) + penalty)
    present = jnp.sum(truth, axis=0, keepdims=True) > 0

    def descend(
        carry: tuple[jax.Array, jax.Array], step: jax.Array
    ) -> tuple[tuple[jax.Array, jax.Array], None]:
        weight, ahead = carry
        logits = jnp.where(present, train @ ahead, -jnp.inf)
        slope = train.T @ (jax.nn.softmax(logits) - truth) / train.shape[0]
        moved = ahead - rate * (slope + penalty * ahead)
        return (moved, moved + step / (step + 3) * (moved - weight)), None

    zero = jnp.zeros((train.shape[1], classes), train.dtype)
    steps = jnp.arange(_PROBE_STEPS, dtype=train.dtype)
    (weight, _), _ = jax.lax.scan(descend, (zero, zero), steps)
    known = jnp.max(train_labels) < classes

    def read(codes: jax.Array) -> jax.Array:
        logits = _with_bias((codes - mean) * scale) @ weight
        likeliest = jnp.argmax(jnp.where(present, logits, -jnp.inf), axis=1)
        return jnp.where(known, likeliest, -1)

    return read


def _with_bias(codes: jax.Array) -> jax.Array:
    return jnp.concatenate([codes, jnp.ones_like(codes[:, :1])], axis=1)


def _class_count(labels: jax.Array) -> int:
    if isinstance(labels, jax.core.Tracer):
        return CLASS_LIMIT
    return 1 + int(np.max(np.asarray(labels)))


def _check_codes(
    name: str,
    train_codes: jax.Array,
    train_labels: jax.Array,
    test_codes: jax.Array,
    test_labels: jax.Array,
) -> None:
    pairs = (("train", train_codes, train_labels), ("test", test_codes, test_labels))
    for part, codes, labels in pairs:
        if not jnp.issubdtype(labels.dtype, jnp.integer):
            raise TypeError(
                f"{name}: {part}_labels must be integer, got {labels.dtype}"
            )
        if codes.ndim != 2 or labels.shape != codes.shape[:1] or not codes.shape[0]:
            raise ValueError(
                f"{name}: {part}_codes {codes.shape} and {part}_labels {labels.shape} "
                "must be (n, d) and (n,), n at least 1"
            )
    if train_codes.shape[1] != test_codes.shape[1]:
        raise ValueError(
            f"{name}: train_codes {train_codes.shape} and test_codes "
            f"{test_codes.shape} must have one width"
        )


_POINTS = Margin(0.005, relative=False)
CODE_METRICS: Mapping[str, CodeMetric] = types.MappingProxyType(
    {
        metric.name: metric
        for metric in (
            CodeMetric(
                "knn_accuracy",
                nearest,
                "higher",
                "share",
                _POINTS,
                label="kNN accuracy of the code",
                meaning="how often the 15 nearest training codes name the class",
            ),
            CodeMetric(
                "probe_accuracy",
                probe,
                "higher",
                "share",
                _POINTS,
                label="linear-probe accuracy of the code",
                meaning="how often a linear classifier reads the class off the code",
            ),
        )
    }
)
