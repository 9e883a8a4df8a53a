"""Examples in docstrings print what they say, in every module that has one."""

import doctest
import importlib
from pathlib import Path

import pytest

import lossjax

PACKAGE = Path(lossjax.__file__).parent
WITH_EXAMPLES = sorted(
    ".".join(("lossjax", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in PACKAGE.rglob("*.py")
    if ">>> " in path.read_text()
)


@pytest.mark.parametrize("module", WITH_EXAMPLES)
def test_examples_run(module: str) -> None:
    done = doctest.testmod(importlib.import_module(module.removesuffix(".__init__")))
    assert done.attempted and not done.failed
