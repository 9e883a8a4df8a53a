"""Folders of IDX files, the format of MNIST and its relatives, gzipped or not."""

import itertools
import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.dataset import (
    Content,
    Split,
    refuse_above_memory,
    three_splits,
)
from lossjax.suite.data.idx_names import Files, find_idx
from lossjax.suite.store.untrusted import UntrustedError, gunzip, open_regular

_UNSIGNED_BYTE = 0x08
_ELEMENT_TYPES = {
    0x08: "unsigned byte", 0x09: "signed byte", 0x0B: "short", 0x0C: "int",
    0x0D: "float", 0x0E: "double",
}  # fmt: skip
_LARGEST_SIDE = 4096  # pixels; sizes in the wrong byte order are far above
_INFLATES = 1040  # deflate's largest ratio: no gzip file holds more than that
_CHUNK = 2**20


def idx_folder(folder: str) -> Content:
    """The splits of a folder that holds train-images-idx3-ubyte and its companions.

    `find_idx` knows their other names. Without files of its own for it, validation is
    5,000 of the training images (a sixth where there are under 10,000). Label files may
    be absent, all of them; then labels are None.

    Raises:
      DataError: a file is missing, short, long or damaged, or the files disagree.
    """
    files = find_idx(folder)
    bare = [part for part, one in files.items() if one.labels is None]
    if bare and len(bare) < len(files):
        which = {"test": "t10k"}.get(bare[0], bare[0])
        raise DataError(
            f"idx:{folder}: {which}-labels-idx1-ubyte is missing while another label "
            "file is there; valid are all label files or none"
        )
    splits = {part: _read_split(one) for part, one in files.items()}
    shapes = {part: split.images.shape[1:] for part, split in splits.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(
            f"idx:{folder}: training images are {shapes['train']}, "
            f"test images {shapes['test']}; they must agree"
        )
    try:
        return Content(three_splits(splits))
    except DataError as error:
        raise DataError(f"idx:{folder}: {error}") from None


def check_idx_folder(folder: str) -> None:
    """Raises DataError, cheaply, when the image files of the folder are not there."""
    find_idx(folder)


def _read_split(files: Files) -> Split:
    images = _read(files.images, (3, 4), "images")
    if images.ndim == 3:
        images = images[..., None]
    if images.shape[3] not in (1, 3):
        raise DataError(
            f"{files.images}: {images.shape[3]} channels; valid are 1 and 3"
        )
    if files.labels is None:
        return Split(images)
    labels = _read(files.labels, (1,), "labels")
    if len(labels) != len(images):
        raise DataError(
            f"{files.labels}: {len(labels)} labels for the {len(images)} images of "
            f"{files.images.name}; the counts must agree"
        )
    return Split(images, labels.astype(np.int32))


def _read(path: Path, dimensions: tuple[int, ...], kind: str) -> np.ndarray:
    """The array of an IDX file; its header is believed only as far as the file goes."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            chunks = gunzip(file, path) if zipped else _chunks(file)
            try:
                return _parse(chunks, path, size, zipped, dimensions, kind)
            except UntrustedError as error:
                raise DataError(
                    f"{error}; valid is a whole IDX file: copy it again"
                ) from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _parse(
    chunks: Iterator[bytes],
    path: Path,
    size: int,
    zipped: bool,
    dimensions: tuple[int, ...],
    kind: str,
) -> np.ndarray:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 4 + 4 * max(dimensions):
            break
    if len(head) < 4:
        raise DataError(f"{path}: {len(head)} bytes; an IDX file starts with 4")
    rank = _rank(path, head[:4], dimensions, kind)
    body = 4 + 4 * rank
    if len(head) < body:
        raise DataError(f"{path}: the header ends early; {rank} sizes must follow")
    shape = struct.unpack(f">{rank}I", head[4:body])
    if 0 in shape:
        raise DataError(f"{path}: shape {shape} holds no {kind}")
    count = math.prod(shape)
    promise = f"{path}: the header promises {shape} = {count:,} bytes, the file"
    most = size * _INFLATES if zipped else size - body
    if count > most:
        swapped = struct.unpack(f"<{rank}I", head[4:body])
        hint = (
            f" (read from the other end its sizes are {swapped}: the byte order is "
            "wrong, valid is the most significant byte first)"
            if 0 < math.prod(swapped) <= most
            else ""
        )
        found = f"can hold at most {most:,}" if zipped else f"holds only {most:,}"
        raise DataError(f"{promise} {found}; valid is exactly that many{hint}")
    if max(shape[1:3], default=1) > _LARGEST_SIDE:
        raise DataError(
            f"{path}: images of {' x '.join(map(str, shape[1:]))} pixels; valid are "
            f"sides up to {_LARGEST_SIDE}"
        )
    refuse_above_memory(str(path), shape[0], shape[1:], trimmed=False)
    array = np.empty(count, np.uint8)
    filled = 0
    for chunk in itertools.chain([head[body:]], chunks):
        if filled + len(chunk) > count:
            raise DataError(f"{promise} holds more; valid is exactly that many")
        array[filled : filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
        filled += len(chunk)
    if filled < count:
        raise DataError(f"{promise} holds only {filled:,}; valid is exactly that many")
    return array.reshape(shape)


def _rank(path: Path, magic: bytes, dimensions: tuple[int, ...], kind: str) -> int:
    """How many sizes follow the magic number."""
    zero, code, rank = struct.unpack(">HBB", magic)
    if not zero and code == _UNSIGNED_BYTE and rank in dimensions:
        return rank
    valid = " or ".join(f"0x{_UNSIGNED_BYTE << 8 | one:08x}" for one in dimensions)
    detail = ""
    if not zero and code in _ELEMENT_TYPES:
        detail = f" ({_ELEMENT_TYPES[code]}, {rank} dimensions)"
        if code != _UNSIGNED_BYTE and kind == "images":
            detail += "; only 8-bit pixels are read: save them as unsigned bytes"
    raise DataError(
        f"{path}: magic 0x{magic.hex()}{detail}; valid for {kind} is {valid}"
    )
