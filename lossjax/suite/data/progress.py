"""Progress on stderr: a bar on a terminal, silence elsewhere and for short work."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")
_PATIENCE_S = 0.5


def progress(items: Iterable[_Item], total: int | None, words: str) -> Iterator[_Item]:
    """The items, with a bar once they have taken half a second."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task, start = None, time.monotonic()
        for count, item in enumerate(items, 1):
            yield item
            if task is None and time.monotonic() - start > _PATIENCE_S:
                task = bar.add_task(words, total=total)
            if task is not None:
                bar.update(task, completed=count)
