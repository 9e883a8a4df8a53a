"""The console of every verb: what a user or a file wrote is shown as it is, inert."""

from typing import Any

from rich.console import Console
from rich.text import Text

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
