"""Which split each picture of a folder belongs to, by its content or its user."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lossjax.suite.data.dataset import SPLITS

_Indices = dict[str, np.ndarray]


def tied(digests: list[str], parents: list[Path]) -> list[str]:
    """A name for each image's group: the least content hash its folder is tied to."""
    # A picture that lies in two folders ties them together: least names spread until
    # nothing changes.
    folder = dict.fromkeys(parents, "g")
    content = dict.fromkeys(digests, "g")
    for parent, digest in zip(parents, digests, strict=True):
        folder[parent] = min(folder[parent], digest)
    while True:
        before = dict(folder)
        for parent, digest in zip(parents, digests, strict=True):
            content[digest] = min(content[digest], folder[parent])
        for parent, digest in zip(parents, digests, strict=True):
            folder[parent] = min(folder[parent], content[digest])
        if folder == before:
            return [folder[parent] for parent in parents]


def by_content(groups: Sequence[str], parts: Sequence[str] = SPLITS) -> _Indices:
    """Indices of parts: a sixth of the groups each in hash order, the rest train."""
    order = sorted(set(groups))
    held = max(1, len(order) // 6)
    place = dict.fromkeys(order, "train")
    for number, part in enumerate(p for p in ("test", "validation") if p in parts):
        place |= dict.fromkeys(order[number * held : (number + 1) * held], part)
    of = np.array([place[group] for group in groups])
    return {part: np.flatnonzero(of == part) for part in parts}


def by_user(parts: Sequence[str], digests: list[str], groups: list[str]) -> _Indices:
    """Indices of each split as the user has it; what is missing is cut from train.

    A picture that is in several parts stays in the last of them only.
    """
    last: dict[str, str] = {}
    for part in SPLITS:
        last |= {d: part for d, own in zip(digests, parts, strict=True) if own == part}
    indices = {
        part: np.array(
            [
                index
                for index, (digest, own) in enumerate(zip(digests, parts, strict=True))
                if own == last[digest] == part
            ],
            np.int64,
        )
        for part in SPLITS
    }
    missing = [part for part in SPLITS if part not in parts]
    train = indices["train"]
    if missing and len(train):
        cut = by_content([groups[i] for i in train], ["train", *missing])
        indices |= {part: train[index] for part, index in cut.items()}
    return indices
