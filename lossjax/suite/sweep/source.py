"""Which version of the code computed a run."""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

import lossjax

_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def source_hash(package: Path = Path(lossjax.__file__).parent) -> str:
    """sha256 of the code that computes: the library, without the programs around it.

    Comments, docstrings and formatting do not count, nor does the version of Python.
    """
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        path = file.relative_to(package)
        if path.parts[0] not in ("suite", "shipped"):
            tree = ast.parse(file.read_bytes())
            digest.update(f"{path.as_posix()} {' '.join(_words(tree))}\n".encode())
    return digest.hexdigest()


def _words(node: object) -> Iterator[str]:
    """A syntax tree as text; what is empty in it is new in some version of Python."""
    if isinstance(node, ast.AST):
        yield type(node).__name__
        for name, value in ast.iter_fields(node):
            if name == "body" and isinstance(node, _DOCUMENTED):
                value = value[ast.get_docstring(node, clean=False) is not None :]
            if isinstance(node, ast.JoinedStr):
                value = [each for each in value if getattr(each, "value", None) != ""]
            if value is not None and value != []:
                yield from (f"{name}=(", *_words(value), ")")
    elif isinstance(node, list):
        for each in node:
            yield from (*_words(each), ",")
    else:
        yield repr(node)
