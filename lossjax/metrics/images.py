"""Fixed yardsticks: METRICS on images, CODE_METRICS on codes."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.losses import structural
from lossjax.losses.bernoulli import entropy
from lossjax.losses.checks import check_floating, working_dtype

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


@dataclasses.dataclass(frozen=True)
class Metric:
    """A yardstick of images; `fn(image, target) -> (batch,)`, intensity in [0, 1].

    Both arrays are float (batch, height, width, channels) of one shape: TypeError where
    one is not floating, ValueError where the shapes differ. `direction` is "lower" or
    "higher" and says which is better; `note` what a reader must know of the number.
    """

    name: str
    score: Callable[[jax.Array, jax.Array], jax.Array]
    direction: str
    unit: str
    margin: Margin
    note: str = ""

    def fn(self, image: jax.Array, target: jax.Array) -> jax.Array:
        """Score of each image, (batch,), in image's dtype."""
        check_floating(self.name, "image", image)
        check_floating(self.name, "target", target)
        if image.ndim != 4 or image.shape != target.shape:
            raise ValueError(
                f"{self.name}: image {image.shape} and target {target.shape} must have "
                "one shape (batch, height, width, channels); metrics never broadcast"
            )
        wide = working_dtype(image, target)
        return self.score(image.astype(wide), target.astype(wide)).astype(image.dtype)


@dataclasses.dataclass(frozen=True)
class CodeMetric:
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
        _check_codes(self.name, train_codes, train_labels, test_codes, test_labels)
        return share_right(
            self.reader(train_codes, train_labels)(test_codes), test_labels
        )


def share_right(read: jax.Array, labels: jax.Array) -> jax.Array:
    """Share of labels (n,) that were read right, float32 (); nan if one is -1."""
    right = jnp.mean((read == labels).astype(jnp.float32))
    return jnp.where(jnp.any(read < 0), jnp.nan, right)


def _pixels(values: jax.Array) -> jax.Array:
    return jnp.mean(values, axis=(1, 2, 3))


def mse(image: jax.Array, target: jax.Array) -> jax.Array:
    """Mean squared error."""
    return _pixels((image - target) ** 2)


def psnr(image: jax.Array, target: jax.Array) -> jax.Array:
    """Peak signal-to-noise ratio in dB, peak 1; the error is floored at 1e-10."""
    return -10 * jnp.log10(jnp.maximum(mse(image, target), 1e-10))


def mae(image: jax.Array, target: jax.Array) -> jax.Array:
    """Mean absolute error."""
    return _pixels(jnp.abs(image - target))


def bce(image: jax.Array, target: jax.Array) -> jax.Array:
    """Binary cross-entropy in nats of the image clipped to [1/510, 509/510]."""
    p = jnp.clip(image, EDGE, 1 - EDGE)
    return -_pixels(target * jnp.log(p) + (1 - target) * jnp.log1p(-p))


def excess_bce(image: jax.Array, target: jax.Array) -> jax.Array:
    """Binary cross-entropy minus the entropy of the target, in nats."""
    return bce(image, target) - _pixels(entropy(target))


def sharpness(image: jax.Array, target: jax.Array) -> jax.Array:
    """Absolute log ratio of high-frequency energy, image to target.

    The energy is the mean squared Laplacian over inner pixels, plus the square of half
    a grey level, so that two flat images score 0.
    """
    ratio = jnp.log(_roughness(image)) - jnp.log(_roughness(target))
    return jnp.abs(ratio)


def _roughness(image: jax.Array) -> jax.Array:
    padded = [(0, 0), (1, 1), (1, 1), (0, 0)]
    wide = jnp.pad(image, padded, mode="edge")
    around = wide[:, 2:, 1:-1] + wide[:, :-2, 1:-1] + wide[:, 1:-1, 2:]
    return _pixels((around + wide[:, 1:-1, :-2] - 4 * image) ** 2) + EDGE**2


_RELATIVE = Margin(0.01, relative=True)
_CLIPPED = "image clipped to [1/510, 509/510]"
METRICS: Mapping[str, Metric] = types.MappingProxyType(
    {
        metric.name: metric
        for metric in (
            Metric("mse", mse, "lower", "intensity squared", _RELATIVE),
            Metric("psnr", psnr, "higher", "dB", Margin(0.05, relative=False)),
            Metric("mae", mae, "lower", "intensity", _RELATIVE),
            # Relative to a number that is mostly floor, so a fifth of 1 %.
            Metric(
                "bce", bce, "lower", "nats/pixel", Margin(0.002, True), note=_CLIPPED
            ),
            Metric(
                "excess_bce", excess_bce, "lower", "nats/pixel", _RELATIVE, _CLIPPED
            ),
            Metric("ssim", structural.ssim, "higher", "index", Margin(0.002, False)),
            Metric(
                "ms_ssim", structural.ms_ssim, "higher", "index", Margin(0.002, False)
            ),
            Metric(
                "sharpness", sharpness, "lower", "abs log ratio", Margin(0.01, False)
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
        check_floating(name, f"{part}_codes", codes)
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
            CodeMetric("knn_accuracy", nearest, "higher", "share", _POINTS),
            CodeMetric("probe_accuracy", probe, "higher", "share", _POINTS),
        )
    }
)
