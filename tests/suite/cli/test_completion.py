"""A shell completes verbs, and flags by what --help names."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lossjax.suite.cli import __main__ as cli

ASK = """
{script}
COMP_WORDS=({words}); COMP_CWORD={place}; _lossjax
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "expected"),
    [("lossjax re", ["report", "reproduce"]), ("lossjax sweep --ou", ["--out="])],
)
def test_bash_completes(tmp_path: Path, words: str, expected: list[str]) -> None:
    (tmp_path / "lossjax").write_text("#!/bin/sh\necho '  --out=TEXT\n  --quiet'\n")
    (tmp_path / "lossjax").chmod(0o755)
    place = len(words.split()) - 1
    done = subprocess.run(
        [
            shutil.which("bash") or "bash",
            "-c",
            ASK.format(script=cli.completion(), words=words, place=place),
        ],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == expected, done.stderr


def test_version_citation_and_changelog_name_one_release() -> None:
    root = Path(__file__).parents[3]
    number = cli.version().split()[1]
    assert f'version = "{number}"' in (root / "pyproject.toml").read_text()
    citation = (root / "CITATION.cff").read_text()
    released = re.findall(
        r"^## (\d\S*) - (\S+)$", (root / "CHANGELOG.md").read_text(), re.M
    )
    assert released[0][0] == number
    assert f'version: {number}\ndate-released: "{released[0][1]}"' in citation
