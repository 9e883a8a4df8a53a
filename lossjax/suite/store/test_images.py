"""What a final run keeps of single test images, compactly and without jax.

Means over groups of test images carry the interval over images, means over classes say
which loss is good at what; the images that came out worst are kept with what the
network made of them. So the report shows all of it without the dataset.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

GROUPS = 50  # of test images; 8 metrics of them take 2 KB of a result
WORST = 4  # images
CLASSES = 50  # most that are scored apart


@dataclasses.dataclass(frozen=True)
class Worst:
    """The test images of the worst score, the worst first."""

    metric: str  # whose score
    places: tuple[int, ...]  # in the test split
    scores: tuple[float, ...]
    originals: np.ndarray  # uint8 (k, height, width, channels)
    read_outs: np.ndarray  # the same shape


@dataclasses.dataclass(frozen=True)
class Kept:
    """One run's record of its test images."""

    metrics: tuple[str, ...]
    groups: np.ndarray  # float32 (metrics, groups), each a mean over its images
    worst: Worst | None = None
    classes: np.ndarray | None = None  # float32 (metrics, classes), as `classes_of`

    def of(self, metric: str) -> np.ndarray | None:
        """Means (groups,) of one metric, None where it has none."""
        if metric not in self.metrics:
            return None
        return self.groups[self.metrics.index(metric)]


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What a variational model makes of codes, and where it puts test images."""

    samples: np.ndarray  # uint8 (k, height, width, channels), codes from the prior
    # uint8 (pairs, steps, height, width, channels), from one test image to another
    interpolations: np.ndarray
    places: np.ndarray  # float32 (n, 2): codes of test images, on two principal axes
    labels: np.ndarray | None  # uint8 (n,) of those images


def sizes(images: int) -> np.ndarray:
    """How many of so many images are in each group: image i is in group i mod n."""
    count = min(GROUPS, images)
    return np.array([len(range(first, images, count)) for first in range(count)])


def group_means(scores: np.ndarray) -> np.ndarray:
    """Means (..., groups), float32, of scores (..., images).

    A stride apart, so a split that is sorted has every part of it in every group.
    """
    count = min(GROUPS, scores.shape[-1])
    parts = [scores[..., first::count] for first in range(count)]
    means = [part.mean(-1, dtype=np.float64) for part in parts]
    return np.stack(means, -1).astype(np.float32)


def classes_of(labels: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """The classes of the test images, ascending, and how many images are of each.

    Both are empty where there is nothing to tell apart, or too much.
    """
    none = np.zeros(0, np.int64)
    if labels is None:
        return none, none
    names, counts = np.unique(labels, return_counts=True)
    return (names, counts) if 2 <= len(names) <= CLASSES else (none, none)


def class_means(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Means (..., classes), float32, of scores (..., images)."""
    names, _ = classes_of(labels)
    means = [scores[..., labels == name].mean(-1, dtype=np.float64) for name in names]
    return np.stack(means, -1).astype(np.float32)


class Hunt:
    """Looks at the test images block by block and remembers every slot's worst."""

    def __init__(self, metric: str, direction: str) -> None:
        self._metric = metric
        self._sign = 1.0 if direction == "lower" else -1.0
        self._found: list[Worst | None] = []

    def look(
        self,
        first: int,
        scores: np.ndarray,
        images_u8: np.ndarray,
        read_outs_u8: np.ndarray,
    ) -> None:
        """Scores (slots, b) and read-outs (slots, b, ...) of images (b, ...)."""
        self._found = self._found or [None] * len(scores)
        for slot, own in enumerate(scores):
            order = self._worst_first(own)
            block = Worst(
                self._metric,
                tuple(int(first + i) for i in order),
                tuple(float(own[i]) for i in order),
                images_u8[order],
                read_outs_u8[slot, order],
            )
            self._found[slot] = self._merged(self._found[slot], block)

    def found(self, slot: int) -> Worst | None:
        return self._found[slot] if self._found else None

    def _worst_first(self, scores: Sequence[float] | np.ndarray) -> np.ndarray:
        """Places of the worst few scores; what is not a number is worst of all."""
        badness = np.nan_to_num(self._sign * np.asarray(scores, float), nan=np.inf)
        return np.argsort(-badness, kind="stable")[:WORST]

    def _merged(self, before: Worst | None, block: Worst) -> Worst:
        if before is None:
            return block
        order = self._worst_first((*before.scores, *block.scores))
        places, scores = before.places + block.places, before.scores + block.scores
        return Worst(
            self._metric,
            tuple(places[i] for i in order),
            tuple(scores[i] for i in order),
            np.concatenate([before.originals, block.originals])[order],
            np.concatenate([before.read_outs, block.read_outs])[order],
        )
