"""The claims ledger: its numbers are looked up, its verdicts follow the rows."""

import json
import re
from pathlib import Path

import pytest

from lossjax.suite.docs import measurements
from lossjax.suite.reproduce import __main__ as reproduce
from lossjax.suite.reproduce import folder, ledger, questions
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.reproduce.claim import Book, settle
from lossjax.suite.reproduce.finding import Finding


@pytest.mark.parametrize("template", [questions.TEMPLATE, measurements.SHORT_ANSWER])
def test_what_a_template_looks_up_has_a_key_of_its_own_and_is_stored(
    template: Path,
) -> None:
    """A key that is made of the words of a finding would change with them."""
    used = {
        (study, key)
        for study, keys in re.findall(
            r'\b(?:number|value|said|low|holds)\("(\w+)", ((?:"\w+"(?:, )?)+)',
            template.read_text(),
        )
        for key in re.findall(r'"(\w+)"', keys)
    }
    assert used
    book = Book()
    for study, key in used:
        found = book.finding(study, key)
        assert Finding(found["what"], "", "", True).key != key, (study, key)


def test_a_template_without_a_verdict_or_with_an_unknown_key_is_refused() -> None:
    head = "## X1: is it so?\n\nAsked: here\nFigure: a.svg\n"
    (mute,) = questions.claims(f"{head}\nWords.\n")
    with pytest.raises(ValueError, match="X1 has no verdict"):
        settle(mute)
    (lost,) = questions.claims(
        f'{head}Verdict: yes\n\n{{{{ number("bce_floor", "no_such_key") }}}}\n'
    )
    assert settle(lost).answer.verdict.endswith("needs bce_floor, finding no_such_key")


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
        if found["key"] == "perfect":
            found |= {"verdict": "differs", "number": {"center": 0.4321}}
    (place / "summary.json").write_text(json.dumps(summary))
    answer = settle(claim, tmp_path).answer
    assert answer.verdict == "the numbers of the question differ"
    assert "0.4321" in answer.words


def test_the_claims_and_the_page_are_written(tmp_path: Path) -> None:
    assert reproduce.main(["claims", f"--out={tmp_path}"]) == 0
    made = (tmp_path / "index.html").read_text()
    # A source is a link to click; nothing is fetched.
    fetched = r"src=.?https?:|<link[^>]*https?:|url\(.?http|@import"
    assert not re.search(fetched, made)
    for name in STUDIES:
        assert f'id="{name}"' in made
    told = (tmp_path / "claims.md").read_text()
    for claim in questions.CLAIMS:
        assert claim.says in told
