"""What images are, before anything is trained; and what needs no network."""

import hashlib
import warnings
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from scipy.special import entr
from sklearn.decomposition import PCA

from lossjax import CODE_METRICS, METRICS
from lossjax.suite.data import Dataset
from lossjax.suite.report import advising

BINS = 16  # of the histogram
_MOST = 2_000  # images that are looked at, evenly spaced
_EDGE = 0.02  # nearer to 0 or 1 than this is black or white to the eye
_BLOCK = 128


def look(dataset: Dataset) -> dict[str, Any]:
    """Numbers about the training images, JSON-ready; see store.schemas.ADVICE."""
    images = dataset.train.images
    seen = _intensity(_spaced(images))
    values = seen[np.isfinite(seen)]
    same = {hashlib.sha256(x.tobytes()).digest() for x in images}
    colour = seen.shape[3] == 3 and np.nanmean(np.ptp(seen, axis=3) > _EDGE) > 0.01
    floor = np.mean(entr(values) + entr(1 - values), dtype=float)
    return {
        "images": sum(map(len, dataset.splits.values())),
        "duplicates": len(images) - len(same),
        "black": float(np.mean(values == 0)),
        "white": float(np.mean(values == 1)),
        "binary": float(np.mean((values <= _EDGE) | (values >= 1 - _EDGE))),
        "floor": float(floor),
        "colour": bool(colour),
        "counted": float(values.size / seen.size),
        "histogram": (np.histogram(values, BINS, (0, 1))[0] / len(values)).tolist(),
    }


def trivial(dataset: Dataset, metric: str, numbers: int) -> dict[str, float]:
    """The primary metric on test images of what learns nothing, and of what is linear.

    Of a metric of codes the share of the commonest label in place of the mean image;
    of one that only networks have, squared error.

    Args:
      numbers: in the code of the principal components.
    """
    rows = _rows(_spaced(dataset.train.images))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice")  # always masked
        mean = np.nan_to_num(np.nanmean(rows, 0, dtype=float), nan=0.5)
    linear = PCA(min(numbers, *rows.shape), svd_solver="randomized", random_state=0)

    def filled(images: np.ndarray) -> np.ndarray:
        return np.where(np.isnan(one := _rows(images)), mean, one)

    linear.fit(filled(_spaced(dataset.train.images)))
    test = dataset.test
    if metric in CODE_METRICS:
        labels, held = dataset.train.labels, test.labels
        assert labels is not None and held is not None
        train_codes, test_codes = (
            jnp.asarray(linear.transform(filled(split.images)), jnp.float32)
            for split in (dataset.train, test)
        )
        told = CODE_METRICS[metric].fn(
            train_codes, jnp.asarray(labels), test_codes, jnp.asarray(held)
        )
        found, counts = np.unique(labels, return_counts=True)
        most = float(np.mean(held == found[counts.argmax()]))
        return {"the commonest label": most, advising.LINEAR: float(told)}
    guesses: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "the mean image": lambda images: np.tile(mean, (len(images), 1)),
        advising.LINEAR: lambda images: linear.inverse_transform(
            linear.transform(filled(images))
        ),
    }
    name = metric if metric in METRICS else "mse"
    return {which: _score(name, guess, test.images) for which, guess in guesses.items()}


def _score(
    name: str, guess: Callable[[np.ndarray], np.ndarray], images: np.ndarray
) -> float:
    """Mean over images of a metric of what is guessed of them."""
    total = 0.0
    for first in range(0, len(images), _BLOCK):
        some = images[first : first + _BLOCK]
        target = _intensity(some)
        shown = np.clip(guess(some), 0, 1).reshape(target.shape).astype(np.float32)
        counts = np.isfinite(target)
        weights = None if counts.all() else jnp.asarray(counts, jnp.float32)
        scores = METRICS[name].fn(
            jnp.asarray(shown), jnp.asarray(target), weights=weights
        )
        total += float(np.sum(scores, dtype=float))
    return total / len(images)


def _rows(images: np.ndarray) -> np.ndarray:
    return _intensity(images).reshape(len(images), -1)


def _spaced(images: np.ndarray) -> np.ndarray:
    if len(images) <= _MOST:
        return images
    return images[np.linspace(0, len(images) - 1, _MOST).round().astype(int)]


def _intensity(images: np.ndarray) -> np.ndarray:
    """float32 in [0, 1]; nan where a pixel does not count."""
    whole = images.dtype == np.uint8
    return images.astype(np.float32) / np.float32(255) if whole else images
