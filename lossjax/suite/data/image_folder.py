"""`images:DIR`: a folder of the user's own pictures, which is only ever read."""

import dataclasses
import hashlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lossjax.models.pixels import BYTES, Pixels
from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.cache import cached, file_sha256
from lossjax.suite.data.class_folders import arrange
from lossjax.suite.data.dataset import Content, Options, Split
from lossjax.suite.data.deep_pictures import all_deep, read_deep
from lossjax.suite.data.fitting import fit_images
from lossjax.suite.data.folders import folder_at
from lossjax.suite.data.intensities import levels_between
from lossjax.suite.data.levels import PictureError, Range, dark_note, reduced_note
from lossjax.suite.data.picture_splits import by_content, by_user, tied
from lossjax.suite.data.pictures import (
    Picture,
    quiet_decoders,
    read_crops,
    read_picture,
)
from lossjax.suite.data.progress import progress
from lossjax.suite.store.untrusted import printable
from lossjax.suite.wording import count

DEFAULT_SIZE = 32
FEWEST = 12  # pictures that differ; fewer cannot fill three splits
_In = TypeVar("_In")
_Out = TypeVar("_Out")


def images_folder(folder: str, options: Options) -> Content:
    """Every picture below a folder; sub-folders become labels.

    Where `train` lies beside `val` or `test`, that is the split. Otherwise splits
    follow the content: pictures that look the same at `image_size` stay together, with
    group_by="parent" all pictures of one folder do; a sixth each of the groups becomes
    validation and test. With `crops` a picture gives so many squares of `image_size`,
    which stay together. A folder of nothing but TIFF files of more than 8 bits, or of
    bands that are no colours, keeps them: float32, as many bands as there are.

    Raises:
      DataError: the folder is absent or holds too few usable pictures.
    """
    root = check_images_folder(folder)
    size, channels = options.image_size or DEFAULT_SIZE, options.channels or 3
    paths, skipped = scan(root)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        sums = _each(pool, _sum, paths, f"reading {len(paths)} files")
        files = {}
        for path, one in zip(paths, sums, strict=True):
            if one is None:
                skipped[path] = "not readable"
            else:
                files[path] = one
        deep = all_deep(list(files))
        key: dict[str, Any] = {
            "files": sorted((str(p.relative_to(root)), s) for p, s in files.items()),
            "skipped": sorted(
                (str(p.relative_to(root)), w) for p, w in skipped.items()
            ),
            "options": [size, channels, options.group_by, options.value_range],
        }

        if deep or options.crops:
            key["more"] = [deep, options.channels, options.crops]

        def make() -> Content:
            return _decode(pool, root, list(files), skipped, options, deep)

        content = cached("images", key, make)
    if content.truth.get("say"):
        line = f"images:{folder}: {content.description}"
        print(printable(line), file=sys.stderr)
    return dataclasses.replace(content, truth={})


def check_images_folder(folder: str) -> Path:
    """The folder; DataError where it is absent, no folder, unreadable or empty."""
    hint = "valid is a folder of pictures, images:DIR"
    root = folder_at("images:", folder, hint)
    with os.scandir(root) as entries:
        if next(entries, None) is None:
            raise DataError(f"images:{folder}: the folder is empty; {hint}")
    return root


