"""`arrays:FILE[:KEY]`: images, and labels if there are any, of a NumPy or HDF5 file."""

import contextlib
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.dataset import (
    Content,
    Options,
    Split,
    hold_out,
    refuse_above_memory,
)
from lossjax.suite.data.folders import expanded
from lossjax.suite.data.intensities import intensities
from lossjax.suite.store.untrusted import printable
from lossjax.suite.wording import count
from lossjax.syntax import nearest

FEWEST = 12  # images; fewer cannot fill three splits
MOST_CHANNELS = 1024
_LARGEST_SIDE = 4096
_VALID = "valid is arrays:FILE.npy, FILE.npz or FILE.h5, with :KEY behind it or none"
_NAME = re.compile(r"(.+\.(npy|npz|h5|hdf5))(?::(.+))?", re.IGNORECASE | re.DOTALL)
_SHAPE = "images are n x height x width or n x height x width x channels"
_Arrays = Mapping[str, Any]


def arrays_file(argument: str, options: Options) -> Content:
    """The images of a file, and its labels and mask if there are any.

    Bytes are taken as they are, and become images of bytes. Numbers of other types lie
    between the two ends of `value_range`, floats in [0, 1] without one, and become
    float32. An array `mask` beside the images is true where a pixel counts.

    Raises:
      DataError: there is no such file or array, or it is none of images; one line.
    """
    file, kind, key = _parts(argument)
    name = f"arrays:{argument}"
    try:
        with _OPENERS[kind](file, name) as arrays:
            return _content(arrays, key, name, options)
    except DataError:
        raise
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())[:200]
        raise DataError(f"{name}: cannot be read ({reason})") from error
    # A file that is damaged or none of its kind: whatever its reader meets.
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise DataError(f"{name}: no {kind} file that can be read ({reason})") from None


def check_arrays_file(argument: str) -> Path:
    """The file; DataError where the name is none, or nothing can be read there."""
    file, _, _ = _parts(argument)
    name = f"arrays:{argument[:200]}"
    try:
        if not file.exists():
            beside = [p.name for p in file.parent.glob("*") if _NAME.fullmatch(p.name)]
            near = nearest(file.name, sorted(beside)[:1000])
            hint = f"; did you mean {near}?" if near else f"; {_VALID}"
            raise DataError(f"{name}: {str(file)[:200]!r} does not exist{hint}")
        if not file.is_file():
            raise DataError(f"{name}: is not a regular file; {_VALID}")
        with open(file, "rb"):
            return file
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror})") from None


def _parts(argument: str) -> tuple[Path, str, str]:
    """File, its kind in lower case, and the key or ""."""
    match = _NAME.fullmatch(argument)
    if match is None:
        raise DataError(f"arrays:{argument[:200]}: {_VALID}")
    file, kind, key = match.groups()
    return expanded(file, "arrays:"), kind.lower(), key or ""


@contextlib.contextmanager
def _npy(file: Path, name: str) -> Iterator[_Arrays]:
    """The one array of a .npy file, memory-mapped: pages are read where needed."""
    yield {"": np.load(file, mmap_mode="r", allow_pickle=False)}


@contextlib.contextmanager
def _npz(file: Path, name: str) -> Iterator[_Arrays]:
    """The arrays of a .npz file; none that would fill the memory is unpacked."""
    with zipfile.ZipFile(file) as members:
        largest = max((one.file_size for one in members.infolist()), default=0)
    refuse_above_memory(name, largest, (1,), trimmed=False)
    with np.load(file, allow_pickle=False) as arrays:
        yield arrays


@contextlib.contextmanager
def _hdf5(file: Path, name: str) -> Iterator[_Arrays]:
    """The arrays of an HDF5 file by their path; only what is asked for is read."""
    try:
        import h5py
    except ImportError:
        raise DataError(
            f"{name}: h5py, which reads HDF5, is not installed: {sys.executable} "
            "-m pip install h5py"
        ) from None
    found: dict[str, Any] = {}

    def note(path: str, one: Any) -> None:
        # What lies in another file is none of this one's.
        inside = isinstance(one, h5py.Dataset) and not one.is_virtual
        if inside and not one.external:
            found[path] = one

    with h5py.File(file, "r") as opened:
        opened.visititems(note)
        yield found


_OPENERS: Mapping[
    str, Callable[[Path, str], contextlib.AbstractContextManager[_Arrays]]
] = {
    "npy": _npy,
    "npz": _npz,
    "h5": _hdf5,
    "hdf5": _hdf5,
}


