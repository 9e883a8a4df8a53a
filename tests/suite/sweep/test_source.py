"""The hash of what computes: it moves with the code, and with nothing else."""

import shutil
from pathlib import Path

import pytest

import lossjax
from lossjax.suite.sweep.source import source_hash

PACKAGE = Path(lossjax.__file__).parent


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    ignored = shutil.ignore_patterns("__pycache__")
    return Path(shutil.copytree(PACKAGE, tmp_path / "lossjax", ignore=ignored))


def changed(copy: Path, file: str, old: str, new: str) -> bool:
    path = copy / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    return source_hash(copy) != source_hash()


def test_a_copy_has_the_same_hash(copy: Path) -> None:
    assert source_hash(copy) == source_hash()


def test_code_counts(copy: Path) -> None:
    assert changed(copy, "training/replicas.py", "BLOCK = 256", "BLOCK = 255")


def test_comments_docstrings_and_line_breaks_do_not(copy: Path) -> None:
    file = "training/replicas.py"
    assert not changed(copy, file, "BLOCK = 256", "BLOCK = (\n    256\n)  # why")
    assert not changed(copy, file, '"""Replicas:', '"""Some words on replicas:')


def test_the_programs_do_not(copy: Path) -> None:
    (copy / "suite/bench/table.py").write_text("def nothing(): pass\n")
    assert source_hash(copy) == source_hash()


def test_every_version_of_python_gives_the_same(tmp_path: Path) -> None:
    """Some write a tree with empty fields that others do not have."""
    (tmp_path / "a.py").write_text(
        "def f(a, *, b=None):\n    'doc'\n    return f'{a!r:>{b}}', None, [], ()\n"
        "class A(int, metaclass=type): pass\n"
    )
    assert source_hash(tmp_path).startswith("3100503ec3fcfdef")
