"""The folders that a user names: one spelling of each, refused in words before use."""

import difflib
import itertools
import os
import re
from pathlib import Path

from lossjax.suite.cli.errors import DataError

_MOST_NEIGHBOURS = 1000


def expanded(text: str | os.PathLike[str], field: str) -> Path:
    """The path with ~ expanded, no trailing slash, no doubled one and no lone dot.

    Raises:
      DataError: no system takes it as a path, or ~ names nobody; it names `field`.
    """
    path = os.fspath(text)
    shown = f"{field}{path[:200]}"
    try:
        path.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{shown}: the path is not UTF-8, so no result could name it; "
            "rename the folder"
        ) from None
    if "\0" in path:
        raise DataError(f"{shown}: a path cannot hold a NUL character")
    try:
        return Path(re.sub("^/+", "/", path)).expanduser()
    except RuntimeError:
        raise DataError(
            f"{shown}: there is no such user's folder; write the whole path"
        ) from None


def folder_at(kind: str, folder: str, hint: str) -> Path:
    """The folder of a dataset name such as `idx:DIR`.

    Raises:
      DataError: it is absent, no folder, or cannot be entered.
    """
    root = expanded(folder, kind)
    try:
        with os.scandir(root):
            return root
    except FileNotFoundError:
        state = f"does not exist{_neighbour(kind, root)}"
    except NotADirectoryError:
        state = "is not a folder"
    except PermissionError as error:
        raise DataError(
            f"{kind}{folder}: cannot be read ({error.strerror}); chmod u+rx {root}"
        ) from None
    except OSError as error:
        state = f"cannot be read ({error.strerror})"
    shown = str(root) if len(str(root)) < 300 else f"{str(root)[:200]}..."
    raise DataError(f"{kind}{folder[:200]}: {shown!r} {state}; {hint}")


def _neighbour(kind: str, root: Path) -> str:
    """What a misspelt or cut name may have meant, from what lies beside it."""
    try:
        with os.scandir(root.parent) as entries:
            some = itertools.islice(entries, _MOST_NEIGHBOURS)
            names = sorted(entry.name for entry in some if entry.is_dir())
    except OSError:
        return ""
    cut = [name for name in names if re.match(re.escape(root.name) + r"\s*,", name)]
    if cut:
        whole = kind + str(root.parent / cut[0])
        return (
            f"; a comma separates datasets: write --config.datasets="
            f'"({whole!r},)" to have that folder'
        )
    near = difflib.get_close_matches(root.name, names, n=1)
    return f"; did you mean {kind}{root.parent / near[0]}?" if near else ""
