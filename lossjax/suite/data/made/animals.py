"""Silhouettes of ten animals: 28x28, bright on black."""

import gzip
import hashlib
import pickletools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.made.made_set import Part, only

_COUNT, _SIDE, _CLASSES = 10_000, 28, 10
_TEST_PER_CLASS = 100
_MOST_BYTES = 2**26


def animals(source: Path) -> Mapping[str, Part]:
    """Bear, bird, cat, cow, dog, elephant, giraffe, horse, sheep, zebra: 1,000 of each.

    100 of each class at random are test images; exact copies of one image stay in
    one part, and are one group.
    """
    random = np.random.default_rng(0)
    images = _array(source, "animal_data_version_3.gz", (_COUNT, _SIDE, _SIDE), "u1")
    labels = _array(source, "animal_label_version_3.gz", (_COUNT,), "i8")
    labels = labels.astype(np.uint8)
    group = _copies(images)
    held = np.zeros(_COUNT, bool)
    for label in range(_CLASSES):
        wanted = _TEST_PER_CLASS
        for index in random.permutation(np.flatnonzero(labels == label)):
            same = group == group[index]
            if wanted >= same.sum() > 0 and (labels[same] == label).all():
                if not held[index]:
                    held |= same
                    wanted -= same.sum()
    order = random.permutation(_COUNT)
    parts = {"train": order[~held[order]], "t10k": order[held[order]]}
    return {
        name: Part(images[at], labels[at], group[at].astype(np.int16))
        for name, at in parts.items()
    }


def _copies(images: np.ndarray) -> np.ndarray:
    """For each image the first index of an image with the same bytes."""
    first: dict[bytes, int] = {}
    hashes = [hashlib.sha256(image.tobytes()).digest() for image in images]
    return np.array([first.setdefault(h, i) for i, h in enumerate(hashes)])


def _array(source: Path, name: str, shape: tuple[int, ...], kind: str) -> np.ndarray:
    """The array of a pickle that is never loaded: its opcodes are listed.

    State of an array: (version, shape, dtype, Fortran order, buffer).
    """
    path = only(source, name)
    wrong = DataError(f"{path}: not the array {shape} of {kind} that is expected there")
    try:
        with gzip.open(path) as file:
            opcodes = [
                (operation.name, value)
                for operation, value, _ in pickletools.genops(file.read(_MOST_BYTES))
            ]
    except (OSError, EOFError, ValueError) as error:
        raise wrong from error
    names = [operation for operation, _ in opcodes]
    numbers = [v for operation, v in opcodes if operation in ("BININT1", "BININT2")]
    buffers = [
        value for _, value in opcodes if isinstance(value, bytes) and len(value) > 99
    ]
    kinds = [value for operation, value in opcodes if operation == "SHORT_BINUNICODE"]
    # The first number is of _reconstruct, the second the version; NEWFALSE: C order.
    if (
        tuple(numbers[2 : 2 + len(shape)]) != shape
        or kind not in kinds
        or len(buffers) != 1
        or names[names.index("BINBYTES") - 1] != "NEWFALSE"
    ):
        raise wrong
    array = np.frombuffer(buffers[0], np.dtype("<" + kind))
    if array.size != np.prod(shape):
        raise wrong
    return array.reshape(shape)
