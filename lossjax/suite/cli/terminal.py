"""The console of every verb: what a user or a file wrote is shown as it is, inert."""

import contextlib
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from lossjax.suite.report.inert import visible
from lossjax.suite.store.untrusted import printable


class Terminal(Console):
    """A console that reads no markup, emoji or escapes in any text, tables' included.

    Names like `mse[straight_through]` look like markup, and a name from a stored file
    may hold whatever a terminal obeys.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        lines = text.split("\n")
        inert = "\n".join(
            line if line.isprintable() else printable(line) for line in lines
        )
        return super().render_str(inert, **options)


class LoggedTerminal(Terminal):
    """A console whose lines a file keeps too, each with its time; quiet: only there."""

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._log: Path | None = None
        self._early: list[str] = []  # said before there was a file

    def keep_in(self, log: Path) -> None:
        """Write to this file from now on, what was said before included."""
        self._log, early = log, self._early
        self._keep("".join(early))

    def print(self, *objects: Any, **options: Any) -> None:
        super().print(*objects, **options)
        if len(objects) == 1 and isinstance(objects[0], str):
            now = time.strftime("%Y-%m-%d %H:%M:%S")
            self._keep("".join(f"{now} {x}\n" for x in objects[0].split("\n")))

    def _keep(self, text: str) -> None:
        if self._log is None:
            self._early.append(text)
            return
        with contextlib.suppress(OSError):  # a full disk stops no sweep by its log
            with open(self._log, "a", encoding="utf-8") as file:
                file.write(visible(text))
