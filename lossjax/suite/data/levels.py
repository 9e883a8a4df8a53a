"""From the levels of a picture, whatever its kind, to 8-bit grey or colour."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from PIL import Image

BACKGROUND = (255, 255, 255)  # what shows through transparent pixels: white
Range = tuple[float, float]  # the levels that become black and white
_DIRECT = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
_PHOTOMETRIC, _BITS, _LARGEST, _FORMAT = 262, 258, 281, 339  # TIFF's tags
_WHITE_IS_ZERO, _SIGNED = 0, 2
_NO_NUMBERS = "levels that are no numbers (nan or inf)"


class PictureError(ValueError):
    """A file that cannot be used; a few words say why."""


@dataclasses.dataclass(frozen=True)
class Levels:
    """How the pixels of one picture become 8-bit ones.

    `largest` is the largest level found in a file of 16 bits; None in others, and where
    the file or the user says which level is white. `reduced`: the file has more than 8
    bits.
    """

    to_eight_bits: Callable[[Image.Image], Image.Image]
    largest: int | None = None
    reduced: bool = False


def levels_of(picture: Image.Image, rawmode: str, value_range: Range | None) -> Levels:
    """What a loaded picture's header and levels say about it.

    `rawmode` is Pillow's name for how the file has the pixels; `value_range` is what
    the user says of files of more than 8 bits.

    Raises:
      PictureError: a kind whose levels have no known meaning.
    """
    mode, tags = picture.mode, getattr(picture, "tag_v2", {})
    signed = _SIGNED in _all(tags.get(_FORMAT))
    inverted = tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO
    if signed and mode == "L":
        raise PictureError("signed 8-bit levels; save it with 8 bits, unsigned")
    if mode == "F":
        scale = _scaled(value_range or _unit_range(picture), inverted)
        return Levels(scale, reduced=True)
    if mode.startswith("I"):
        low, high = _extrema(picture)[0]
        top = _top(tags, high) if mode != "I" or picture.format == "PPM" else None
        if value_range is None and (top is None or signed):
            bits = max(_all(tags.get(_BITS)), default=32)
            raise PictureError(
                f"{'signed ' * signed}{bits}-bit levels from {low:g} to {high:g}; save "
                "it with 8 or 16 bits, or give value_range"
            )
        scale = _scaled(
            value_range or (0, top or 1), inverted, picture.info.get("transparency")
        )
        open_ended = top == 65_535 and value_range is None
        return Levels(scale, int(high) if open_ended else None, reduced=True)
    if mode not in (*_DIRECT, "La"):
        raise PictureError(f"{mode} colours; save it as grey or RGB")
    if ";16" not in rawmode:  # else Pillow keeps the upper 8 of 16 bits
        return Levels(_eight_bits)
    if isinstance(picture.info.get("transparency"), tuple):
        raise PictureError("one transparent colour of 16 bits; save it with 8")
    if value_range is not None:
        raise PictureError(
            "16-bit colour, of which 8 bits are read, under value_range; save it with "
            "8 bits"
        )
    highest = max(high for _, high in _extrema(picture)[:3])
    return Levels(_eight_bits, int(highest) * 256 + 255, reduced=True)


def _extrema(picture: Image.Image) -> list[tuple[float, float]]:
    """Lowest and highest level of each band."""
    found = picture.getextrema()
    bands = found if isinstance(found[0], tuple) else (found,)
    return [(low, high) for low, high in bands]


def _all(value: object) -> tuple:
    return value if isinstance(value, tuple) else () if value is None else (value,)


def _top(tags: dict, highest: float) -> int:
    """The level of white that the file declares, or that 16 bits have."""
    bits = max(_all(tags.get(_BITS)), default=16)
    declared = max(_all(tags.get(_LARGEST)), default=0)
    top = 2 ** min(bits, 16) - 1
    return declared if highest <= declared < top and declared > 0 else top


def _unit_range(picture: Image.Image) -> Range:
    low, high = _extrema(picture)[0]
    if not (math.isfinite(low) and math.isfinite(high)):
        raise PictureError(_NO_NUMBERS)
    if not 0 <= low <= high <= 1:
        raise PictureError(
            f"floating-point levels from {low:g} to {high:g}; valid are 0 to 1, or "
            "give value_range"
        )
    return 0, 1


def _scaled(
    value_range: Range, inverted: bool, transparent: object = None
) -> Callable[[Image.Image], Image.Image]:
    low, high = value_range

    def scale(picture: Image.Image) -> Image.Image:
        levels = np.asarray(picture).astype(np.float64)
        if not np.isfinite(levels).all():
            raise PictureError(_NO_NUMBERS)
        share = np.clip((levels - low) / (high - low), 0, 1)
        grey = np.rint(255 * (1 - share if inverted else share)).astype(np.uint8)
        if isinstance(transparent, int):
            grey[levels == transparent] = BACKGROUND[0]
        return Image.fromarray(grey)

    return scale


def _eight_bits(picture: Image.Image) -> Image.Image:
    """L or RGB; convert() alone would drop transparency."""
    if picture.mode == "La":
        picture = picture.convert("LA")
    if picture.has_transparency_data:
        colour = picture.convert("RGBA")
        ground = Image.new("RGBA", colour.size, (*BACKGROUND, 255))
        return Image.alpha_composite(ground, colour).convert("RGB")
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


def reduced_note(reduced: list[bool]) -> str:
    """What to say of a folder of which some files have more than 8 bits, or ""."""
    if all(reduced) or not any(reduced):
        return ""
    return (
        f"{sum(reduced)} of {len(reduced)} files have more than 8 bits and are read "
        "with 8, as the others have; TIFF files of more bits alone, in a folder of "
        "their own, keep them"
    )


def dark_note(largest: list[int | None]) -> str:
    """What to say of a folder whose 16-bit files hold 10- to 14-bit levels, or ""."""
    deep = [one for one in largest if one is not None]
    if not deep or not 0 < max(deep) < 2**14:
        return ""
    white = 2 ** max(8, max(deep).bit_length()) - 1
    return (
        f"the largest level of {len(deep)} files with 16 bits is {max(deep):,} of "
        f"65,535, so they are dark; --config.value_range=0,{white} makes {white:,} "
        "white"
    )