def _content(arrays: _Arrays, key: str, name: str, options: Options) -> Content:
    key = _key(arrays, key, name)
    group = key.rpartition("/")[0]
    beside = f"{group}/" if group else ""
    images, labels, mask = arrays[key], None, None
    _check_shape(images, name)
    if key and f"{beside}labels" in arrays:
        labels = _labels(np.asarray(arrays[f"{beside}labels"]), len(images), name)
    if key and f"{beside}mask" in arrays:
        mask = _mask(arrays[f"{beside}mask"], images.shape, name)
    seen = np.arange(len(images))
    if mask is not None:
        seen = np.flatnonzero(mask.any(axis=tuple(range(1, mask.ndim))))
    kept = seen
    if options.max_examples is not None and len(seen) > options.max_examples:
        kept = seen[hold_out(len(seen), options.max_examples)[0]]
    _refuse_few(len(kept), name)
    found = intensities(images, mask, kept, name, options.value_range)
    words = [f"{len(images)} images, {images.dtype}"]
    if unseen := len(images) - len(seen):
        words.append(f"{unseen} without a pixel that counts are left out")
        print(printable(f"{name}: {words[-1]}"), file=sys.stderr)
    if labels is not None:
        labels = labels[kept]
    return Content(
        {"train": Split(found.images, labels)},
        "; ".join(words),
        pixels=found.pixels,
        span=found.span,
    )


def _key(arrays: _Arrays, key: str, name: str) -> str:
    """The key of the images: the one asked for, `images`, or the only one there is."""
    known = sorted(arrays)
    if not known:
        raise DataError(f"{name}: holds no array")
    if not key:
        key = known[0] if len(known) == 1 else "images"
    if key in known:
        return key
    if known == [""]:
        raise DataError(f"{name}: a .npy file holds one array, without a key")
    near = nearest(key, known)
    hint = f"did you mean {near}? " if near else ""
    raise DataError(f"{name}: no array {key!r}; {hint}valid: {', '.join(known)[:500]}")


def _check_shape(images: Any, name: str) -> None:
    shape, kind = tuple(images.shape), np.dtype(images.dtype).kind
    if kind not in "buif":
        raise DataError(f"{name}: {images.dtype} are no images; {_SHAPE}, of numbers")
    if len(shape) not in (3, 4):
        raise DataError(f"{name}: an array of shape {shape}; {_SHAPE}")
    number, height, width, *channels = shape
    _refuse_few(number, name)
    if channels and height <= 4 < min(width, channels[0]):
        raise DataError(
            f"{name}: shape {shape} has the channels first; {_SHAPE}: save "
            "np.moveaxis(images, 1, -1)"
        )
    if not 2 <= min(height, width) <= max(height, width) <= _LARGEST_SIDE:
        raise DataError(
            f"{name}: images of {height} x {width} pixels; valid are sides of 2 to "
            f"{_LARGEST_SIDE}"
        )
    if channels and not 1 <= channels[0] <= MOST_CHANNELS:
        raise DataError(
            f"{name}: {channels[0]} channels; valid are 1 to {MOST_CHANNELS}"
        )


def _refuse_few(number: int, name: str) -> None:
    if number < FEWEST:
        few = count(number, "image")
        raise DataError(f"{name}: {few}; at least {FEWEST} are needed")


def _labels(labels: np.ndarray, number: int, name: str) -> np.ndarray:
    """Labels as int32, refused where they are not one whole number an image."""
    if labels.shape != (number,) or labels.dtype.kind not in "bui":
        raise DataError(
            f"{name}: labels of {labels.dtype} {labels.shape}; valid is one whole "
            f"number for each of {number} images"
        )
    ends = np.iinfo(np.int32)
    if labels.min() < ends.min or labels.max() > ends.max:
        raise DataError(f"{name}: labels up to {labels.max()}; valid fit 32 bits")
    return labels.astype(np.int32)


def _mask(mask: Any, shape: tuple[int, ...], name: str) -> np.ndarray:
    """A mask as bool, refused where it is not one truth value a pixel."""
    if tuple(mask.shape) not in {tuple(shape), tuple(shape[:3])}:
        raise DataError(
            f"{name}: a mask of shape {tuple(mask.shape)} for images of {tuple(shape)};"
            " valid is that shape, or that without channels"
        )
    values = np.asarray(mask[...])
    if values.dtype.kind not in "bui" or not (values <= 1).all() or values.min() < 0:
        raise DataError(
            f"{name}: a mask of {values.dtype} from {values.min()} to {values.max()}; "
            "valid are 1 or true, where a pixel counts, and 0 or false"
        )
    return values.astype(np.bool_)
