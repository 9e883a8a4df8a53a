"""`images:DIR`: a folder of the user's own pictures, which is only ever read."""

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.cache import cached, file_sha256
from lossjax.suite.data.class_folders import arrange
from lossjax.suite.data.dataset import SPLITS, Content, Options, Split
from lossjax.suite.data.folders import folder_at
from lossjax.suite.data.levels import PictureError, dark_note
from lossjax.suite.data.pictures import Picture, quiet_decoders, read_picture
from lossjax.suite.data.progress import progress
from lossjax.suite.store.untrusted import printable

DEFAULT_SIZE = 32
FEWEST = 12  # pictures that differ; fewer cannot fill three splits
_Indices = dict[str, np.ndarray]
_In = TypeVar("_In")
_Out = TypeVar("_Out")


def images_folder(folder: str, options: Options) -> Content:
    """Every picture below a folder; sub-folders become labels.

    Where `train` lies beside `val` or `test`, that is the split. Otherwise splits
    follow the content: pictures that look the same at `image_size` stay together, with
    group_by="parent" all pictures of one folder do; a sixth each of the groups becomes
    validation and test.

    Raises:
      DataError: the folder is absent or holds too few usable pictures.
    """
    root = check_images_folder(folder)
    size, channels = options.image_size or DEFAULT_SIZE, options.channels or 3
    paths, skipped = _scan(root)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        sums = _each(pool, _sum, paths, f"reading {len(paths)} files")
        files = {}
        for path, one in zip(paths, sums, strict=True):
            if one is None:
                skipped[path] = "not readable"
            else:
                files[path] = one
        key = {
            "files": sorted((str(p.relative_to(root)), s) for p, s in files.items()),
            "skipped": sorted(
                (str(p.relative_to(root)), w) for p, w in skipped.items()
            ),
            "options": [size, channels, options.group_by, options.value_range],
        }

        def make() -> Content:
            return _decode(pool, root, list(files), skipped, size, channels, options)

        content = cached("images", key, make)
    if content.truth.get("say"):
        line = f"images:{folder}: {content.description}"
        print(printable(line), file=sys.stderr)
    return Content(content.splits, content.description)


def check_images_folder(folder: str) -> Path:
    """The folder; DataError where it is absent, no folder, unreadable or empty."""
    hint = "valid is a folder of pictures, images:DIR"
    root = folder_at("images:", folder, hint)
    with os.scandir(root) as entries:
        if next(entries, None) is None:
            raise DataError(f"images:{folder}: the folder is empty; {hint}")
    return root


def _scan(root: Path) -> tuple[list[Path], dict[Path, str]]:
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


def _decode(
    pool: ThreadPoolExecutor,
    root: Path,
    paths: list[Path],
    passed_over: Mapping[Path, str],
    size: int,
    channels: int,
    options: Options,
) -> Content:
    def read(path: Path) -> Picture | str:
        try:
            return read_picture(path, size, channels, options.value_range)
        except PictureError as error:
            return str(error)

    with quiet_decoders():
        decoded = _each(pool, read, paths, f"decoding {len(paths)} pictures")
    pairs = list(zip(paths, decoded, strict=True))
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
    images = np.array([found[index][1].pixels for index in kept], np.uint8)
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
    groups = digests
    if options.group_by:
        groups = _tied(digests, [name.parent for name in names])
    words = f"{len(images)} pictures used" + _why(root, skipped)
    for what, count, fewest in (
        ("different pictures", len(set(digests)), FEWEST),
        (f"groups by {options.group_by or 'content'}", len(set(groups)), 3),
    ):
        if count < fewest:
            raise DataError(
                f"images:{root}: {count} {what}, at least {fewest} are needed; {words}"
            )
    indices = _by_user(parts, digests, groups) if parts else _by_content(groups)
    twice = len(kept) - sum(map(len, indices.values()))
    notes = [
        folders.note,
        f"{twice} pictures that are also in a later part are left out" * bool(twice),
        dark_note([found[index][1].largest for index in kept]),
    ]
    notes = [note for note in notes if note]
    labels = folders.numbers(kept)
    splits = {
        key: Split(images[index], None if labels is None else labels[index])
        for key, index in indices.items()
    }
    return Content(splits, "; ".join([words, *notes]), {"say": bool(skipped or notes)})


def _tied(digests: list[str], parents: list[Path]) -> list[str]:
    """A name for each image's group: the least content hash its folder is tied to."""
    # A picture that lies in two folders ties them together: least names spread until
    # nothing changes.
    folder = dict.fromkeys(parents, "g")
    content = dict.fromkeys(digests, "g")
    for parent, digest in zip(parents, digests, strict=True):
        folder[parent] = min(folder[parent], digest)
    while True:
        before = dict(folder)
        for parent, digest in zip(parents, digests, strict=True):
            content[digest] = min(content[digest], folder[parent])
        for parent, digest in zip(parents, digests, strict=True):
            folder[parent] = min(folder[parent], content[digest])
        if folder == before:
            return [folder[parent] for parent in parents]


def _by_content(groups: Sequence[str], parts: Sequence[str] = SPLITS) -> _Indices:
    """Indices of parts: a sixth of the groups each in hash order, the rest train."""
    order = sorted(set(groups))
    held = max(1, len(order) // 6)
    place = dict.fromkeys(order, "train")
    for number, part in enumerate(p for p in ("test", "validation") if p in parts):
        place |= dict.fromkeys(order[number * held : (number + 1) * held], part)
    of = np.array([place[group] for group in groups])
    return {part: np.flatnonzero(of == part) for part in parts}


def _by_user(parts: Sequence[str], digests: list[str], groups: list[str]) -> _Indices:
    """Indices of each split as the user has it; what is missing is cut from train.

    A picture that is in several parts stays in the last of them only.
    """
    last: dict[str, str] = {}
    for part in SPLITS:
        last |= {d: part for d, own in zip(digests, parts, strict=True) if own == part}
    indices = {
        part: np.array(
            [
                index
                for index, (digest, own) in enumerate(zip(digests, parts, strict=True))
                if own == last[digest] == part
            ],
            np.int64,
        )
        for part in SPLITS
    }
    missing = [part for part in SPLITS if part not in parts]
    train = indices["train"]
    if missing and len(train):
        cut = _by_content([groups[i] for i in train], ["train", *missing])
        indices |= {part: train[index] for part, index in cut.items()}
    return indices


def _why(root: Path, skipped: Mapping[Path, str], most: int = 3) -> str:
    """Counts by reason, with the first names; names are shortened and escaped."""
    if not skipped:
        return ""
    counts = Counter(skipped.values())
    parts = []
    for reason, count in counts.most_common(6):
        names = [p for p, one in sorted(skipped.items()) if one == reason][:most]
        shown = ", ".join(_short(str(p.relative_to(root))) for p in names)
        parts.append(f"{count} {reason}: {shown}{', ...' if count > most else ''}")
    rest = len(counts) - 6
    tail = f"; and {rest} other reasons" if rest > 0 else ""
    return f", {len(skipped)} skipped ({'; '.join(parts)}{tail})"


def _short(name: str) -> str:
    shown = repr(name)
    return shown if len(shown) <= 60 else f"{shown[:40]}...{shown[-15:]}"
