"""The image sets of tensorflow-datasets by name, and how to write them without TF."""

import dataclasses
import functools
import gzip
import io
import tarfile
import types
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_Examples = Iterator[tuple[int, dict[str, Any]]]


@dataclasses.dataclass(frozen=True)
class TfdsSet:
    """One image set: where its images and labels are, and what they look like."""

    name: str
    version: str
    config: str | None
    image: str
    shape: tuple[int | None, int | None, int]
    label: str | None

    @property
    def preparable(self) -> bool:
        """Can `data prepare` write it without TensorFlow?"""
        return self.name in UPSTREAM or self.name in OWN


@functools.cache
def tfds_sets() -> Mapping[str, TfdsSet]:
    """Every image set of tensorflow-datasets, from the stored list."""
    rows = {}
    text = Path(__file__).with_name("tfds_sets.tsv").read_text()
    for line in text.splitlines():
        if not line.startswith("#"):
            name, version, config, image, shape, label = line.split("\t")
            height, width, channels = shape.split("x")
            rows[name] = TfdsSet(
                name,
                version,
                None if config == "-" else config,
                image,
                (
                    None if height == "?" else int(height),
                    None if width == "?" else int(width),
                    int(channels),
                ),
                None if label == "-" else label,
            )
    return types.MappingProxyType(rows)


@dataclasses.dataclass(frozen=True)
class Upstream:
    """How the upstream files of one set are read with gzip, tar, zip and numpy alone.

    `examples` takes the builder and the downloaded files by upstream name, and returns
    the examples of each split; `counts` says how many those are. `levels` multiplies
    what is stored to reach 0..255; `transpose` turns images that are stored on their
    side.
    """

    files: tuple[str, ...]
    examples: Callable[[Any, Mapping[str, Path]], dict[str, _Examples]]
    megabytes: int
    counts: Mapping[str, int]
    levels: int = 1
    transpose: bool = False

    @property
    def sizes(self) -> str:
        """How many images each split has, for a reader."""
        return " + ".join(f"{count:,}" for count in self.counts.values())


def _counts(train: int, *others: int) -> Mapping[str, int]:
    names = ("validation", "test")[-len(others) :]
    return types.MappingProxyType(
        {"train": train, **dict(zip(names, others, strict=True))}
    )


def png(image: np.ndarray) -> io.BytesIO:
    """PNG bytes: what features.Image takes without TensorFlow."""
    buffer = io.BytesIO()
    Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image).save(
        buffer, "PNG"
    )
    return io.BytesIO(buffer.getvalue())


def _idx_pairs(images: bytes, labels: bytes) -> _Examples:
    pixels = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28, 1)
    classes = np.frombuffer(labels, np.uint8, offset=8)
    if len(pixels) != len(classes):
        raise ValueError(f"{len(pixels)} images but {len(classes)} labels")
    for index, (image, label) in enumerate(zip(pixels, classes, strict=True)):
        yield index, {"image": png(image), "label": int(label)}


def _mnist(builder: Any, files: Mapping[str, Path]) -> dict[str, _Examples]:
    def split(part: str) -> _Examples:
        images, labels = (
            gzip.decompress(files[f"{part}-{kind}-ubyte.gz"].read_bytes())
            for kind in ("images-idx3", "labels-idx1")
        )
        return _idx_pairs(images, labels)

    return {"train": split("train"), "test": split("t10k")}


def _emnist(builder: Any, files: Mapping[str, Path]) -> dict[str, _Examples]:
    stem = f"gzip/emnist-{builder.builder_config.name}"

    def split(part: str) -> _Examples:
        with zipfile.ZipFile(files["gzip.zip"]) as archive:
            images, labels = (
                gzip.decompress(archive.read(f"{stem}-{part}-{kind}-ubyte.gz"))
                for kind in ("images-idx3", "labels-idx1")
            )
        return _idx_pairs(images, labels)

    return {"train": split("train"), "test": split("test")}


