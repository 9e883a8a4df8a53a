"""What a dataset looks like without its images: all that a compiler needs of it."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from lossjax.models.pixels import BYTES, Pixels
from lossjax.suite.data.dataset import Dataset, Noise, Options, plan_splits
from lossjax.suite.data.sources import find, load
from lossjax.suite.data.tfds import known_set, shape_of
from lossjax.suite.data.tfds_sets import UPSTREAM, tfds_sets


@dataclasses.dataclass(frozen=True)
class Outline:
    """Attributes:
    counts: images of train, validation and test.
    image: (height, width, channels).
    noise: what the trainer adds to the targets.
    pixels: what they are, and which of them count.
    """

    counts: Mapping[str, int]
    image: tuple[int, int, int]
    noise: Noise | None = None
    pixels: Pixels = BYTES

    @classmethod
    def of(cls, dataset: Dataset) -> "Outline":
        counts = {name: len(split) for name, split in dataset.splits.items()}
        return cls(counts, dataset.image_shape, dataset.noise, dataset.pixels)

    @property
    def resident(self) -> int:
        """Bytes of the images that lie on every device while runs train."""
        values = math.prod(self.images("train")) + math.prod(self.images("validation"))
        return values * self.pixels.bytes

    def images(self, split: str) -> tuple[int, int, int, int]:
        """The shape of a split's images."""
        return self.counts[split], *self.image


def outline(name: str, **asked: Any) -> Outline:
    """The outline of `load(name, **asked)`; a set whose counts are listed is not read.

    Raises:
      DataError: as `load`.
    """
    options = Options(**asked)
    find(name)
    known, base = known_set(name), name.partition("/")[0]
    # Only the configuration that is listed has the counts that are listed.
    if known is not None and base in UPSTREAM and known == tfds_sets()[base]:
        plan = plan_splits(UPSTREAM[base].counts, options.max_examples)
        counts = {split: len(index) for split, (_, index) in plan.items()}
        return Outline(counts, shape_of(name, known, options))
    return Outline.of(load(name, **asked))
