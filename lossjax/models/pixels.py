"""What the pixels of a dataset are, and which of them count; needs no jax itself."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Pixels:
    """How images lie on a device, and what losses and metrics count of them.

    Attributes:
      levels: of how many evenly spaced values from 0 to 1 a pixel has one; 0: of any.
      kept: as "uint8", 0 to 255, or as "float32", intensity in [0, 1].
      masked: float32 images hold nan where a pixel does not count.
      balance: of each channel the intensity up to which a pixel is dark, and the
        weights of a dark and of a bright pixel in the loss; empty where all are equal.
    """

    levels: int = 256
    kept: str = "uint8"
    masked: bool = False
    balance: tuple[tuple[float, float, float], ...] = ()

    @property
    def bytes(self) -> int:
        """Of one value on a device."""
        return 1 if self.kept == "uint8" else 4

    def counted(self, images: Any) -> Any:
        """1 where a pixel of float images counts, else 0; None where all do."""
        return (images == images).astype(images.dtype) if self.masked else None

    def filled(self, images: Any) -> Any:
        """The images as a network is given them: mid-grey where no pixel counts."""
        if not self.masked:
            return images
        arrays = images.__array_namespace__()
        return arrays.where(arrays.isnan(images), arrays.full_like(images, 0.5), images)

    def weights(self, images: Any) -> Any:
        """How much each pixel of float images counts; None where all count 1."""
        counted = self.counted(images)
        if not self.balance:
            return counted
        arrays = images.__array_namespace__()
        table = arrays.asarray(self.balance, dtype=images.dtype)
        most, dark, bright = (table[:, k].reshape(1, 1, 1, -1) for k in range(3))
        share = arrays.where(images > most, bright, dark)
        return share if counted is None else share * counted

    def size(self, images: Any) -> Any:
        """Pixels times channels that count, of each image; one number where all do."""
        counted = self.counted(images)
        return images[0].size if counted is None else counted.sum((1, 2, 3))


BYTES = Pixels()  # what every set of plain pictures has
