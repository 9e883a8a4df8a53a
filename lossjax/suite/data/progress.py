"""Progress on stderr: a bar on a terminal that goes when it is full, else silence."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.markup import escape
from rich.progress import track

from lossjax.suite.cli.terminal import Terminal

_Item = TypeVar("_Item")


def progress(items: Iterable[_Item], total: int | None, words: str) -> Iterator[_Item]:
    """The items, with a bar while they are taken."""
    console = Terminal(stderr=True)
    hidden = not console.is_terminal
    yield from track(
        items, escape(words), total, console=console, transient=True, disable=hidden
    )
