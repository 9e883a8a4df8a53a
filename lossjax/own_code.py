"""A user's own code, named in a sweep: `my_file.py:NAME(argument=number, ...)`.

What it consists of is read here, never run; nothing here imports jax.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_WRITTEN = re.compile(r"(?P<file>[^()\[\]]+\.py):(?P<call>.+)", re.DOTALL)


class Place(NamedTuple):
    """Where something of one's own is written."""

    file: str
    call: str  # name, with its arguments if any


def place_of(text: str) -> Place | None:
    """The file and the call of something of one's own; None for a row's name."""
    match = _WRITTEN.fullmatch(text.strip())
    return None if match is None else Place(match["file"], match["call"].strip())


def files_of(file: str) -> tuple[Path, ...]:
    """The file, and what it imports from its folder, directly or not.

    Raises:
      ValueError: the file is absent or no Python; one line.
    """
    path = Path(file).expanduser()
    found: dict[Path, None] = {}
    open_ones = [path]
    while open_ones:
        one = open_ones.pop()
        if one in found:
            continue
        found[one] = None
        try:
            tree = ast.parse(one.read_bytes())
        except FileNotFoundError:
            raise ValueError(f"{file}: there is no such file") from None
        except OSError as error:
            raise ValueError(f"{one}: cannot be read ({error.strerror})") from None
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None)
            where = f"line {line}: " if line else ""
            reason = getattr(error, "msg", None) or str(error)
            raise ValueError(
                f"{one}: no Python that can be read: {where}{reason}"
            ) from None
        for name in _imported(tree):
            for place in (path.parent / f"{name}.py", path.parent / name):
                if place.is_file():
                    open_ones.append(place)
                elif place.is_dir():
                    open_ones += sorted(place.rglob("*.py"))
    return tuple(found)


def digest(file: str) -> str:
    """sha256 (hex) of all that `files_of` names; ValueError as there."""
    total = hashlib.sha256()
    folder = Path(file).expanduser().parent
    for path in sorted(files_of(file)):
        content = path.read_bytes()
        total.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode())
        total.update(content)
    return total.hexdigest()


def _imported(tree: ast.AST) -> Iterator[str]:
    """The top names of what is imported anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
