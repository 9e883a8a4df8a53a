"""What a dataset is: NHWC images in three disjoint splits, and its identity."""

import dataclasses
import hashlib
import math
import os
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from lossjax.models.pixels import BYTES, Pixels
from lossjax.suite.cli.errors import DataError

SPLITS = ("train", "validation", "test")  # in the order of the fingerprint
HOLD_OUT = 5_000


@dataclasses.dataclass(frozen=True)
class Split:
    """Images (count, height, width, channels); labels int32 (count,) or None.

    Images are uint8, or float32 in [0, 1] with nan where a pixel does not count.
    """

    images: np.ndarray
    labels: np.ndarray | None = None

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.dtype != np.uint8 and not _is_intensity(images):
            raise TypeError(f"Split.images: dtype {images.dtype}; {_remedy(images)}")
        if images.ndim != 4 or not images.shape[3]:
            raise ValueError(
                f"Split.images: shape {images.shape}; "
                "images are (count, height, width, channels)"
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
class Noise:
    """A law by which training targets are disturbed, once per image, on the device.

    `lossjax.suite.data.noise` draws it; `scale` is in intensity, `exponent` belongs to
    the law "variance" alone.
    """

    law: str
    scale: float
    exponent: float = 0.0


@dataclasses.dataclass(frozen=True)
class Content:
    """What a source yields: train, validation and test, and what was planted.

    `pixels` is what the images' pixels are; `span` the values of the file that are
    black and white where that is not 0 to 255.
    """

    splits: Mapping[str, Split]
    description: str = ""
    truth: Mapping[str, object] = dataclasses.field(default_factory=dict)
    noise: Noise | None = None
    pixels: Pixels = BYTES
    span: tuple[float, float] | None = None


@dataclasses.dataclass(frozen=True)
class Options:
    """What a user may ask of any source; None leaves it to the source."""

    image_size: int | None = None
    channels: int | None = None
    max_examples: int | None = None
    group_by: str | None = None
    value_range: tuple[float, float] | None = None
    crops: int | None = None

    def __post_init__(self) -> None:
        if self.channels not in (None, 1, 3):
            raise DataError(f"channels={self.channels!r}: valid are 1 and 3")
        if self.image_size is not None and not 4 <= self.image_size <= 1024:
            raise DataError(f"image_size={self.image_size!r}: valid are 4 to 1024")
        if self.max_examples is not None and self.max_examples < 12:
            raise DataError(f"max_examples={self.max_examples!r}: valid is 12 or more")
        if self.group_by not in (None, "parent"):
            raise DataError(f"group_by={self.group_by!r}: valid is 'parent'")
        if self.crops is not None and self.crops < 1:
            raise DataError(f"crops={self.crops!r}: valid is 1 or more")
        if self.value_range is not None:
            low, high = self.value_range
            if not -math.inf < low < high < math.inf:
                raise DataError(
                    f"value_range={self.value_range!r}: valid are two numbers, black "
                    "and white"
                )


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Three disjoint splits of one image shape.

    `fingerprint` is the sha256 (hex) of every image and label in split order, so it
    names the content and the split, wherever the files lie. `truth` holds what a
    procedural set planted, empty for real pictures; `noise` what the trainer adds to
    the targets; `pixels` and `span` are those of `Content`.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    fingerprint: str
    description: str
    truth: Mapping[str, object] = dataclasses.field(default_factory=dict)
    noise: Noise | None = None
    pixels: Pixels = BYTES
    span: tuple[float, float] | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image."""
        _, height, width, channels = self.train.images.shape
        return height, width, channels

    @property
    def splits(self) -> Mapping[str, Split]:
        """The three splits by name, in the order of the fingerprint."""
        return {name: getattr(self, name) for name in SPLITS}


def make_dataset(name: str, content: Content) -> Dataset:
    """Checks the three splits against each other and seals them with a fingerprint.

    Raises:
      DataError: a split is empty, or the image shapes differ.
    """
    splits = content.splits
    shapes = {key: split.images.shape[1:] for key, split in splits.items()}
    if len(set(shapes.values())) != 1:
        raise DataError(f"{name}: image shapes differ between splits: {shapes}")
    if len(splits["train"]) == 1:
        raise DataError(f"{name}: 1 training image is left; at least 2 are needed")
    for key, split in splits.items():
        if split.images.dtype != content.pixels.kept:
            raise TypeError(
                f"{name}: {key} images are {split.images.dtype} and said to be "
                f"{content.pixels.kept}; {_remedy(split.images)}"
            )
        if not len(split):
            raise DataError(f"{name}: the {key} split is empty; every split needs one")
        low, high = np.nanmin(split.images), np.nanmax(split.images)
        if low == high:
            raise DataError(
                f"{name}: every pixel of the {key} split is {low:g}; blank images "
                "cannot tell losses apart"
            )
        unseen = content.pixels.masked and np.isnan(split.images).all((0, 1, 2)).any()
        if unseen and key == "train":
            raise DataError(
                f"{name}: a channel of the train split has no unmasked pixel"
            )
        if split.images.flags.writeable:
            split.images.flags.writeable = False
    return Dataset(
        name=name,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        fingerprint=_fingerprint(content),
        description=content.description,
        truth=MappingProxyType(dict(content.truth)),
        noise=content.noise,
        pixels=content.pixels,
        span=content.span,
    )


def shown(images: np.ndarray) -> np.ndarray:
    """Images as a picture shows them, uint8; mid-grey where no pixel counts."""
    if images.dtype == np.uint8:
        return images
    return np.rint(255 * np.nan_to_num(images, nan=0.5)).astype(np.uint8)


def plan_splits(
    counts: Mapping[str, int],
    max_examples: int | None = None,
    groups: np.ndarray | None = None,
) -> dict[str, tuple[str, np.ndarray]]:
    """Train, validation and test as (what was found, indices into it).

    A missing test or validation split is taken from the training images: 5,000 of
    them, or a sixth where there are under 10,000. With `groups`, the group of each
    training image, it is whole groups, up to that many images. `max_examples` keeps
    the splits' proportions. Every choice is a fixed permutation.
    """
    plan = {key: (key, np.arange(count)) for key, count in counts.items()}
    for key in ("test", "validation"):
        if key not in plan:
            source, rest = plan["train"]
            if len(rest) < 2:
                raise DataError(f"{len(rest)} training image; at least 2 are needed")
            size = HOLD_OUT if len(rest) >= 2 * HOLD_OUT else max(1, len(rest) // 6)
            if groups is None:
                held, kept = hold_out(len(rest), size)
            else:
                held, kept = hold_out_groups(groups[rest], size)
            plan |= {key: (source, rest[held]), "train": (source, rest[kept])}
    total = sum(len(plan[key][1]) for key in SPLITS)
    if max_examples is not None and total > max_examples:
        for key, (source, index) in plan.items():
            size = max(1, len(index) * max_examples // total)
            plan[key] = (source, index[hold_out(len(index), size)[0]])
    return {key: plan[key] for key in SPLITS}


def three_splits(
    found: Mapping[str, Split],
    max_examples: int | None = None,
    groups: np.ndarray | None = None,
) -> dict[str, Split]:
    """The splits of `plan_splits`, taken from what was found."""
    counts = {key: len(split) for key, split in found.items()}
    plan = plan_splits(counts, max_examples, groups)
    return {
        key: found[source]
        if len(index) == len(found[source])
        else take(found[source], index)
        for key, (source, index) in plan.items()
    }


def take(split: Split, index: np.ndarray) -> Split:
    """The examples of those indices, in that order."""
    labels = None if split.labels is None else split.labels[index]
    return Split(split.images[index], labels)


def check_memory(dataset: Dataset, limit: int) -> None:
    """Refuses a set whose images exceed `limit` bytes of device memory.

    Raises:
      DataError: names the size and the largest `max_examples` that fits.
    """
    size = sum(split.images.nbytes for split in dataset.splits.values())
    if size > limit:
        most = limit // (dataset.pixels.bytes * math.prod(dataset.image_shape))
        raise DataError(
            f"{dataset.name}: {size / 1e9:,.2f} GB of images, {limit / 1e9:,.2f} GB of "
            f"device memory is free for them; max_examples={most} is the most that fits"
        )


def refuse_above_memory(
    name: str, count: int, shape: tuple[int, ...], trimmed: bool = True
) -> None:
    """Raises DataError where images would fill half of this machine's memory.

    `trimmed`: are no more than max_examples of them read?
    """
    one = math.prod(shape)
    limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    if count * one > limit:
        hint = f"; max_examples={limit // one} is the most that fits" * trimmed
        raise DataError(
            f"{name}: {count * one / 1e9:,.1f} GB of images, half of this machine's "
            f"memory is {limit / 1e9:,.1f} GB{hint}"
        )


def hold_out(count: int, *sizes: int) -> list[np.ndarray]:
    """Disjoint sorted index sets of the given sizes, then the rest, fixed for ever."""
    # RandomState's stream is frozen by numpy's policy (NEP 19); Generator's is not,
    # and a split that moves with the numpy version would move every number.
    order = np.random.RandomState(0).permutation(count)
    return [np.sort(part) for part in np.split(order, np.cumsum(sizes))]


def hold_out_groups(groups: np.ndarray, size: int) -> list[np.ndarray]:
    """Sorted indices of whole groups, at most `size` of them all, then of the rest.

    `groups` names the group of each example in its row. They are tried in a fixed
    order, and each is held out that still has room; the smallest where none has.

    Raises:
      DataError: all examples are of one group.
    """
    _, of, counts = np.unique(groups, axis=0, return_inverse=True, return_counts=True)
    if len(counts) < 2:
        raise DataError("all training images are of one group; at least 2 are needed")
    taken: list[int] = []
    for group in np.random.RandomState(0).permutation(len(counts)):
        if counts[taken].sum() + counts[group] <= size:
            taken.append(group)
    held = np.isin(of.reshape(-1), taken or [np.argmin(counts)])
    return [np.flatnonzero(held), np.flatnonzero(~held)]


def _is_intensity(images: np.ndarray) -> bool:
    """Whether these are float32 in [0, 1], but for nan."""
    if images.dtype != np.float32 or not images.size:
        return False
    return not ((images < 0) | (images > 1)).any()


def _remedy(images: np.ndarray) -> str:
    """What to do about an array that is not uint8."""
    if images.dtype.kind == "f" and images.size:
        low, high = float(images.min()), float(images.max())
        if 0 <= low and high <= 1:
            return "images are uint8: pass np.rint(255 * x).astype(np.uint8)"
        if -1 <= low and high <= 1:
            return (
                f"values span [{low:g}, {high:g}]: rescale with np.rint(127.5 * "
                "(x + 1)).astype(np.uint8). A tanh output is a sigmoid of twice its "
                "raw value, 2 sigmoid(2 z) - 1, so the loss that matches it is bce on "
                "raw output 2 z, without the tanh"
            )
    return "images are uint8, 0 to 255"


def _fingerprint(content: Content) -> str:
    digest = hashlib.sha256()
    for key, split in content.splits.items():
        digest.update(f"{key} {split.images.shape} ".encode())
        digest.update(np.ascontiguousarray(split.images).data)
        if split.labels is not None:
            digest.update(b"labels ")
            digest.update(np.ascontiguousarray(split.labels, "<i4").data)
    if content.pixels != BYTES:
        digest.update(f"{content.pixels} ".encode())
    if content.noise is not None:
        digest.update(f"noise {dataclasses.astuple(content.noise)}".encode())
    return digest.hexdigest()
