"""`images:DIR`: a folder of the user's own pictures, which is only ever read."""

import hashlib
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.cache import cached, file_sha256
from lossjax.suite.data.dataset import Content, Options, Split
from lossjax.suite.data.pictures import PictureError, quiet_decoders, read_picture
from lossjax.suite.data.progress import progress

DEFAULT_SIZE = 32
FEWEST = 12  # pictures that differ; fewer cannot fill three splits
_In = TypeVar("_In")
_Out = TypeVar("_Out")


def images_folder(folder: str, options: Options) -> Content:
    """Every picture below a folder; sub-folders become labels.

    Splits follow the content: pictures that look the same at `image_size` stay
    together, with group_by="parent" all pictures of one folder do. A sixth each of the
    groups becomes validation and test.

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
            "options": [size, channels, options.group_by],
        }

        def make() -> Content:
            return _decode(pool, root, list(files), skipped, size, channels, options)

        content = cached("images", key, make)
    if content.truth["skipped"]:
        print(f"images:{folder}: {content.description}", file=sys.stderr)
    return Content(content.splits, content.description)


def check_images_folder(folder: str) -> Path:
    """The folder; DataError where it is absent, no folder, unreadable or empty."""
    root = Path(folder).expanduser()
    hint = "valid is a folder of pictures, images:DIR"
    if not root.is_dir():
        state = "is not a folder" if root.exists() else "does not exist"
        raise DataError(f"images:{folder}: {str(root)!r} {state}; {hint}")
    try:
        with os.scandir(root) as entries:
            if next(entries, None) is None:
                raise DataError(f"images:{folder}: the folder is empty; {hint}")
    except OSError as error:
        raise DataError(
            f"images:{folder}: cannot be read ({error.strerror}); chmod u+rx {root}"
        ) from error
    return root


def _scan(root: Path) -> tuple[list[Path], dict[Path, str]]:
    """Regular files in a fixed order, and what is passed over with the reason."""
    found, skipped = [], {}

    def note(error: OSError) -> None:
        skipped[Path(error.filename)] = "folder not readable"

    inside = root.resolve()
    for folder, folders, names in os.walk(root, onerror=note):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [*names, *folders]:
            path = Path(folder, name)
            if name.startswith("."):
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(inside):
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
    def read(path: Path) -> np.ndarray | str:
        try:
            return read_picture(path, size, channels)
        except PictureError as error:
            return str(error)

    with quiet_decoders():
        decoded = _each(pool, read, paths, f"decoding {len(paths)} pictures")
    pairs = list(zip(paths, decoded, strict=True))
    pictures = [(p, one) for p, one in pairs if isinstance(one, np.ndarray)]
    skipped = {**passed_over, **{p: one for p, one in pairs if isinstance(one, str)}}
    names = [path.relative_to(root) for path, _ in pictures]
    images = np.array([one for _, one in pictures], np.uint8)
    groups = _groups(images, [n.parent for n in names] if options.group_by else None)
    words = f"{len(images)} pictures used" + _why(root, skipped)
    for what, count, fewest in (
        ("different pictures", len({image.tobytes() for image in images}), FEWEST),
        (f"groups by {options.group_by or 'content'}", len(set(groups)), 3),
    ):
        if count < fewest:
            raise DataError(
                f"images:{root}: {count} {what}, at least {fewest} are needed; {words}"
            )
    top = [name.parts[0] if len(name.parts) > 1 else "." for name in names]
    classes = sorted(set(top))
    labels = np.array([classes.index(one) for one in top], np.int32)
    splits = {
        key: Split(images[index], labels[index] if len(classes) > 1 else None)
        for key, index in _assign(groups).items()
    }
    return Content(splits, words, {"skipped": len(skipped)})


def _groups(images: np.ndarray, parents: list[Path] | None) -> list[str]:
    """A name for each image's group: the smallest content hash it is tied to."""
    digests = [hashlib.sha256(image.tobytes()).hexdigest() for image in images]
    if parents is None:
        return digests
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


def _assign(groups: list[str]) -> dict[str, np.ndarray]:
    """Indices of each split: the groups in hash order, a sixth, a sixth, the rest."""
    order = sorted(set(groups))
    held = max(1, len(order) // 6)
    place = {group: position // held for position, group in enumerate(order)}
    position = np.array([min(place[group], 2) for group in groups])
    return {
        key: np.flatnonzero(position == value)
        for key, value in (("train", 2), ("validation", 1), ("test", 0))
    }


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
