"""Characters of the bitmap font GNU Unifont: 16x16, black or white only."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.made.made_set import Part, only

_SIDE = 16
_PER_SCRIPT = 4_000
_TEST = 3_000

# Name, ranges of code points (first, last); its row is the label. The first that holds
# a code point wins; what none holds is "other symbols".
_SCRIPTS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "Latin": ((0x0000, 0x02AF), (0x1D00, 0x1DBF), (0x1E00, 0x1EFF), (0x2C60, 0x2C7F),
     (0xA720, 0xA7FF), (0xAB30, 0xAB6F), (0xFB00, 0xFB06), (0xFF01, 0xFF5E)),
    "Greek and Coptic": ((0x0370, 0x03FF), (0x1F00, 0x1FFF), (0x2C80, 0x2CFF)),
    "Cyrillic and Glagolitic": ((0x0400, 0x052F), (0x1C80, 0x1C8F), (0x2C00, 0x2C5F),
     (0x2DE0, 0x2DFF), (0xA640, 0xA69F)),
    "Armenian, Georgian, Hebrew": ((0x0530, 0x05FF), (0x10A0, 0x10FF),
     (0x1C90, 0x1CBF), (0x2D00, 0x2D2F), (0xFB13, 0xFB4F)),
    "Arabic, Syriac, Thaana, N'Ko": ((0x0600, 0x08FF), (0xFB50, 0xFDFF),
     (0xFE70, 0xFEFF)),
    "Indic": ((0x0900, 0x0DFF), (0x1CD0, 0x1CFF), (0xA830, 0xA87F), (0xA880, 0xA8FF),
     (0xA800, 0xA82F), (0x1C00, 0x1C7F), (0xABC0, 0xABFF), (0xAAE0, 0xAAFF)),
    "South-East Asian and Tibetan": ((0x0E00, 0x109F), (0x1700, 0x17FF),
     (0x1900, 0x1AFF), (0x1B00, 0x1BFF), (0xA900, 0xAADF)),
    "Ethiopic": ((0x1200, 0x139F), (0x2D80, 0x2DDF), (0xAB00, 0xAB2F)),
    "Cherokee and Canadian syllabics": ((0x13A0, 0x167F), (0x18B0, 0x18FF),
     (0xAB70, 0xABBF)),
    "Ogham, Runic, Mongolian, Tifinagh, Vai, Lisu, Bamum": ((0x1680, 0x16FF),
     (0x1800, 0x18AF), (0x2D30, 0x2D7F), (0xA4D0, 0xA63F), (0xA6A0, 0xA6FF)),
    "Hangul": ((0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F), (0xAC00, 0xD7FF),
     (0xFFA0, 0xFFDC)),
    "Kana and Bopomofo": ((0x3040, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF),
     (0xFF65, 0xFF9F)),
    "Yi": ((0xA000, 0xA4CF),),
    "CJK ideographs": ((0x2E80, 0x2FDF), (0x31C0, 0x31EF), (0x3400, 0x4DBF),
     (0x4E00, 0x9FFF), (0xF900, 0xFAFF)),
    "CJK enclosed and compatibility": ((0x3000, 0x303F), (0x3190, 0x319F),
     (0x3200, 0x33FF)),
    "Braille": ((0x2800, 0x28FF),),
    "arrows": ((0x2190, 0x21FF), (0x27F0, 0x27FF), (0x2900, 0x297F), (0x2B00, 0x2BFF)),
    "mathematics": ((0x2200, 0x22FF), (0x27C0, 0x27EF), (0x2980, 0x2AFF)),
    "boxes, blocks, shapes": ((0x2500, 0x25FF), (0x4DC0, 0x4DFF)),
    "other symbols": (),
}  # fmt: skip


def glyphs(source: Path) -> Mapping[str, Part]:
    """White strokes on black, each shape once; the label is one of 20 kinds of script.

    Blanks, and placeholders that are only a name or a number, are left out; an 8x16
    glyph has four empty columns on each side; of a script at most 4,000.
    """
    random = np.random.default_rng(0)
    images, labels = _read(only(source, "unifont.hex"))
    kept = [
        random.permutation(np.flatnonzero(labels == label))[:_PER_SCRIPT]
        for label in range(len(_SCRIPTS))
    ]
    order = random.permutation(np.concatenate(kept))
    test = min(_TEST, len(order) // 6)
    parts = {"train": order[test:], "t10k": order[:test]}
    return {name: Part(images[at], labels[at]) for name, at in parts.items()}


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Every shape once, in the order of code points, and its script."""
    labels: dict[bytes, int] = {}
    try:
        for line in path.read_text("ascii").split():
            code, digits = line.split(":")
            rows = np.frombuffer(bytes.fromhex(digits), np.uint8).reshape(_SIDE, -1)
            bits = np.unpackbits(rows, axis=1)
            side = (_SIDE - bits.shape[1]) // 2
            image = np.pad(bits, ((0, 0), (side, side))) * np.uint8(255)
            if image.any() and not _placeholder(digits):
                labels.setdefault(image.tobytes(), _script(int(code, 16)))
    except ValueError as error:
        raise DataError(f"{path}: not a hex font of 16 rows ({error})") from None
    shapes = np.frombuffer(b"".join(labels), np.uint8)
    return shapes.reshape(-1, _SIDE, _SIDE), np.array([*labels.values()], np.uint8)


def _placeholder(digits: str) -> bool:
    """Whether a glyph is only a name or a number: not a character's own shape."""
    if len(digits) != 64:
        return False
    rows = [digits[at : at + 4] for at in range(0, 64, 4)]
    if (rows[0], rows[15]) == ("AAAA", "5555"):  # dashed box: controls and the like
        return True
    # Four hexadecimal digits in black on white: unassigned, and non-characters.
    edge = [rows[at] for at in (0, 1, 7, 8, 14, 15)]
    return len(set(rows)) > 2 and edge in (
        ["0000", "7FFE", "7FFE", "7FFE", "7FFE", "0000"],
        ["FFFF"] * 6,
    )


def _script(code: int) -> int:
    for label, ranges in enumerate(_SCRIPTS.values()):
        if any(first <= code <= last for first, last in ranges):
            return label
    return len(_SCRIPTS) - 1
