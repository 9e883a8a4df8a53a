"""Progress on stderr: a bar on a terminal that goes when it is full, else silence."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import track

_Item = TypeVar("_Item")


def progress(items: Iterable[_Item], total: int | None, words: str) -> Iterator[_Item]:
    """The items, with a bar while they are taken."""
    console = Console(stderr=True)
    hidden = not console.is_terminal
    yield from track(
        items, words, total, console=console, transient=True, disable=hidden
    )
