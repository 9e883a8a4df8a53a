"""Folders of IDX files, the format of MNIST and its relatives, gzipped or not."""

import dataclasses
import itertools
import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

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

_ELEMENT_TYPES = {
    0x08: "unsigned byte", 0x09: "signed byte", 0x0B: "short", 0x0C: "int",
    0x0D: "float", 0x0E: "double",
}  # fmt: skip
_DTYPES: dict[int, np.dtype[Any]] = {0x08: np.dtype("u1"), 0x0B: np.dtype(">i2")}


@dataclasses.dataclass(frozen=True)
class _Kind:
    """What a file of a split holds: how many sizes it may have, and of which codes."""

    name: str
    ranks: tuple[int, ...]
    codes: tuple[int, ...] = (0x08,)


_IMAGES = _Kind("images", (3, 4))
_LABELS = _Kind("labels", (1,))
_GROUPS = _Kind("groups", (1, 2), (0x08, 0x0B))
_LARGEST_SIDE = 4096  # pixels; sizes in the wrong byte order are far above
_INFLATES = 1040  # deflate's largest ratio: no gzip file holds more than that
_CHUNK = 2**20


def idx_folder(folder: str) -> Content:
    """The splits of a folder that holds train-images-idx3-ubyte and its companions.

    `find_idx` knows their other names. Without files of its own for it, validation is
    5,000 of the training images (a sixth where there are under 10,000); whole groups
    up to that many where train-groups-idx1-ubyte says which images belong together:
    the patches of one photograph, say. It may also be -idx2-short, a row per image.
    Label files may be absent, all of them; then labels are None.

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
    groups = None
    if (file := files["train"].groups) is not None:
        groups = _companion(file, _GROUPS, splits["train"].images, files["train"])
    shapes = {part: split.images.shape[1:] for part, split in splits.items()}
    if len(set(shapes.values())) > 1:
        raise DataError(
            f"idx:{folder}: training images are {shapes['train']}, "
            f"test images {shapes['test']}; they must agree"
        )
    try:
        return Content(three_splits(splits, groups=groups))
    except DataError as error:
        raise DataError(f"idx:{folder}: {error}") from None


def idx_bytes(array: np.ndarray) -> bytes:
    """An array of unsigned bytes or shorts as an IDX file holds it."""
    (code,) = (code for code, kind in _DTYPES.items() if kind.name == array.dtype.name)
    head = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return head + array.astype(_DTYPES[code]).tobytes()


def check_idx_folder(folder: str) -> None:
    """Raises DataError, cheaply, when the image files of the folder are not there."""
    find_idx(folder)


def _read_split(files: Files) -> Split:
    images = _read(files.images, _IMAGES)
    if images.ndim == 3:
        images = images[..., None]
    if images.shape[3] not in (1, 3):
        raise DataError(
            f"{files.images}: {images.shape[3]} channels; valid are 1 and 3"
        )
    if files.labels is None:
        return Split(images)
    labels = _companion(files.labels, _LABELS, images, files)
    return Split(images, labels.astype(np.int32))


def _companion(path: Path, kind: _Kind, images: np.ndarray, files: Files) -> np.ndarray:
    """The array of a file that says one thing of each image."""
    array = _read(path, kind)
    if len(array) != len(images):
        raise DataError(
            f"{path}: {len(array)} {kind.name} for the {len(images)} images of "
            f"{files.images.name}; the counts must agree"
        )
    return array


def _read(path: Path, kind: _Kind) -> np.ndarray:
    """The array of an IDX file; its header is believed only as far as the file goes."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            chunks = gunzip(file, path) if zipped else _chunks(file)
            try:
                return _parse(chunks, path, size, zipped, kind)
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
    kind: _Kind,
) -> np.ndarray:
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= 4 + 4 * max(kind.ranks):
            break
    if len(head) < 4:
        raise DataError(f"{path}: {len(head)} bytes; an IDX file starts with 4")
    dtype, rank = _type(path, head[:4], kind)
    body = 4 + 4 * rank
    if len(head) < body:
        raise DataError(f"{path}: the header ends early; {rank} sizes must follow")
    shape = struct.unpack(f">{rank}I", head[4:body])
    if 0 in shape:
        raise DataError(f"{path}: shape {shape} holds no {kind.name}")
    count = math.prod(shape) * dtype.itemsize
    promise = f"{path}: the header promises {shape} = {count:,} bytes, the file"
    most = size * _INFLATES if zipped else size - body
    if count > most:
        swapped = struct.unpack(f"<{rank}I", head[4:body])
        hint = (
            f" (read from the other end its sizes are {swapped}: the byte order is "
            "wrong, valid is the most significant byte first)"
            if 0 < math.prod(swapped) * dtype.itemsize <= most
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
    return array.view(dtype).reshape(shape)


def _type(path: Path, magic: bytes, kind: _Kind) -> tuple[np.dtype[Any], int]:
    """Of the elements, and how many sizes follow the magic number."""
    zero, code, rank = map(int, struct.unpack(">HBB", magic))
    if not zero and code in kind.codes and rank in kind.ranks:
        return _DTYPES[code], rank
    valid = " or ".join(
        f"0x{one << 8 | rank:08x}" for one in kind.codes for rank in kind.ranks
    )
    detail = ""
    if not zero and code in _ELEMENT_TYPES:
        detail = f" ({_ELEMENT_TYPES[code]}, {rank} dimensions)"
        if code not in kind.codes and kind is _IMAGES:
            detail += "; only 8-bit pixels are read: save them as unsigned bytes"
    raise DataError(
        f"{path}: magic 0x{magic.hex()}{detail}; valid for {kind.name} is {valid}"
    )
