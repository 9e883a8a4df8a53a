"""What users and files wrote is printed as it is, and obeyed by no terminal."""

import io
import re
from pathlib import Path

import pytest
from rich.padding import Padding
from rich.table import Table

from lossjax.suite.cli.errors import UserError
from lossjax.suite.cli.terminal import LoggedTerminal, Terminal
from lossjax.suite.sweep import grid


def printed(*things: object) -> str:
    file = io.StringIO()
    terminal = Terminal(file=file, width=200, force_terminal=True, color_system=None)
    for thing in things:
        terminal.print(thing, soft_wrap=True)
    return file.getvalue()


def test_brackets_are_no_markup() -> None:
    name = "mse[straight_through]"
    table = Table(title=name)
    table.add_column(name)
    table.add_row(name)
    shown = printed(name, table, Padding(name, 1), "[/b]", ":smile:")
    assert shown.count(name) == 5 and "[/b]" in shown and ":smile:" in shown


def test_escapes_are_shown_not_obeyed() -> None:
    name = "a\x1b[31mb\x1b]8;;http://x\x07c\u202ed\re"
    table = Table()
    table.add_column("loss")
    table.add_row(name)
    shown = printed(name, table)
    assert shown.count("a\\x1b[31mb\\x1b]8;;http://x\\x07c\\u202ed") == 2
    assert not set("\x1b\x07\u202e\r") & set(shown)


def test_the_progress_of_a_loss_with_brackets_names_it() -> None:
    file = io.StringIO()
    terminal = Terminal(file=file, width=100, force_terminal=True, color_system=None)
    with grid._progress(terminal) as progress:
        progress.add_task("mse[straight_through]", total=3)
    assert "mse[straight_through]" in file.getvalue()


def test_an_error_is_one_short_line_without_escapes() -> None:
    text = str(UserError("bad\n\x1b[31m" + "x" * 9_000 + " valid: bce"))
    assert text.startswith("bad \\x1b[31mx") and text.endswith("x valid: bce")
    assert len(text) < 2_000 and text.isprintable()


@pytest.mark.parametrize("quiet", [False, True])
def test_a_log_keeps_every_line_with_its_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    terminal = LoggedTerminal(quiet=quiet)
    terminal.print("before there is a file")
    terminal.keep_in(tmp_path / "sweep.log")
    terminal.print("two\nlines \x1b[31m")
    lines = (tmp_path / "sweep.log").read_text().splitlines()
    stamp = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "
    said = [re.sub(stamp, "", line, count=1) for line in lines]
    assert said == ["before there is a file", "two", r"lines \x1b[31m"]
    assert all(re.match(stamp, line) for line in lines)
    assert capsys.readouterr().out.startswith("before") is not quiet


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    terminal = LoggedTerminal(quiet=True)
    terminal.keep_in(tmp_path)
    terminal.print("a folder is there")
