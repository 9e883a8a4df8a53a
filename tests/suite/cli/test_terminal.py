"""What users and files wrote is printed as it is, and obeyed by no terminal."""

import io

from rich.padding import Padding
from rich.table import Table

from lossjax.suite.cli.errors import UserError
from lossjax.suite.cli.terminal import Terminal
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
