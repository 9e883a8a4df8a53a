"""What README.md and docs/ say is what the programs do."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import lossjax
from lossjax import LOSSES
from lossjax.suite.cli.errors import UserError
from lossjax.suite.data import DATASETS
from lossjax.suite.docs import __main__ as verb
from lossjax.suite.docs import generated, measurements
from lossjax.suite.shipped import ROOT

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
PAGES = (README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
LINK = re.compile(r"\]\(([^)\s]+)\)")


def broken(page: Path, text: str) -> Iterator[str]:
    """Links of a page whose file or heading is not there."""
    for link in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def anchors(page: Path) -> set[str]:
    text = page.read_text(encoding="utf-8")
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    made = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in heads}
    return made | set(re.findall(r'<a id="(.+?)">', text))


def test_generated_parts_are_fresh() -> None:
    stale = [str(path.relative_to(ROOT)) for path in generated.stale(ROOT)]
    assert not stale, "run: python -m lossjax.suite.docs.generated"
    # A study that is gone leaves no page behind.
    studies = {path.stem for path in ROOT.glob("docs/studies/*.md")}
    assert studies == {path.stem for path in ROOT.glob("experiments/*.py")}


def test_a_stale_part_is_found_and_an_unknown_one_refused(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    part = f"<!-- metrics -->\n{generated.PARTS['metrics']()}\n<!-- end -->\n"
    (tmp_path / "README.md").write_text(part)
    (tmp_path / "docs" / "page.md").write_text(part.replace("mse", "MSE"))
    names = [path.name for path in generated.stale(tmp_path)]
    assert "page.md" in names and "README.md" not in names
    with pytest.raises(UserError, match="<!-- metric --> is no generated part"):
        generated.made(part.replace("metrics", "metric"), "page.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert not list(broken(page, page.read_text(encoding="utf-8")))


def test_a_broken_link_is_found() -> None:
    text = (
        "[a](docs/nowhere.md) [b](docs/report.md#nowhere) [c](docs/report.md#glossary)"
    )
    assert list(broken(README, text)) == ["docs/nowhere.md", "docs/report.md#nowhere"]


def test_every_page_is_in_the_index() -> None:
    index = TEXT.partition("## Documentation")[2]
    listed = {link.partition("#")[0] for link in LINK.findall(index)}
    for page in (*ROOT.glob("docs/*.md"), *ROOT.glob("*.md")):
        assert page == README or str(page.relative_to(ROOT)) in listed, page.name


def test_the_readme_is_short_and_begins_with_the_commands() -> None:
    lines = TEXT.splitlines()
    assert len(lines) <= 150
    assert any(line.startswith("./run.sh sweep") for line in lines[:40])
    columns = [line.count(" | ") + 1 for line in lines if line.startswith("| ")]
    assert max(columns) <= 5


def test_every_loss_and_dataset_has_its_line() -> None:
    losses = (ROOT / "docs" / "losses.md").read_text(encoding="utf-8")
    datasets = (ROOT / "docs" / "datasets.md").read_text(encoding="utf-8")
    for name in LOSSES:
        assert f"### `{name}" in losses, name
    for source in DATASETS.values():
        assert f"`{source.usage}`" in datasets, source.usage


@pytest.mark.parametrize("page", ["README.md", "docs/library.md"])
def test_the_code_runs_and_prints_what_it_says(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert code is not None
    promised = re.findall(r"^print.*# (\S+)$", code[1], re.MULTILINE)
    ended = subprocess.run(
        [sys.executable, "-c", code[1]], capture_output=True, text=True, cwd=ROOT
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == promised


def test_paths_and_verbs_exist() -> None:
    verbs = re.findall(r"^    ([a-z]+)\) .*;; #", (ROOT / "run.sh").read_text(), re.M)
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path in re.findall(r"`((?:configs|lossjax|tests)/[^`\s]+\.py)`", text):
            # CONTRIBUTING names the files of its examples, which a reader makes.
            made = "NAME" in path or page.name == "CONTRIBUTING.md"
            assert (ROOT / path).exists() or made, path
        for name in re.findall(r"^\./run\.sh ([a-z]+)", text, re.MULTILINE):
            assert name in verbs, f"{page.name}: ./run.sh {name}"


def test_the_short_answer_is_refused_where_rows_say_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "answer.md"
    other.write_text('{{ holds(agree("outliers", "zeros_continuous_bernoulli")) }}')
    monkeypatch.setattr(measurements, "SHORT_ANSWER", other)
    with pytest.raises(UserError, match="a sentence no longer holds"):
        measurements.bce_or_mse()


def test_public_names_have_docstrings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(verb.undocumented()) == []
    monkeypatch.setattr(lossjax.Margin, "__doc__", "Margin(value: float)")
    monkeypatch.setattr(lossjax.Loss.floor, "__doc__", None)
    assert list(verb.undocumented()) == ["Loss.floor", "Margin"]


# Phrases of a private dialect, which a reader from elsewhere has to guess.
DIALECT = (
    *("told from the best", "shown worse", "best set", "a loss, ten seeds", "elicits"),
    *("by its own value", "yet least there", "leaves a rest", "goes on where it was"),
    *("turn by turn", "with least and largest", "beside ours", "what it takes to have"),
    *("that is not there", "seeds a loss", "runs a device"),
)


@pytest.mark.parametrize("page", [p for p in PAGES if p.parent.name != "studies"])
def test_pages_are_in_plain_english(page: Path) -> None:
    prose = re.sub(r"<!-- .*?<!-- end -->", "", page.read_text(), flags=re.DOTALL)
    prose = re.sub(r"```.*?```", "", prose, flags=re.DOTALL)
    words = " ".join(prose.split())
    assert [phrase for phrase in DIALECT if phrase in words] == []
