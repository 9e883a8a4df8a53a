"""Cards, tables and the verb: generated from the rows, strict about arguments."""

import re
from pathlib import Path

import matplotlib
import pages
import pytest

from lossjax import LOSSES
from lossjax.suite.cards import __main__ as losses
from lossjax.suite.cards import accuracy
from lossjax.suite.cards import card as cards
from lossjax.suite.cli.errors import UserError


def test_the_table_names_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert losses.main([]) == 0
    printed = capsys.readouterr().out
    first = [
        line.split()[0].split("(")[0] for line in printed.splitlines() if line[1:2]
    ]
    assert [word for word in first if word in LOSSES] == list(LOSSES)
    markdown = cards.markdown().splitlines()[2:]
    assert [re.findall(r"`(\w+)", line)[0] for line in markdown] == list(LOSSES)


def test_a_card_tells_the_row_and_its_certificates(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert losses.main(["huber(delta=0.05)"]) == 0
    card = capsys.readouterr().out
    row = LOSSES["huber"]
    for words in ("huber(delta=0.05)", row.unit, "sigmoid", "0.0001 to 10", "Huber"):
        assert words in card
    assert "FAILS" not in card and card.count("  ok  ") >= 8
    assert max(map(len, card.splitlines())) <= 88


def test_the_page_is_one_file_with_every_card(tmp_path: Path) -> None:
    file = tmp_path / "cards.html"
    assert losses.main(["mse_linear", f"--html={file}"]) == 0
    page = file.read_text()
    assert 'id="card-mse_linear"' in page and "<svg" in page
    assert "FAILS<" not in page.split("</nav>")[1]
    # Nothing is fetched: the only addresses are names of XML vocabularies.
    assert not re.findall(r'(?:src|href)="(?!#|data:)', page)
    pages.obeys_nothing(page)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["hubr"], "unknown loss 'hubr': did you mean huber?"),
        (["huber(delta=-1)"], "huber: delta=-1 must be between 0.0001 and 10"),
        (["huber(delta=nan)"], "delta=nan is not a finite number"),
        (["huber(delta=1e999)"], "huber: delta=inf must be between"),
        (["huber(delta=__import__('os'))"], "is not a finite number"),
        (["huber(0.1)"], "every argument needs its keyword"),
        (["huber(deltas=0.1)"], "did you mean delta? it takes delta"),
        (["bce(x=1)"], "bce has no argument 'x': it takes no arguments"),
        (["huber(delta=0.1, delta=0.2)"], "delta is given twice"),
        (["bce", "mse"], "stray argument 'mse'"),
        (["--htm=x"], "unknown flag '--htm'"),
        (["--html=/nowhere/at/all.html"], "must be a file in a folder"),
        (["--markdown", "--speed"], "exclude each other"),
        (["bce", "--accuracy"], "takes no name"),
    ],
)
def test_refuses_in_one_line(arguments: list[str], words: str) -> None:
    with pytest.raises(UserError) as caught:
        losses.main(arguments)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_accuracy_is_ours_and_not_the_textbook_s() -> None:
    for name in ("bce", "log_cosh"):
        value, gradient = accuracy.errors(name, accuracy.ours(name))
        assert value <= 6 and gradient <= 8
    optax = accuracy.RIVALS[1][2]()
    assert accuracy.errors("log_cosh", optax["log_cosh"])[0] > 1e4
    textbook = accuracy.RIVALS[0][2]()
    # Wrong by 1/2 at exactly z = 0, where jax's derivative of abs is 1.
    assert accuracy.errors("bce", textbook["bce"])[1] > 1e6


def test_speed_names_what_it_timed() -> None:
    table = accuracy.speed_table(["mse"], rounds=2)
    assert list(table.columns[0].cells) == ["bce", "mse"]
    assert next(iter(table.columns[2].cells)) == "1.00"


def test_the_users_style_does_not_decide() -> None:
    expected = cards.curve(LOSSES["mse"])
    users = {"lines.linewidth": 9, "font.size": 20, "axes.grid": True}
    with matplotlib.rc_context(users):
        assert cards.curve(LOSSES["mse"]) == expected