def scan(root: Path) -> tuple[list[Path], dict[Path, str]]:
    """Regular files in a fixed order, and what is passed over with the reason."""
    found, skipped = [], {}

    def note(error: OSError) -> None:
        skipped[Path(error.filename)] = "folder not readable"

    inside = os.path.realpath(root)
    for folder, folders, names in os.walk(root, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [*names, *folders]:
            path = Path(folder, name)
            if name.startswith("."):
                continue
            target = Path(os.path.realpath(path))  # resolve() raises for a loop
            if path.is_symlink() and not target.is_relative_to(inside):
                skipped[path] = "a link that leaves the folder"
            elif path.is_symlink() and path.is_dir():
                skipped[path] = "a link to a folder"
            elif path.is_file():
                found.append(path)
            elif not path.is_dir():
                skipped[path] = "not a regular file"
    return sorted(found), skipped


def _sum(path: Path) -> str | None:
    try:
        return file_sha256(path)
    except OSError:
        return None


def _each(
    pool: ThreadPoolExecutor,
    act: Callable[[_In], _Out],
    items: Iterable[_In],
    words: str,
) -> list[_Out]:
    items = list(items)
    return list(progress(pool.map(act, items), len(items), words))


def _reader(options: Options, deep: bool) -> Callable[[Path], Picture]:
    """What reads a file into the pixels (k, size, size, channels) that it gives."""
    size, channels = options.image_size or DEFAULT_SIZE, options.channels or 3
    span, crops = options.value_range, options.crops
    if deep:
        return lambda path: read_deep(path, size, span, crops)
    if crops:
        return lambda path: read_crops(path, size, channels, crops, span)

    def thumbnail(path: Path) -> Picture:
        one = read_picture(path, size, channels, span)
        return one._replace(pixels=one.pixels[None])

    return thumbnail


def _decode(
    pool: ThreadPoolExecutor,
    root: Path,
    paths: list[Path],
    passed_over: Mapping[Path, str],
    options: Options,
    deep: bool,
) -> Content:
    read_one = _reader(options, deep)

    def read(path: Path) -> Picture | str:
        try:
            return read_one(path)
        except PictureError as error:
            return str(error)

    with quiet_decoders():
        decoded = _each(pool, read, paths, f"decoding {len(paths)} pictures")
    pairs = _of_one_kind(zip(paths, decoded, strict=True))
    found = [(p, one) for p, one in pairs if isinstance(one, Picture)]
    skipped = {**passed_over, **{p: one for p, one in pairs if isinstance(one, str)}}
    try:
        folders = arrange([path.relative_to(root) for path, _ in found])
    except DataError as error:
        raise DataError(f"images:{root}: {error}") from None
    skipped |= {found[index][0]: why for index, why in folders.left_out.items()}
    kept = [index for index in range(len(found)) if index not in folders.left_out]
    parts = [folders.parts[index] for index in kept] if folders.parts else None
    names = [found[index][0].relative_to(root) for index in kept]
    pictures = [found[index][1] for index in kept]
    digests = [hashlib.sha256(one.pixels.tobytes()).hexdigest() for one in pictures]
    groups = digests
    if options.group_by:
        groups = tied(digests, [name.parent for name in names])
    words = f"{count(len(pictures), 'picture')} used" + _why(root, skipped)
    for there, what, by, fewest in (
        (set(digests), "different picture", "", FEWEST),
        (set(groups), "group", f" by {options.group_by or 'content'}", 3),
    ):
        if len(there) < fewest:
            raise DataError(
                f"images:{root}: {count(len(there), what)}{by}, at least {fewest} are "
                f"needed; {words}"
            )
    indices = by_user(parts, digests, groups) if parts else by_content(groups)
    twice = len(kept) - sum(map(len, indices.values()))
    cut = sum(len(one.pixels) for one in pictures)
    notes = [
        folders.note,
        f"{twice} pictures that are also in a later part are left out" * bool(twice),
        dark_note([one.largest for one in pictures]),
        reduced_note([one.reduced for one in pictures]),
        f"{cut} crops of them" if options.crops else "",
    ]
    notes = [note for note in notes if note]
    labels = folders.numbers(kept)
    splits = {
        key: _split([pictures[k] for k in index], labels, index, options.channels)
        for key, index in indices.items()
    }
    pixels, span = _pixels_of(pictures)
    description = "; ".join([words, *notes])
    truth = {"say": bool(skipped or notes)}
    return Content(splits, description, truth, pixels=pixels, span=span)


def _of_one_kind(
    pairs: Iterable[tuple[Path, Picture | str]],
) -> list[tuple[Path, Picture | str]]:
    """Of deep pictures those of the commonest type and bands; why not, of others."""
    pairs = list(pairs)
    kinds = {
        path: f"{one.depth.kind} with {one.pixels.shape[-1]} bands"
        for path, one in pairs
        if isinstance(one, Picture) and one.depth
    }
    if not kinds:
        return pairs
    ((most, _),) = Counter(kinds.values()).most_common(1)
    return [
        (path, one if kinds.get(path, most) == most else f"{kinds[path]}, not {most}")
        for path, one in pairs
    ]


def _split(
    pictures: Sequence[Picture],
    labels: np.ndarray | None,
    index: np.ndarray,
    channels: int | None,
) -> Split:
    """What those pictures give, each all its crops, with the label of each."""
    counts = [len(one.pixels) for one in pictures]
    images = np.concatenate([one.pixels for one in pictures])
    if images.dtype != np.uint8:
        images = fit_images(images, None, channels)
    return Split(images, None if labels is None else np.repeat(labels[index], counts))


def _pixels_of(pictures: Sequence[Picture]) -> tuple[Pixels, Range | None]:
    """What the pixels are, and black and white of deep ones."""
    depths = [one.depth for one in pictures if one.depth]
    if not depths:
        return BYTES, None
    black, white = depths[0].span
    exact = not any(depth.resized for depth in depths)
    whole = exact and np.dtype(depths[0].kind).kind in "ui"
    levels = levels_between(black, white) if whole else 0
    return Pixels(levels, "float32"), (black, white)


def _why(root: Path, skipped: Mapping[Path, str], most: int = 3) -> str:
    """Counts by reason, with the first names; names are shortened and escaped."""
    if not skipped:
        return ""
    counts = Counter(skipped.values())
    parts = []
    for reason, times in counts.most_common(6):
        names = [p for p, one in sorted(skipped.items()) if one == reason][:most]
        shown = ", ".join(_short(str(p.relative_to(root))) for p in names)
        parts.append(f"{times} {reason}: {shown}{', ...' if times > most else ''}")
    rest = len(counts) - 6
    tail = f"; and {rest} other reasons" if rest > 0 else ""
    return f", {len(skipped)} skipped ({'; '.join(parts)}{tail})"


def _short(name: str) -> str:
    shown = repr(name)
    return shown if len(shown) <= 60 else f"{shown[:40]}...{shown[-15:]}"
