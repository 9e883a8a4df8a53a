"""Numbers of any type as what trains: bytes as they are, all else as intensity."""

import math
from typing import Any, NamedTuple

import numpy as np

from lossjax.models.pixels import BYTES, Pixels
from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.dataset import refuse_above_memory

_AT_ONCE = 2**24  # values, while they are 64-bit floats
_TOLD_APART = 2**24  # levels, by a float32
Range = tuple[float, float]


class Intensities(NamedTuple):
    """Images (n, height, width, channels), what their pixels are, black and white."""

    images: np.ndarray
    pixels: Pixels
    span: Range | None


def intensities(
    images: Any, mask: Any, kept: np.ndarray, name: str, asked: Range | None
) -> Intensities:
    """The images of those places, from black, 0, to white, 1.

    Args:
      images: numbers (n, height, width) or (n, height, width, channels), an array or
        what reads one from a file.
      mask: of one of these two shapes, where a pixel counts; None: everywhere.
      kept: places of the images that are taken, in order.
      name: of the data, in messages.
      asked: which numbers are black and white; None: as the type says.

    Raises:
      DataError: a pixel that counts is no number or outside that range, or nobody said
        which it is.
    """
    kind = np.dtype(images.dtype)
    shape = (*images.shape[1:], *(1,) * (4 - len(images.shape)))
    whole = len(kept) == len(images)
    if mask is None and kind == np.uint8 and asked in (None, (0, 255)):
        refuse_above_memory(name, len(kept), shape)
        taken = np.asarray(images[...] if whole else images[kept])
        return Intensities(taken.reshape(-1, *shape), BYTES, None)
    refuse_above_memory(name, len(kept), (*shape, np.dtype(np.float32).itemsize))
    step = max(1, _AT_ONCE // math.prod(shape))
    chunks = [slice(k, k + step) for k in range(0, len(images), step)]
    spans = [_span(images[k], None if mask is None else mask[k], name) for k in chunks]
    low, high = min(a for a, _ in spans), max(b for _, b in spans)
    black, white = _range(kind, low, high, name, asked)
    if mask is None and kind.kind == "b" and (black, white) == (0, 1):
        taken = np.multiply(images[...] if whole else images[kept], np.uint8(255))
        return Intensities(taken.reshape(-1, *shape), BYTES, None)
    levels = levels_between(black, white) if kind.kind in "bui" else 0
    pixels = Pixels(levels, "float32", mask is not None)
    if mask is None and whole and kind == np.float32 and (black, white) == (0, 1):
        # Not a copy: a mapped file stays one.
        return Intensities(np.asarray(images[...]).reshape(-1, *shape), pixels, (0, 1))
    out = np.empty((len(kept), *shape), np.float32)
    for start in range(0, len(kept), step):
        part = slice(start, start + step)
        places = part if whole else kept[part]
        values = np.asarray(images[places], np.float64).reshape(-1, *shape)
        out[part] = (values - black) / (white - black)
        if mask is not None:
            seen = _along(np.asarray(mask[places], np.bool_), out[part].ndim)
            np.copyto(out[part], np.float32(np.nan), where=~seen)
    return Intensities(out, pixels, (black, white))


def _along(mask: np.ndarray, rank: int) -> np.ndarray:
    """A mask of so many axes: one without channels is that of each."""
    return mask.reshape(*mask.shape, *(1,) * (rank - mask.ndim))


def levels_between(black: float, white: float) -> int:
    """How many whole numbers there are; 0: more than a float32 tells apart, or none."""
    count = white - black + 1
    whole = black == int(black) and count == int(count)
    return int(count) if whole and count <= _TOLD_APART else 0


def _span(chunk: Any, mask: Any, name: str) -> Range:
    """Lowest and highest number of the pixels that count."""
    values = np.asarray(chunk)
    if mask is not None:
        seen = _along(np.asarray(mask, np.bool_), values.ndim)
        values = values[np.broadcast_to(seen, values.shape)]
    if values.dtype.kind == "f" and (bad := int((~np.isfinite(values)).sum())):
        raise DataError(
            f"{name}: {bad} of the first {values.size} values are nan or infinite; "
            "valid are numbers: mask those pixels (an array mask beside the images, "
            "true where a pixel counts), or leave those images out"
        )
    if not values.size:
        return math.inf, -math.inf
    return float(values.min()), float(values.max())


def _range(
    kind: np.dtype[Any], low: float, high: float, name: str, asked: Range | None
) -> Range:
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
    if kind == np.uint8:
        return 0, 255
    if kind.kind == "b" or (kind.kind == "f" and 0 <= low <= high <= 1):
        return 0, 1
    least = min(0, math.floor(low))
    most = max(1, 2 ** math.ceil(math.log2(max(high, 1) + 1)) - 1)
    guess = "-1,1" if -1 <= low < 0 and high <= 1 else f"{least:g},{most:g}"
    raise DataError(
        f"{found} ({kind}); say which are black and white, such as "
        f"--config.value_range={guess}; without it floats must lie in [0, 1]"
    )
