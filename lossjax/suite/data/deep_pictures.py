"""TIFF files with more than 8 bits, or with bands that are no colours, as intensity."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lossjax.suite.data.fitting import fit_picture
from lossjax.suite.data.levels import PictureError, Range
from lossjax.suite.data.pictures import (
    BEGINNINGS,
    LARGEST_PIXELS,
    ROOM,
    Depth,
    Picture,
    picture_errors,
)
from lossjax.suite.data.tiles import tiles_of
from lossjax.suite.store.untrusted import open_regular

MOST_BANDS = 1024
_COLOURS = (1, 3, 4)  # samples that a picture of 8 bits has
_WHITE_IS_ZERO, _ALPHAS = 0, (1, 2)


def all_deep(paths: list[Path]) -> bool:
    """Whether the pictures among these files are deep TIFF files, every one."""
    found = [_is_deep(path) for path in paths]
    return any(found) and False not in found


def read_deep(
    path: Path, size: int, value_range: Range | None, crops: int | None
) -> Picture:
    """The central square of the first page, or crops of it as they are.

    Raises:
      PictureError: no such picture, damaged, too large, or of values that nobody said
        the range of or outside it.
    """
    tifffile = _reader()
    with picture_errors():
        try:
            with (
                open_regular(path) as file,
                tifffile.TiffFile(file, name=path.name) as tiff,
            ):
                page = tiff.pages[0]
                _refuse(page)
                with ROOM.of(page.imagewidth * page.imagelength * page.samplesperpixel):
                    values = page.asarray()
                if page.axes.startswith("S"):
                    values = np.moveaxis(values, 0, -1)
                inverted = page.photometric == _WHITE_IS_ZERO
        except tifffile.TiffFileError:
            raise PictureError("not a TIFF file that can be read") from None
    values = values.reshape(*values.shape[:2], -1)
    span = _range(values, value_range)
    high = int(values.max()) if values.dtype == np.uint16 and not value_range else None
    scale = functools.partial(_intensity, span=span[::-1] if inverted else span)
    resized = False
    if crops:
        boxes = tiles_of(values.shape[1], values.shape[0], size, crops)
        cut = [values[top:bottom, left:right] for left, top, right, bottom in boxes]
        pixels = scale(np.stack(cut))
    elif values.shape[:2] == (size, size):
        pixels = scale(values)[None]
    else:
        resized, bands = True, np.moveaxis(values, -1, 0)
        fitted = [fit_picture(Image.fromarray(scale(one)), size) for one in bands]
        # The filter overshoots at edges.
        pixels = np.clip(np.stack([np.asarray(one) for one in fitted], -1), 0, 1)[None]
    return Picture(pixels, high, Depth(str(values.dtype), span, resized))


def _is_deep(path: Path) -> bool | None:
    """Whether a picture is deep; None for what is no picture."""
    try:
        with open_regular(path) as file:
            head = file.read(8)
        kind = next((k for b, k in BEGINNINGS.items() if head.startswith(b)), None)
        if kind is None or "TIFF" not in kind:
            return None if kind is None else False
        with (
            open_regular(path) as file,
            _reader().TiffFile(file, name=path.name) as tiff,
        ):
            page = tiff.pages[0]
            bits, bands = np.dtype(page.dtype).itemsize * 8, page.samplesperpixel
            return bits > 8 or bands not in _COLOURS
    # What is damaged is named by who reads it.
    except Exception:
        return None


def _reader() -> Any:
    try:
        import tifffile
    except ImportError:
        raise PictureError(
            "more than 8 bits or 4 bands; to read it: pip install tifffile"
        ) from None
    return tifffile


def _refuse(page: Any) -> None:
    width, height, bands = page.imagewidth, page.imagelength, page.samplesperpixel
    if width * height * bands > LARGEST_PIXELS or bands > MOST_BANDS:
        raise PictureError(
            f"{width} x {height} x {bands} is over {LARGEST_PIXELS // 10**6} million "
            f"values or {MOST_BANDS} bands"
        )
    if any(extra in _ALPHAS for extra in page.extrasamples):
        raise PictureError("transparency with more than 8 bits; save it without")
    if page.imagedepth > 1 or np.dtype(page.dtype).kind not in "uif":
        raise PictureError("voxels or no plain numbers; save it as planes of numbers")


def _range(values: np.ndarray, asked: Range | None) -> Range:
    """Black and white."""
    if not np.isfinite(values).all():
        raise PictureError("levels that are no numbers (nan or inf)")
    low, high = float(values.min()), float(values.max())
    kind = values.dtype
    if asked is None and kind.kind == "u" and kind.itemsize <= 2:
        return 0.0, float(np.iinfo(kind).max)
    black, white = asked or (0.0, 1.0)
    if asked is None and kind.kind != "f":
        raise PictureError(f"{kind} levels from {low:g} to {high:g}: give value_range")
    if not black <= low <= high <= white:
        raise PictureError(
            f"levels from {low:g} to {high:g} lie outside {black:g} to {white:g}: give "
            "the value_range that holds them"
        )
    return black, white


def _intensity(values: np.ndarray, span: Range) -> np.ndarray:
    """float32, 0 at the first end and 1 at the second."""
    start, end = span
    return ((values.astype(np.float64) - start) / (end - start)).astype(np.float32)
