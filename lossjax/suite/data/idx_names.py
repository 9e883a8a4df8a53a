"""Which files of a folder are an IDX dataset, under whichever of their usual names."""

import dataclasses
import itertools
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.folders import expanded, folder_at

HINT = "valid is a folder of IDX files, idx:DIR"
_WANTED = (
    "train-images-idx3-ubyte and t10k-images-idx3-ubyte, with any prefix, test for "
    "t10k, .gz, in DIR or up to 3 folders below"
)
_DEEPEST, _MOST = 3, 20_000
_PARTS = {
    "train": "train", "training": "train", "t10k": "test", "test": "test",
    "testing": "test", "val": "validation", "valid": "validation",
    "validation": "validation", "dev": "validation",
}  # fmt: skip
_NAME = re.compile(
    r"(?P<prefix>(?:.*[^a-z0-9])?)"
    rf"(?P<part>{'|'.join(sorted(_PARTS, key=len, reverse=True))})"
    r"[-_. ](?P<kind>images|labels|groups)"
    r"[-_. ]idx(?P<rank>[1-4])[-_. ](?P<type>ubyte|short)(?P<zipped>\.gz)?",
    re.IGNORECASE,
)
_TYPES = {
    "images": {"3ubyte", "4ubyte"},
    "labels": {"1ubyte"},
    "groups": {"1ubyte", "2ubyte", "1short", "2short"},
}


@dataclasses.dataclass(frozen=True)
class Files:
    """The files of one split; None where there is no such file."""

    images: Path
    labels: Path | None = None
    groups: Path | None = None


def find_idx(folder: str) -> Mapping[str, Files]:
    """The files of `train`, `test` and, where it is there, `validation`.

    The folder itself goes before what lies below it. Where it holds several sets, the
    prefix that they differ by follows the folder: `idx:DIR/emnist-balanced`.

    Raises:
      DataError: a file is missing, or several could be meant; it names them.
    """
    path = expanded(folder, "idx:")
    prefix = ""
    if not os.path.lexists(path) and _named(path.parent, path.name):
        root, prefix = path.parent, path.name.lower()
    else:
        root = folder_at("idx:", folder, HINT)
    seen = _files(root)
    sets: dict[tuple[Path, str], dict[tuple[str, str], list[Path]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for file in seen:
        match = _NAME.fullmatch(file.name)
        if match and match["prefix"].lower().startswith(prefix):
            kind = match["kind"].lower()
            if match["rank"] + match["type"].lower() in _TYPES[kind]:
                part = _PARTS[match["part"].lower()]
                sets[file.parent, match["prefix"].lower()][part, kind].append(file)
    whole = {
        key: files
        for key, files in sets.items()
        if {("train", "images"), ("test", "images")} <= set(files)
    }
    nearest = min((len(place.parts) for place, _ in whole), default=0)
    chosen = [
        files for (place, _), files in whole.items() if len(place.parts) == nearest
    ]
    if len(chosen) > 1:
        names = _some(root, (one["train", "images"][0] for one in chosen))
        raise DataError(
            f"idx:{folder}: several sets lie there ({names}); name one by its folder "
            "or prefix, idx:DIR/PREFIX"
        )
    if not chosen and len(sets) > 1:
        chosen = [_together(sets.values())]  # training and test files in two folders
    elif not chosen:
        chosen = list(sets.values()) or [{}]
    return _splits(folder, root, seen, chosen[0])


def _splits(
    folder: str,
    root: Path,
    seen: list[Path],
    found: Mapping[tuple[str, str], list[Path]],
) -> Mapping[str, Files]:
    for part, usual in (("train", "train"), ("test", "t10k")):
        if (part, "images") not in found:
            lies = _some(root, seen, 6) or "no file"
            raise DataError(
                f"idx:{folder}: {usual}-images-idx3-ubyte (or .gz) is missing; "
                f"looked for {_WANTED}; there lie {lies}"
            )
    one: dict[tuple[str, str], Path] = {}
    for (part, kind), files in found.items():
        # A file beside its own .gz is one file: torchvision leaves both.
        plain = {str(file).lower().removesuffix(".gz"): file for file in files}
        plain |= {str(f).lower(): f for f in files if f.suffix.lower() != ".gz"}
        if len(plain) > 1:
            raise DataError(
                f"idx:{folder}: several files could hold the {part} {kind}: "
                f"{_some(root, files, 6)}; leave one of them there"
            )
        (one[part, kind],) = plain.values()
    return {
        part: Files(
            one[part, "images"], one.get((part, "labels")), one.get((part, "groups"))
        )
        for part in ("train", "validation", "test")
        if (part, "images") in one
    }


def _together(
    sets: Iterable[Mapping[tuple[str, str], list[Path]]],
) -> dict[tuple[str, str], list[Path]]:
    found: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for one in sets:
        for key, files in one.items():
            found[key] += files
    return found


def _named(folder: Path, prefix: str) -> bool:
    """Do IDX files lie in the folder whose names begin with `prefix`?"""
    try:
        with os.scandir(folder) as entries:
            return any(
                entry.name.lower().startswith(prefix.lower())
                and _NAME.fullmatch(entry.name)
                for entry in itertools.islice(entries, _MOST)
            )
    except OSError:
        return False


def _files(root: Path) -> list[Path]:
    """Regular files of the folder and up to three below it, hidden ones left out."""
    found: list[Path] = []
    for place, folders, names in os.walk(root):
        depth = len(Path(place).relative_to(root).parts)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        if depth == _DEEPEST:
            folders.clear()
        paths = (Path(place, name) for name in sorted(names) if name[0] != ".")
        found += (path for path in paths if path.is_file())
        if len(found) > _MOST:
            break
    return found


def _some(root: Path, files: Iterable[Path], most: int = 4) -> str:
    names = [repr(str(file.relative_to(root))) for file in files]
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return (
        ", ".join(
            name if len(name) < 80 else f"{name[:70]}..." for name in names[:most]
        )
        + more
    )
