"""What the README says is what the programs do."""

import pydoc
import re
import subprocess
import sys

import pytest

from lossjax import LOSSES
from lossjax.suite.data import DATASETS
from lossjax.suite.docs import readme
from lossjax.suite.shipped import ROOT

TEXT = (ROOT / "README.md").read_text()


def test_tables_are_fresh() -> None:
    step = "CONTRIBUTING.md: run python -m lossjax.suite.docs.readme"
    assert readme.made(TEXT) == TEXT, step


def test_every_loss_and_dataset_is_there() -> None:
    for name in LOSSES:
        assert f"`{name}" in TEXT, name
    for source in DATASETS.values():
        assert f"`{source.usage}`" in TEXT, source.usage


def test_the_loop_runs_and_prints_what_it_says() -> None:
    code = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert code is not None
    body = code[1]
    promised = re.findall(r"# (\S+)$", body, re.MULTILINE)
    lines = [line for line in body.splitlines() if line.strip()]
    assert len(lines) <= 15
    ended = subprocess.run(
        [sys.executable, "-c", body], capture_output=True, text=True, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == promised


def test_every_path_exists() -> None:
    for path in re.findall(r"\]\(([^)#]+)\)", TEXT):
        if "://" not in path:
            assert (ROOT / path).exists(), path
    for path in re.findall(r"`(configs/[^`]+|lossjax/\S+\.py|tests/\S+\.py)`", TEXT):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"])
def test_every_dotted_name_exists(name: str) -> None:
    text = (ROOT / name).read_text()
    for found in re.findall(r"[` ](lossjax(?:\.\w+)+)", text):
        assert pydoc.locate(found) is not None, found


def commands() -> list[str]:
    blocks = re.findall(r"```\n(.*?)```", TEXT, re.DOTALL)
    lines = [
        line.split("#")[0].strip() for block in blocks for line in block.split("\n")
    ]
    return [line for line in lines if line.startswith("./run.sh")]


def test_every_config_is_named() -> None:
    for file in ROOT.glob("configs/*.py"):
        assert f"`configs/{file.name}`" in TEXT


@pytest.mark.parametrize("verb", sorted({c.split()[1] for c in commands()}))
def test_every_verb_is_one(verb: str) -> None:
    assert re.search(rf"^    {verb}\)", (ROOT / "run.sh").read_text(), re.MULTILINE)