def _cifar(builder: Any, files: Mapping[str, Path]) -> dict[str, _Examples]:
    info = builder._cifar_info  # its file lists and label keys; nothing public has them
    (path,) = files.values()
    with tarfile.open(path) as archive:
        for key, name in zip(info.label_keys, info.label_files, strict=True):
            text = _member(archive, info.prefix + name).decode()
            builder.info.features[key].names = text.split()

    def split(part: str, names: list[str]) -> _Examples:
        width = len(info.label_keys)
        index = 0
        with tarfile.open(path) as archive:
            for name in names:
                block = np.frombuffer(_member(archive, info.prefix + name), np.uint8)
                for row in block.reshape(-1, width + 3072):
                    labels = dict(
                        zip(info.label_keys, row[:width].tolist(), strict=True)
                    )
                    image = row[width:].reshape(3, 32, 32).transpose(1, 2, 0)
                    yield (
                        index,
                        {
                            **labels,
                            "id": f"{part}_{index:05d}",
                            "image": png(np.ascontiguousarray(image)),
                        },
                    )
                    index += 1

    return {
        "train": split("train", info.train_files),
        "test": split("test", info.test_files),
    }


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise KeyError(name)
    return file.read()


def _svhn(builder: Any, files: Mapping[str, Path]) -> dict[str, _Examples]:
    # The "extra" split (1.3 GB) is left out: nothing here trains on it, and TFDS needs
    # TensorFlow to write a split of more than 1 GB.
    from scipy.io import loadmat

    def split(part: str) -> _Examples:
        content = loadmat(files[f"{part}_32x32.mat"])
        for index, label in enumerate(content["y"].ravel().tolist()):
            image = np.ascontiguousarray(content["X"][..., index])
            yield (
                index,
                {
                    "image": png(image),
                    "label": label % 10,  # upstream writes the digit 0 as 10
                    "id": f"{part}_{index:06d}",
                },
            )

    return {"train": split("train"), "test": split("test")}


def _binarized(builder: Any, files: Mapping[str, Path]) -> dict[str, _Examples]:
    def split(part: str) -> _Examples:
        text = np.fromfile(files[f"binarized_mnist_{part}.amat"], np.uint8)
        # "0 1 0 ...\n": every other byte is a digit, so no number needs parsing.
        pixels = (text[::2] - ord("0")).reshape(-1, 28, 28, 1)
        for index, image in enumerate(pixels):
            yield index, {"image": png(image)}

    return {
        "train": split("train"),
        "validation": split("valid"),
        "test": split("test"),
    }


_MNIST_FILES = tuple(
    f"{part}-{kind}-ubyte.gz"
    for part in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
)
_BINARIZED_FILES = tuple(
    f"binarized_mnist_{part}.amat" for part in ("train", "valid", "test")
)
# Builders that this project brings itself, by the module that registers them.
OWN: Mapping[str, str] = types.MappingProxyType(
    {"sklearn_digits": "lossjax.suite.data.tfds_digits"}
)
UPSTREAM: Mapping[str, Upstream] = types.MappingProxyType(
    {
        "mnist": Upstream(_MNIST_FILES, _mnist, 12, _counts(60_000, 10_000)),
        "fashion_mnist": Upstream(_MNIST_FILES, _mnist, 31, _counts(60_000, 10_000)),
        "kmnist": Upstream(_MNIST_FILES, _mnist, 22, _counts(60_000, 10_000)),
        "emnist": Upstream(
            ("gzip.zip",), _emnist, 562, _counts(697_932, 116_323), transpose=True
        ),
        "cifar10": Upstream(
            ("cifar-10-binary.tar.gz",), _cifar, 171, _counts(50_000, 10_000)
        ),
        "cifar100": Upstream(
            ("cifar-100-binary.tar.gz",), _cifar, 169, _counts(50_000, 10_000)
        ),
        "svhn_cropped": Upstream(
            ("train_32x32.mat", "test_32x32.mat"), _svhn, 247, _counts(73_257, 26_032)
        ),
        "binarized_mnist": Upstream(
            _BINARIZED_FILES,
            _binarized,
            110,
            _counts(50_000, 10_000, 10_000),
            levels=255,
        ),
    }
)
