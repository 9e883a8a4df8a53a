"""One picture file of a user's, whatever its format, as a uint8 square."""

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from lossjax.suite.data.fitting import fit_picture

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
LARGEST_PIXELS = 64_000_000
BACKGROUND = (255, 255, 255)  # what shows through transparent pixels: white


class PictureError(ValueError):
    """A file that cannot be used; a few words say why."""


def read_picture(path: Path, image_size: int, channels: int) -> np.ndarray:
    """The central square of a picture, uint8 (image_size, image_size, channels).

    First frame of an animation, upright by its EXIF orientation, transparency over
    white, 16-bit levels divided by 257.

    Raises:
      PictureError: no picture, damaged, or over 64 million pixels by its header.
    """
    try:
        with Image.open(path, formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > LARGEST_PIXELS:
                raise PictureError(
                    f"{width} x {height} is over {LARGEST_PIXELS // 10**6} million "
                    "pixels"
                )
            # JPEG only: decodes at a fraction, never below twice the wanted size.
            picture.draft(picture.mode, (2 * image_size, 2 * image_size))
            upright = ImageOps.exif_transpose(picture)
            square = fit_picture(_eight_bits(upright), image_size)
    except PictureError:
        raise
    except UnidentifiedImageError:
        raise PictureError(f"not one of {', '.join(FORMATS)}") from None
    except PermissionError:
        raise PictureError("not readable") from None
    # Decoders of damaged files raise whatever their parser met: struct.error,
    # SyntaxError, ZeroDivisionError, ... None of them may end a sweep.
    except Exception as error:
        words = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"damaged ({words[:80]})") from None
    return np.atleast_3d(np.asarray(square.convert("L" if channels == 1 else "RGB")))


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


def _eight_bits(picture: Image.Image) -> Image.Image:
    """L or RGB; convert() alone would clip 16-bit levels and drop transparency."""
    if picture.mode == "F":
        raise PictureError("floating-point levels; save it with 8 or 16 bits")
    if picture.mode.startswith("I"):
        levels = np.asarray(picture).astype(np.int64)
        if not ((levels >= 0) & (levels <= 65_535)).all():
            raise PictureError("32-bit levels; save it with 8 or 16 bits")
        return Image.fromarray(np.rint(levels / 257).astype(np.uint8))
    if picture.has_transparency_data:
        colour = picture.convert("RGBA")
        ground = Image.new("RGBA", colour.size, (*BACKGROUND, 255))
        return Image.alpha_composite(ground, colour).convert("RGB")
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
