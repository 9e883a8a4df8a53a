"""Python files that are data here, studies and configs: found by name, loaded by path.

None is imported by another's name, so that a file works from any folder.
"""

import contextlib
import functools
import importlib.util
import sys
import traceback
import types
from collections.abc import Iterator
from pathlib import Path

from lossjax.suite.cli.errors import Interrupted, UserError, unknown


def names(folder: Path) -> list[str]:
    """The names of a folder's Python files, in alphabetical order."""
    return sorted(file.stem for file in folder.glob("*.py"))


def find(text: str, folder: Path, kind: str) -> Path:
    """The file at a path that ends in .py (~ expanded), else the folder's of that name.

    Raises:
      UserError: there is neither.
    """
    path = Path(text).expanduser()
    if path.suffix == ".py" and path.is_file():
        return path.resolve()
    name = text.removeprefix(f"{folder.name}/").removesuffix(".py")
    if name not in names(folder):
        raise unknown(kind, text, names(folder))
    return folder / f"{name}.py"


@functools.cache
def load(file: Path) -> types.ModuleType:
    """The module in a file.

    Raises:
      UserError: it does not run; the line says where it stops.
    """
    name = str(file)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # As importlib's own recipe does: dataclasses look their module up there.
    sys.modules[name] = module
    with running(file):
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return module


@contextlib.contextmanager
def running(file: Path) -> Iterator[None]:
    """Executed Python may raise anything: here it is a UserError that says where."""
    try:
        yield
    except (UserError, Interrupted):
        raise
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        first = str(error).splitlines() or [""]
        words = f"{type(error).__name__}: {first[0]}"
        raise UserError(f"{_where(file, error)}: {words}") from error


def _where(file: Path, error: BaseException) -> str:
    """The file, and the line of it that was run last."""
    if isinstance(error, SyntaxError):
        return f"{file}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return f"{file}, line {lines[-1]}" if lines else str(file)
