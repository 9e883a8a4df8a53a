"""What the folders of a user's pictures mean: classes, splits, a wrapper, strays."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import numpy as np

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.dataset import SPLITS

PARTS = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation",
    "validation": "validation", "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
_STRAY_SHARE = 10  # pictures beside class folders are strays up to a tenth of all
_ROOT = "."


@dataclasses.dataclass(frozen=True)
class Arrangement:
    """Attributes:
    left_out: index of a picture -> why it is no example.
    classes: of the others by index; empty where there are no classes.
    parts: of the others by index, where the folders are a split; else empty.
    note: what a user should know of it, or "".
    """

    left_out: Mapping[int, str]
    classes: Mapping[int, str]
    parts: Mapping[int, str]
    note: str = ""

    def numbers(self, kept: Sequence[int]) -> np.ndarray | None:
        """Labels int32 of those pictures: classes in order of name."""
        if not self.classes:
            return None
        order = sorted(set(self.classes.values()))
        return np.array([order.index(self.classes[index]) for index in kept], np.int32)


def arrange(names: Sequence[PurePath]) -> Arrangement:
    """The meaning of the folders that pictures lie in, by their relative paths.

    Folders that all pictures share are looked through. `train` beside `val` or `test`,
    above the classes or below them, is the user's own split; other folders are classes.

    Raises:
      DataError: two folders claim to be the same part of the split.
    """
    folders = {index: name.parts[:-1] for index, name in enumerate(names)}
    folders, left_out = _unwrapped(folders)
    for level in (0, 1):
        found = _split(folders, level)
        if found is not None:
            return _with_split(folders, level, found, left_out)
    classes = {index: place[0] if place else _ROOT for index, place in folders.items()}
    distinct = set(classes.values())
    note = ""
    if _ROOT in distinct and len(distinct) > 1:
        count = Counter(classes.values())[_ROOT]
        note = f"{count} pictures beside the class folders are a class of their own"
    return Arrangement(left_out, classes if len(distinct) > 1 else {}, {}, note)


_Folders = dict[int, tuple[str, ...]]


def _unwrapped(folders: _Folders) -> tuple[_Folders, dict[int, str]]:
    """Without the folders that all share, and without strays beside the classes."""
    left_out: dict[int, str] = {}
    while folders:
        loose = [index for index, place in folders.items() if not place]
        tops = {place[0] for place in folders.values() if place}
        if loose and tops and len(loose) * _STRAY_SHARE <= len(folders):
            left_out |= dict.fromkeys(loose, "beside the class folders")
            folders = {i: place for i, place in folders.items() if place}
        elif not loose and len(tops) == 1:
            folders = {index: place[1:] for index, place in folders.items()}
        else:
            break
    return folders, left_out


def _split(folders: _Folders, level: int) -> dict[str, str] | None:
    """Folder name -> part, where the folders at that level are a split."""
    at = {place[level] for place in folders.values() if len(place) > level}
    found = {name: PARTS[name.lower()] for name in at if name.lower() in PARTS}
    whole = level == 0 or (len(found) == len(at) and all(map(len, folders.values())))
    return found if whole and {"train"} < set(found.values()) else None


def _with_split(
    folders: _Folders, level: int, found: dict[str, str], left_out: dict[int, str]
) -> Arrangement:
    twice = [p for p, n in Counter(found.values()).items() if n > 1]
    if twice and level == 0:
        same = sorted(name for name, part in found.items() if part == twice[0])
        raise DataError(
            f"the folders {' and '.join(map(repr, same))} both name the {twice[0]} "
            "split; leave one of them"
        )
    parts, classes = {}, {}
    for index, place in folders.items():
        if len(place) > level and place[level] in found:
            parts[index] = found[place[level]]
            rest = place[:level] + place[level + 1 :]
            classes[index] = rest[0] if rest else _ROOT
        else:
            left_out[index] = "outside the folders of the split"
    here = sorted(found, key=lambda name: SPLITS.index(found[name]))
    missing = [part for part in SPLITS if part not in found.values()]
    cut = f"; {missing[0]} is cut from train" if missing else ""
    return Arrangement(
        left_out,
        classes if len(set(classes.values())) > 1 else {},
        parts,
        f"the split is that of the folders {', '.join(here)}{cut}",
    )
