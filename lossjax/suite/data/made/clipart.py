"""Pictures of the Open Clip Art Library on white: 32x32 in colour."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.made.made_set import Part
from lossjax.suite.data.pictures import quiet_decoders
from lossjax.suite.data.progress import progress

_SIDE = 32
_TEST_PERCENT = 12
_LONGEST = 17_000  # pixels: beyond it a picture takes gigabytes


def clipart(source: Path) -> Mapping[str, Part]:
    """Each picture once, whole, centred on a white square; the label is its folder.

    Links, blank and unreadable pictures and two of over 17,000 pixels a side are left
    out. The hash of a picture's pixels decides its part and its place.
    """
    root = next(iter(sorted(source.rglob("openclipart/png"))), None)
    if root is None:
        raise DataError(f"--source={source}: no folder 'openclipart/png' below it")
    folders = sorted(path.name for path in root.iterdir() if path.is_dir())
    files = [path for path in sorted(root.rglob("*.png")) if not path.is_symlink()]
    found: dict[bytes, tuple[np.ndarray, int]] = {}
    with quiet_decoders():
        for path in progress(files, len(files), "clipart"):
            image = _thumbnail(path)
            if image is not None and (image != image[0, 0]).any():
                digest = hashlib.sha256(image.tobytes()).digest()
                label = folders.index(path.relative_to(root).parts[0])
                found.setdefault(digest, (image, label))
    rows: dict[str, list[tuple[np.ndarray, int]]] = {"train": [], "t10k": []}
    for digest in sorted(found):
        held = int.from_bytes(digest[-8:], "big") % 100 < _TEST_PERCENT
        rows["t10k" if held else "train"].append(found[digest])
    if not all(rows.values()):
        raise DataError(f"{root}: {len(found)} pictures; both parts need one")
    return {
        name: Part(
            np.stack([image for image, _ in row]),
            np.array([label for _, label in row], np.uint8),
        )
        for name, row in rows.items()
    }


def _thumbnail(path: Path) -> np.ndarray | None:
    """The picture on a white square; None where it is unreadable or huge."""
    try:
        with Image.open(path) as file:
            if max(file.size) > _LONGEST:
                return None
            picture = file.convert("RGBA")
    except (OSError, SyntaxError, ValueError):
        return None
    # Composited before resizing: no colour of transparent pixels bleeds in.
    white = Image.new("RGBA", picture.size, "white")
    picture = Image.alpha_composite(white, picture).convert("RGB")
    scale = _SIDE / max(picture.size)
    width, height = (max(1, round(length * scale)) for length in picture.size)
    picture = picture.resize(
        (width, height), Image.Resampling.LANCZOS, reducing_gap=None
    )
    square = Image.new("RGB", (_SIDE, _SIDE), "white")
    square.paste(picture, ((_SIDE - width) // 2, (_SIDE - height) // 2))
    return np.asarray(square)
