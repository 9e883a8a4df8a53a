"""Folders of IDX files, the format of MNIST and its relatives, gzipped or not."""

import gzip
import io
import struct
import zlib
from pathlib import Path

import numpy as np

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.dataset import Content, Split, three_splits

_UNSIGNED_BYTE = 0x08
_ELEMENT_TYPES = {
    0x08: "unsigned byte", 0x09: "signed byte", 0x0B: "short", 0x0C: "int",
    0x0D: "float", 0x0E: "double",
}  # fmt: skip


def idx_folder(folder: str) -> Content:
    """The splits of a folder that holds train-images-idx3-ubyte and its companions.

    5,000 training images become validation (a sixth where there are under 10,000).
    Label files may be absent, both of them; then labels are None.

    Raises:
      DataError: a file is missing, short, long or damaged, or the files disagree.
    """
    train = _read_split(folder, "train")
    test = _read_split(folder, "t10k")
    if (train.labels is None) != (test.labels is None):
        which = "train" if train.labels is None else "t10k"
        raise DataError(
            f"idx:{folder}: {which}-labels-idx1-ubyte is missing while the other "
            "label file is there; valid are both label files or none"
        )
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"idx:{folder}: training images are {train.images.shape[1:]}, "
            f"test images {test.images.shape[1:]}; they must agree"
        )
    return Content(three_splits({"train": train, "test": test}))


def check_idx_folder(folder: str) -> None:
    """Raises DataError, cheaply, when the image files of the folder are not there."""
    for part in ("train", "t10k"):
        _find_images(folder, part)


def _read_split(folder: str, part: str) -> Split:
    path = _find_images(folder, part)
    images = _read(path, (3, 4), "images")
    if images.ndim == 3:
        images = images[..., None]
    if images.shape[3] not in (1, 3):
        raise DataError(f"{path}: {images.shape[3]} channels; valid are 1 and 3")
    label_path = _find(folder, part, "labels")
    if label_path is None:
        return Split(images)
    labels = _read(label_path, (1,), "labels")
    if len(labels) != len(images):
        raise DataError(
            f"{label_path}: {len(labels)} labels for the {len(images)} images of "
            f"{path.name}; the counts must agree"
        )
    return Split(images, labels.astype(np.int32))


def _find(folder: str, part: str, kind: str) -> Path | None:
    """The file of one split, whichever of its usual spellings is there."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        state = "is not a folder" if root.exists() else "does not exist"
        raise DataError(
            f"idx:{folder}: {str(root)!r} {state}; valid is a folder of IDX files, "
            "idx:DIR"
        )
    for rank in ("idx3", "idx4") if kind == "images" else ("idx1",):
        for joint in "-.":
            for suffix in ("", ".gz"):
                path = root / f"{part}-{kind}{joint}{rank}-ubyte{suffix}"
                if path.is_file():
                    return path
    return None


def _find_images(folder: str, part: str) -> Path:
    path = _find(folder, part, "images")
    if path is None:
        raise DataError(
            f"idx:{folder}: {part}-images-idx3-ubyte (or .gz) is missing; valid is a "
            "folder with train-images, train-labels, t10k-images and t10k-labels"
        )
    return path


def _read(path: Path, dimensions: tuple[int, ...], kind: str) -> np.ndarray:
    try:
        with open(path, "rb") as file:
            zipped = file.peek(2)[:2] == b"\x1f\x8b"
            with gzip.open(file) if zipped else file as stream:
                return _parse(stream, path, dimensions, kind)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(
            f"{path}: damaged gzip file ({error}); valid is a whole IDX file: copy it "
            "again"
        ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _parse(
    stream: io.BufferedIOBase, path: Path, dimensions: tuple[int, ...], kind: str
) -> np.ndarray:
    magic = stream.read(4)
    if len(magic) < 4:
        raise DataError(f"{path}: {len(magic)} bytes; an IDX file starts with 4")
    zero, code, rank = struct.unpack(">HBB", magic)
    valid = " or ".join(f"0x{_UNSIGNED_BYTE << 8 | rank:08x}" for rank in dimensions)
    if zero or code != _UNSIGNED_BYTE or rank not in dimensions:
        detail = ""
        if not zero and code in _ELEMENT_TYPES:
            detail = f" ({_ELEMENT_TYPES[code]}, {rank} dimensions)"
        raise DataError(
            f"{path}: magic 0x{magic.hex()}{detail}; valid for {kind} is {valid}"
        )
    header = stream.read(4 * rank)
    if len(header) < 4 * rank:
        raise DataError(f"{path}: the header ends early; {rank} sizes must follow")
    shape = struct.unpack(f">{rank}I", header)
    if 0 in shape:
        raise DataError(f"{path}: shape {shape} holds no {kind}")
    count = int(np.prod(shape, dtype=object))
    payload = stream.read(count + 1)
    if len(payload) != count:
        found = f"only {len(payload):,}" if len(payload) < count else "more"
        raise DataError(
            f"{path}: the header promises {shape} = {count:,} bytes, the file holds "
            f"{found}; valid is exactly that many"
        )
    return np.frombuffer(payload, np.uint8).reshape(shape)
