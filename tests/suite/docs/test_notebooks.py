"""The notebooks of docs/ run, cell by cell, and what their last lines give is shown."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from lossjax.suite.docs import notebook_pages
from lossjax.suite.shipped import ROOT

NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))
# So that a test takes seconds: the fewest steps that are asked for.
SHORTER = {"minutes=2": "minutes=0.001", "steps=1000": "steps=200"}


def cells(path: Path, kind: str) -> Iterator[str]:
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == kind:
            yield "".join(cell["source"])


def run(code: str, scope: dict[str, Any]) -> None:
    """As a notebook does: the value of the last line shows itself."""
    lines = (line for line in code.splitlines() if not line.startswith("%"))
    tree = ast.parse("\n".join(lines))
    last = (
        tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    )
    exec(compile(tree, "cell", "exec"), scope)
    if last is not None:
        assert isinstance(last, ast.Expr)
        shown = eval(compile(ast.Expression(last.value), "cell", "eval"), scope)
        ways = [getattr(shown, f"_repr_{kind}_", None) for kind in ("html", "png")]
        assert not any(ways) or any(way() for way in ways if way)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    monkeypatch.setattr("lossjax.suite.shipped.LOCAL", tmp_path / "local")
    scope: dict[str, Any] = {"__name__": "__main__"}
    shortened = 0
    for code in cells(path, "code"):
        for long, short in SHORTER.items():
            shortened += code.count(long)
            code = code.replace(long, short)
        run(code, scope)
    assert shortened


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_begins_with_one_install_and_says_nothing_of_a_machine(path: Path) -> None:
    installs = [c for c in cells(path, "code") if c.startswith("%pip install")]
    assert len(installs) == 1
    _, _, kept = installs[0].splitlines()[0].partition("$")
    # What the shell makes of the brackets: the versions that are there.
    folder = Path(sys.executable).parent
    words = subprocess.run(
        ["sh", "-c", f"echo ${kept}"],
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    ).stdout.split()
    assert {f"{name}=={version(name)}" for name in ("jax", "jaxlib")} <= {*words}
    assert "Traceback" not in path.read_text() and "/work" not in path.read_text()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_a_page_of_the_site(path: Path) -> None:
    page = notebook_pages.page(path)
    assert page.startswith("# ") and "```python\nimport lossjax" in page
    assert page.count("```") % 2 == 0
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"(docs/{path.name})" in readme.partition("## Documentation")[2]
