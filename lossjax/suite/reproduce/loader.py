"""Python files that are data here, studies and configs: found by name, loaded by path.

None is imported by another's name, so that a file works from any folder.
"""

import functools
import importlib.util
import sys
import traceback
import types
from pathlib import Path

from lossjax.suite.cli.errors import UserError, unknown


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
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # executed Python: anything may come
        del sys.modules[name]
        raise UserError(f"{_where(file, error)}: {_words(error)}") from error
    return module


def _where(file: Path, error: Exception) -> str:
    """The file, and the line of it that was run last."""
    if isinstance(error, SyntaxError):
        return f"{file}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    return f"{file}, line {lines[-1]}" if lines else str(file)


def _words(error: Exception) -> str:
    if isinstance(error, UserError):
        return str(error)
    first = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {first[0]}"
