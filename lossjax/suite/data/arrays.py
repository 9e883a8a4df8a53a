"""`arrays:FILE[:KEY]`: images, and labels if there are any, of a NumPy or HDF5 file."""

import contextlib
import math
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
from lossjax.suite.store.untrusted import printable
from lossjax.syntax import nearest

FEWEST = 12  # images; fewer cannot fill three splits
MOST_CHANNELS = 1024
_LARGEST_SIDE = 4096
_VALID = "valid is arrays:FILE.npy, FILE.npz or FILE.h5, with :KEY behind it or none"
_NAME = re.compile(r"(.+\.(npy|npz|h5|hdf5))(?::(.+))?", re.IGNORECASE | re.DOTALL)
_SHAPE = "images are n x height x width or n x height x width x channels"
_AT_ONCE = 2**24  # values, while they are 64-bit floats
_Arrays = Mapping[str, Any]


def arrays_file(argument: str, options: Options) -> Content:
    """The images of a file, 256 levels from black to white, and its labels.

    Bytes are taken as they are. Numbers of other types are levels between the two ends
    of `value_range`, floats in [0, 1] without one; what is not one of 256 levels is
    rounded to the nearest, which is said.

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
    if key and f"{beside}mask" in arrays:
        raise DataError(
            f"{name}: has a mask, and masks are not taken: every pixel would count; "
            "save the images without it"
        )
    images = arrays[key]
    _check_shape(images, name)
    labels = None
    if key and f"{beside}labels" in arrays:
        labels = _labels(np.asarray(arrays[f"{beside}labels"]), len(images), name)
    refuse_above_memory(name, len(images), images.shape[1:])
    kept = np.arange(len(images))
    if options.max_examples is not None and len(images) > options.max_examples:
        kept = hold_out(len(images), options.max_examples)[0]
        labels = None if labels is None else labels[kept]
    levels, note = _levels(images, kept, name, options.value_range)
    if note:
        print(printable(f"{name}: {note}"), file=sys.stderr)
    words = f"{len(images)} images, {images.dtype}{note and f'; {note}'}"
    return Content({"train": Split(levels, labels)}, words)


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
    count, height, width, *channels = shape
    if count < FEWEST:
        raise DataError(f"{name}: {count} images; at least {FEWEST} are needed")
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


def _labels(labels: np.ndarray, count: int, name: str) -> np.ndarray:
    """Labels as int32, refused where they are not one whole number an image."""
    if labels.shape != (count,) or labels.dtype.kind not in "bui":
        raise DataError(
            f"{name}: labels of {labels.dtype} {labels.shape}; valid is one whole "
            f"number for each of {count} images"
        )
    ends = np.iinfo(np.int32)
    if labels.min() < ends.min or labels.max() > ends.max:
        raise DataError(f"{name}: labels up to {labels.max()}; valid fit 32 bits")
    return labels.astype(np.int32)


def _levels(
    images: Any, kept: np.ndarray, name: str, asked: tuple[float, float] | None
) -> tuple[np.ndarray, str]:
    """Those images as uint8 (n, height, width, channels), and what to say of them."""
    kind = np.dtype(images.dtype)
    shape = (*images.shape[1:], *(1,) * (4 - len(images.shape)))
    whole = len(kept) == len(images)
    if kind == np.uint8 and asked in (None, (0, 255)):
        taken = images[...] if whole else images[kept]
        return np.asarray(taken).reshape(-1, *shape), ""
    step = max(1, _AT_ONCE // math.prod(shape))
    spans = [_span(images[i : i + step], name) for i in range(0, len(images), step)]
    low, high = min(a for a, _ in spans), max(b for _, b in spans)
    black, white = _range(kind, low, high, name, asked)
    out = np.empty((len(kept), *shape), np.uint8)
    exact = True
    for start in range(0, len(kept), step):
        places = kept[start : start + step]
        chunk = images[start : start + step] if whole else images[places]
        share = (np.asarray(chunk, np.float64) - black) / (white - black)
        rounded = np.rint(255 * share)
        exact = exact and bool(np.abs(rounded - 255 * share).max() < 1e-3)
        out[start : start + step] = rounded.reshape(-1, *shape)
    return out, "" if exact else f"rounded to 256 levels of {black:g} to {white:g}"


def _span(chunk: Any, name: str) -> tuple[float, float]:
    values = np.asarray(chunk)
    if values.dtype.kind == "f" and (bad := int((~np.isfinite(values)).sum())):
        raise DataError(
            f"{name}: {bad} of the first {values.size} values are nan or infinite; "
            "valid are numbers: replace them, or leave those images out"
        )
    return float(values.min()), float(values.max())


def _range(
    kind: np.dtype[Any],
    low: float,
    high: float,
    name: str,
    asked: tuple[float, float] | None,
) -> tuple[float, float]:
    """Black and white; DataError where nobody said them, or a value lies outside."""
    found = f"{name}: values from {low:g} to {high:g}"
    if asked is not None:
        black, white = asked
        if not black <= low <= high <= white:
            raise DataError(
                f"{found} lie outside config.value_range={black:g},{white:g}; nothing "
                "is clipped: give the range that holds them"
            )
        return black, white
    if kind.kind == "b" or (kind.kind == "f" and 0 <= low <= high <= 1):
        return 0, 1
    least = min(0, math.floor(low))
    most = max(1, 2 ** math.ceil(math.log2(max(high, 1) + 1)) - 1)
    guess = "-1,1" if -1 <= low < 0 and high <= 1 else f"{least:g},{most:g}"
    raise DataError(
        f"{found} ({kind}); say which are black and white, such as "
        f"--config.value_range={guess}; without it floats must lie in [0, 1]"
    )
