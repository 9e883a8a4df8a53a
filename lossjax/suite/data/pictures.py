"""One picture file of a user's, whatever its format, as a uint8 square."""

import contextlib
import dataclasses
import os
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from lossjax.suite.data.fitting import fit_picture
from lossjax.suite.data.levels import Levels, PictureError, Range, levels_of
from lossjax.suite.data.tiles import tiles_of
from lossjax.suite.store.untrusted import open_regular

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
LARGEST_PIXELS = 64_000_000
# Of formats whose decoders keep several copies, or parse every number as text.
_LARGEST_OF = {"WEBP": 24_000_000, "ppm_plain": 1_000_000}
_LARGE = 8_000_000  # pixels; larger ones are made smaller strip by strip
# Of a compressed TIFF: the picture, one strip or tile inflated, and the file, mapped.
_MOST_BYTES = 420_000_000
_ROWS_PER_STRIP, _TILE_SIDES, _BITS, _PLANAR = 278, (322, 323), 258, 284
_ORIENTATION = 0x0112
BEGINNINGS = {
    b"\x89PNG": "PNG", b"\xff\xd8": "JPEG", b"II*\0": "TIFF", b"MM\0*": "TIFF",
    b"II+\0": "BigTIFF", b"MM\0+": "BigTIFF", b"GIF8": "GIF", b"BM": "BMP",
    b"RIFF": "WEBP",
}  # fmt: skip


class Depth(NamedTuple):
    """What the numbers of a deep picture are, black and white, and whether resized."""

    kind: str
    span: Range
    resized: bool


class Picture(NamedTuple):
    """Pixels ([k,] size, size, channels), and what `Levels` says of the file.

    uint8, of a deep picture float32 in [0, 1].
    """

    pixels: np.ndarray
    largest: int | None
    depth: Depth | None = None
    reduced: bool = False


def read_picture(
    path: Path, image_size: int, channels: int, value_range: Range | None = None
) -> Picture:
    """The central square of a picture, uint8 (image_size, image_size, channels).

    First frame of an animation, upright by its EXIF orientation, transparency over
    white, 16-bit levels divided by 257, floating-point ones times 255; `value_range`
    says which levels of such files are black and white instead.

    Raises:
      PictureError: no picture, a kind that is not read, damaged, or too large.
    """
    with _opened(path, 2 * image_size, value_range) as (loaded, levels):
        if loaded.width * loaded.height > _LARGE:
            eight = _shrunk(loaded, image_size, levels)
        else:
            eight = levels.to_eight_bits(ImageOps.exif_transpose(loaded))
        square = fit_picture(eight, image_size)
        pixels = _pixels(square, channels)
        return Picture(pixels, levels.largest, reduced=levels.reduced)


def read_crops(
    path: Path, size: int, channels: int, most: int, value_range: Range | None = None
) -> Picture:
    """Disjoint squares of a picture as it is, uint8 (k, size, size, channels).

    At most so many, and else as `read_picture`.

    Raises:
      PictureError: as there, or not one fits.
    """
    with _opened(path, None, value_range) as (loaded, levels):
        upright = ImageOps.exif_transpose(loaded)
        cut = [
            _pixels(levels.to_eight_bits(upright.crop(box)), channels)
            for box in tiles_of(upright.width, upright.height, size, most)
        ]
        return Picture(np.stack(cut), levels.largest, reduced=levels.reduced)


@contextlib.contextmanager
def _opened(
    path: Path, side: int | None, value_range: Range | None
) -> Iterator[tuple[Image.Image, Levels]]:
    """A decoded picture and what its levels mean; whatever fails is a PictureError.

    `side`: a JPEG may be decoded at a fraction, with that many pixels a side at least.
    """
    with picture_errors():
        try:
            with (
                open_regular(path) as file,
                Image.open(file, formats=FORMATS) as picture,
            ):
                _refuse_large(picture, os.fstat(file.fileno()).st_size)
                if side is not None:
                    picture.draft(picture.mode, (side, side))
                with ROOM.of(picture.width * picture.height):
                    yield _load(picture, file, value_range)
        except UnidentifiedImageError:
            raise PictureError(_unidentified(path)) from None


@contextlib.contextmanager
def picture_errors() -> Iterator[None]:
    """Whatever goes wrong with a file in here is a PictureError."""
    try:
        yield
    except PictureError:
        raise
    except PermissionError:
        raise PictureError("not readable") from None
    # Decoders of damaged files raise whatever their parser met: struct.error,
    # SyntaxError, ZeroDivisionError, ... None of them may end a sweep.
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"damaged ({words[:80]})") from None


def _pixels(picture: Image.Image, channels: int) -> np.ndarray:
    return np.atleast_3d(np.asarray(picture.convert("L" if channels == 1 else "RGB")))


@contextlib.contextmanager
def quiet_decoders() -> Iterator[None]:
    """Lets `read_picture` judge sizes and damage, instead of Pillow's warnings."""
    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


class _Room:
    """How many pixels are decoded at a time, by all threads together."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def of(self, pixels: int) -> Iterator[None]:
        """Waits until there is room; more than all of it waits to be alone."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._held or self._held + pixels <= self._most
            )
            self._held += pixels
        try:
            yield
        finally:
            with self._changed:
                self._held -= pixels
                self._changed.notify_all()


ROOM = _Room(2 * _LARGE)


