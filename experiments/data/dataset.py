"""What a dataset is: uint8 NHWC images in three disjoint splits, and its identity."""

import dataclasses
import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image


class DataError(ValueError):
    """Data that is absent, damaged or badly named; one line that says what mends it."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))


@dataclasses.dataclass(frozen=True)
class Split:
    """Images uint8 (count, height, width, channels); labels int32 (count,) or None."""

    images: np.ndarray
    labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != np.uint8:
            raise TypeError(
                f"Split.images: dtype {images.dtype}; images are uint8, 0 to 255"
            )
        if images.ndim != 4 or images.shape[3] not in (1, 3):
            raise ValueError(
                f"Split.images: shape {images.shape}; "
                "images are (count, height, width, 1 or 3)"
            )
        if labels is not None and (
            labels.shape != images.shape[:1] or labels.dtype != np.int32
        ):
            raise ValueError(
                f"Split.labels: {labels.dtype} {labels.shape}; "
                f"labels are int32 {images.shape[:1]}"
            )

    def __len__(self) -> int:
        return len(self.images)


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Three disjoint splits of one image shape.

    `fingerprint` is the sha256 (hex) of every image and label in split order, so it
    names the content and the split, wherever the files lie. `truth` holds what a
    procedural set planted; empty for real pictures.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    fingerprint: str
    description: str
    truth: Mapping[str, object] = dataclasses.field(default_factory=dict)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image."""
        _, height, width, channels = self.train.images.shape
        return height, width, channels

    @property
    def splits(self) -> Mapping[str, Split]:
        """The three splits by name, in the order of the fingerprint."""
        return {name: getattr(self, name) for name in ("train", "validation", "test")}


def make_dataset(
    name: str,
    splits: Mapping[str, Split],
    description: str,
    *,
    truth: Mapping[str, object] | None = None,
) -> Dataset:
    """Checks the three splits against each other and seals them with a fingerprint.

    Raises:
      DataError: a split is empty, or the image shapes differ.
    """
    shapes = {key: split.images.shape[1:] for key, split in splits.items()}
    if len(set(shapes.values())) != 1:
        raise DataError(f"{name}: image shapes differ between splits: {shapes}")
    for key, split in splits.items():
        if not len(split):
            raise DataError(f"{name}: the {key} split is empty; every split needs one")
        split.images.flags.writeable = False
    return Dataset(
        name=name,
        **splits,
        fingerprint=_fingerprint(splits),
        description=description,
        truth=MappingProxyType(dict(truth or {})),
    )


def hold_out(count: int, *sizes: int) -> list[np.ndarray]:
    """Disjoint sorted index sets of the given sizes, then the rest, fixed for ever."""
    # RandomState's stream is frozen by numpy's policy (NEP 19); Generator's is not,
    # and a split that moves with the numpy version would move every number.
    order = np.random.RandomState(0).permutation(count)
    return [np.sort(part) for part in np.split(order, np.cumsum(sizes))]


def fit_images(
    images: np.ndarray, image_size: int | None, channels: int | None
) -> np.ndarray:
    """Square images of `image_size` and `channels`; None keeps what is there.

    The shorter side is resized with an antialiased (Lanczos) filter and the longer
    cropped about its centre. Colour becomes grey by the luma weights of ITU-R 601;
    grey becomes colour by repetition.
    """
    if channels is not None and channels not in (1, 3):
        raise DataError(f"channels={channels!r}: valid are 1 and 3")
    if image_size is not None and not 4 <= image_size <= 1024:
        raise DataError(f"image_size={image_size!r}: valid are 4 to 1024")
    if images.shape[3] == 3 and channels == 1:
        luma = images @ np.array([0.299, 0.587, 0.114], np.float32)
        images = np.rint(luma).astype(np.uint8)[..., None]
    elif images.shape[3] == 1 and channels == 3:
        images = np.repeat(images, 3, axis=3)
    if image_size is None or images.shape[1:3] == (image_size, image_size):
        return images
    fitted = np.empty((len(images), image_size, image_size, images.shape[3]), np.uint8)
    for one, out in zip(images, fitted, strict=True):
        picture = Image.fromarray(one.squeeze(2) if one.shape[2] == 1 else one)
        out[...] = np.atleast_3d(np.asarray(fit_picture(picture, image_size)))
    return fitted


def fit_picture(picture: Image.Image, image_size: int) -> Image.Image:
    """One picture, its central square resized to `image_size` on a side."""
    side = min(picture.size)
    left, top = ((length - side) / 2 for length in picture.size)
    return picture.resize(
        (image_size, image_size),
        Image.Resampling.LANCZOS,
        box=(left, top, left + side, top + side),
    )


def _fingerprint(splits: Mapping[str, Split]) -> str:
    digest = hashlib.sha256()
    for key, split in splits.items():
        digest.update(f"{key} {split.images.shape} ".encode())
        digest.update(np.ascontiguousarray(split.images))
        if split.labels is not None:
            digest.update(b"labels ")
            digest.update(np.ascontiguousarray(split.labels, "<i4"))
    return digest.hexdigest()
