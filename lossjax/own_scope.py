"""Runs a file of the user's own: what it defines, once for each content of it."""

import functools
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

import jax

from lossjax import own_code


@functools.lru_cache(maxsize=64)
def scope(file: str, digest: str) -> dict[str, Any]:
    """What the file defines, with what lies beside it importable while it is run.

    Args:
      file: its path.
      digest: `own_code.digest(file)`, by which an edit is seen.

    Raises:
      ValueError: it does not import, or makes a jax array while it does; one line.
    """
    path = Path(file).expanduser().absolute()
    beside = {str(one.absolute()) for one in own_code.files_of(file)}
    before = {key: sys.modules.pop(key) for key in _modules(beside)}  # of an edit, say
    spec = importlib.util.spec_from_file_location(f"own_{digest[:16]}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    writes = sys.dont_write_bytecode
    sys.path.insert(0, str(path.parent))
    importlib.invalidate_caches()
    sys.dont_write_bytecode = True  # a user's folder is only read
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # anybody's Python: anything may come
        raise ValueError(f"{file}: does not import: {in_words(error)}") from None
    finally:
        sys.dont_write_bytecode = writes
        sys.path.remove(str(path.parent))
        for key in _modules(beside):  # another folder may have one of that name
            del sys.modules[key]
        sys.modules.update(before)
    if made := [key for key, one in vars(module).items() if isinstance(one, jax.Array)]:
        # It would start jax before a program has chosen the device and its flags.
        raise ValueError(
            f"{file}: makes the jax array {made[0]!r} while it is imported: make it in "
            "a function, or with numpy"
        )
    return vars(module)


def in_words(error: BaseException) -> str:
    """An error of anybody's code in a line."""
    text = f"{type(error).__name__}: {error}"
    return " ".join(text.split())[:300]


def _modules(files: set[str]) -> list[str]:
    """The names of the loaded modules that lie in these files."""
    return [
        key
        for key, module in list(sys.modules.items())
        if getattr(module, "__file__", None) in files
    ]
