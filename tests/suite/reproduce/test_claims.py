"""The claims ledger: its numbers are looked up, its verdicts follow the rows."""

import ast
import json
import re
from pathlib import Path

from lossjax.suite.reproduce import __main__ as reproduce
from lossjax.suite.reproduce import answers, answers_asked, folder, ledger, questions
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.reproduce.claim import settle


def literals(node: ast.AST) -> list[str]:
    """Every text in an Answer(...), without what is looked up in its braces."""
    found: list[str] = []
    for part in ast.walk(node):
        if isinstance(part, ast.FormattedValue):
            part.value, part.format_spec = ast.Constant(0), None
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            found.append(part.value)
    return found


def typed_numbers(source: str) -> list[str]:
    """Numbers typed into answers; 0, 1 and the size of a digit are no findings."""
    calls = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Answer"
    ]
    assert calls
    free = {"0", "1", "8", "32"}  # 32 of float32
    words = [text for call in calls for arg in call.args[:2] for text in literals(arg)]
    numbers = [n for text in words for n in re.findall(r"\d+(?:\.\d+)?", text)]
    return [number for number in numbers if number not in free]


def test_no_number_of_an_answer_is_typed() -> None:
    theirs, asked = (
        Path(module.__file__).read_text() for module in (answers, answers_asked)
    )
    assert typed_numbers(theirs) == typed_numbers(asked) == []
    spoiled = asked.replace("Look at the loss above its floor", "It is 81.25")
    assert typed_numbers(spoiled) == ["81.25"]


def test_every_claim_is_answered_or_names_a_study_without_rows() -> None:
    entries = ledger.settled()
    assert len({entry.claim.key for entry in entries}) == len(entries)
    for entry in entries:
        if entry.answered:
            assert (folder.PUBLISHED / entry.answer.figure).is_file()
            assert entry.numbers
            continue
        missing = entry.answer.verdict.removeprefix("not answered yet: needs ")
        # A study that is stored lacks no finding that a claim looks up.
        assert missing.isidentifier(), missing
        assert not (folder.PUBLISHED / missing).exists()


def test_answers_follow_the_rows(tmp_path: Path) -> None:
    """Other rows, other numbers and another verdict; none, and it says so."""
    claim = next(c for c in questions.CLAIMS if c.key == "Q2")
    assert settle(claim, tmp_path).answer.verdict.endswith("needs bce_floor")
    place = tmp_path / "bce_floor"
    place.mkdir()
    summary = folder.summary_of(STUDIES["bce_floor"])
    for found in summary["findings"]:
        if found["what"] == answers.PERFECT:
            found |= {"verdict": "differs", "number": {"center": 0.4321}}
    (place / "summary.json").write_text(json.dumps(summary))
    answer = settle(claim, tmp_path).answer
    assert answer.verdict == "the numbers of the question differ"
    assert "0.4321" in answer.words


def test_the_claims_and_the_page_are_written(tmp_path: Path) -> None:
    assert reproduce.main(["claims", f"--out={tmp_path}"]) == 0
    made = (tmp_path / "index.html").read_text()
    assert not re.search(r"(src|href)=.?https?:|url\(.?http|@import", made)
    for name in STUDIES:
        assert f'id="{name}"' in made
    told = (tmp_path / "claims.md").read_text()
    for claim in questions.CLAIMS:
        assert claim.says in told
