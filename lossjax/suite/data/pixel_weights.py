"""`pixel_weights`: how much each pixel counts in training, from the training images."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from lossjax.suite.data.dataset import Dataset

_AT_ONCE = 4096  # images


def inverse_frequency(dataset: Dataset) -> Dataset:
    """The dataset with a lower weight for pixels of the commoner kind.

    There are two kinds in each channel: brighter than the mean of the training images,
    and the rest. Each kind has the same total weight over the training images, and the
    mean weight is 1: in a sparse picture the few bright pixels count as much as the
    background.
    """
    images = dataset.train.images
    sums = np.zeros((2, images.shape[3]))
    for part in _intensity(images):
        sums += np.nansum(part, (0, 1, 2), np.float64), (part == part).sum((0, 1, 2))
    count = sums[1]
    most = (sums[0] / count).astype(np.float32)
    bright = sum((part > most).sum((0, 1, 2)) for part in _intensity(images)) / count
    shares = np.stack([1 - bright, bright])
    # A channel of one value has one kind, of weight 1.
    weights = np.where((shares > 0).all(0), 0.5 / np.where(shares > 0, shares, 1), 1)
    table = np.stack([most, *weights], axis=1)
    balance = tuple((float(a), float(b), float(c)) for a, b, c in table)
    return dataclasses.replace(
        dataset, pixels=dataclasses.replace(dataset.pixels, balance=balance)
    )


def _intensity(images: np.ndarray) -> Iterator[np.ndarray]:
    """Blocks of the images in [0, 1], as a device has them."""
    white = np.float32(255 if images.dtype == np.uint8 else 1)
    for start in range(0, len(images), _AT_ONCE):
        yield images[start : start + _AT_ONCE].astype(np.float32) / white