def _refuse_large(picture: Image.Image, file_bytes: int) -> None:
    width, height = picture.size
    for kind in (picture.format, _decoder(picture)):
        most = _LARGEST_OF.get(kind or "", LARGEST_PIXELS)
        if width * height > most:
            of = f", the most of {kind}" if most < LARGEST_PIXELS else ""
            raise PictureError(
                f"{width} x {height} is over {most // 10**6} million pixels{of}"
            )
    if _decoder(picture) == "libtiff":
        needed = file_bytes + _inflated_bytes(picture)
        if needed > _MOST_BYTES:
            raise PictureError(
                f"{width} x {height} takes {needed // 10**6} MB to read, over "
                f"{_MOST_BYTES // 10**6}; save it without compression or as PNG"
            )


def _inflated_bytes(picture: Image.Image) -> int:
    """What a compressed TIFF becomes, and one of its strips or tiles beside it."""
    tags, (width, height) = picture.tag_v2, picture.size  # type: ignore[attr-defined]
    across, down = (tags.get(tag) for tag in _TILE_SIDES)
    if not across or not down:
        across, down = width, min(height, tags.get(_ROWS_PER_STRIP) or height)
    bits = tags.get(_BITS) or (1,)
    planes = len(bits) if tags.get(_PLANAR) == 2 else 1
    # Pillow keeps one band in its own type, several in four bytes a pixel.
    band = np.asarray(Image.new(picture.mode, (1, 1))).itemsize
    pixel = band if len(picture.getbands()) == 1 else 4
    return width * height * pixel + across * down * sum(bits) // planes // 8


def _decoder(picture: Image.Image) -> str:
    tiles = getattr(picture, "tile", None)
    return tiles[0][0] if tiles else ""


def _load(
    picture: Image.Image, file: Any, value_range: Range | None
) -> tuple[Image.Image, Levels]:
    """The decoded picture, and what its levels mean."""
    tiles = getattr(picture, "tile", None) or [("", (), 0, "")]
    decoder, _, offset, arguments = tiles[0]
    rawmode = arguments[0] if isinstance(arguments, tuple) else arguments
    if decoder == "ppm":  # Pillow's own reads value by value: a minute for a photo
        return _netpbm(picture, file, offset, arguments, value_range)
    picture.load()
    transparent = picture.info.get("transparency")
    if picture.mode == "L" and isinstance(transparent, int):
        # PNG gives it in the file's 2 or 4 bits, the pixels are in 8.
        factor = {"L;2": 85, "L;4": 17}.get(str(rawmode), 1)
        picture.info["transparency"] = transparent * factor
    return picture, levels_of(picture, str(rawmode), value_range)


def _netpbm(
    picture: Image.Image,
    file: Any,
    offset: int,
    arguments: tuple[str, int],
    value_range: Range | None,
) -> tuple[Image.Image, Levels]:
    """A binary PGM or PPM whose white is neither 255 nor 65,535."""
    (rawmode, white), (width, height) = arguments, picture.size
    bands = 3 if rawmode == "RGB" else 1
    low, high = value_range or (0, white)
    kind = np.dtype(np.uint8 if white < 256 else ">u2")
    every = np.arange(256 if white < 256 else 65_536)
    table = np.rint(255 * np.clip((every - low) / (high - low), 0, 1)).astype(np.uint8)
    file.seek(offset)
    pixels = np.empty((height, width, bands), np.uint8)
    for row in pixels:
        content = file.read(width * bands * kind.itemsize)
        if len(content) < width * bands * kind.itemsize:
            raise PictureError("damaged (image file is truncated)")
        row[...] = table[np.frombuffer(content, kind)].reshape(width, bands)
    made = Image.fromarray(pixels if bands == 3 else pixels[..., 0])
    return made, dataclasses.replace(levels_of(made, "", None), reduced=white > 255)


def _shrunk(picture: Image.Image, image_size: int, levels: Levels) -> Image.Image:
    """The central square at a few times `image_size`, upright; whole copies of a large
    picture in every mode it passes through would take gigabytes."""
    side = min(picture.size)
    left, top = ((length - side) // 2 for length in picture.size)
    times = 4 if (4 * image_size) ** 2 <= _LARGE else 2
    factor = max(1, side // (times * image_size))
    rows = factor * max(1, 64 // factor)
    strips = []
    for start in range(top, top + side, rows):
        strip = picture.crop((left, start, left + side, min(start + rows, top + side)))
        eight = levels.to_eight_bits(strip)
        strips.append(np.asarray(eight.reduce(factor) if factor > 1 else eight))
    small = Image.fromarray(np.concatenate(strips))
    small.getexif()[_ORIENTATION] = picture.getexif().get(_ORIENTATION, 1)
    return ImageOps.exif_transpose(small)


def _unidentified(path: Path) -> str:
    """What a file is that Pillow does not open as any of FORMATS."""
    with open_regular(path) as file:
        head = file.read(8)
        kind = next((k for b, k in BEGINNINGS.items() if head.startswith(b)), None)
        if kind is None:
            return f"not one of {', '.join(FORMATS)}"
        detail = ""
        with contextlib.suppress(Exception):  # a damaged header stays without detail
            tags = TiffImagePlugin.ImageFileDirectory_v2(head)
            file.seek(tags.next)
            tags.load(file)
            bits = tags.get(258, (1,))
            detail = f" ({tags.get(277, len(bits))} bands of {bits[0]} bits)"
    return f"a damaged {kind} or a kind of it that is not read{detail}"
