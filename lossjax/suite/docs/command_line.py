"""The verbs and what each says of itself, for docs/command-line.md."""

import contextlib
import importlib
import io
from collections.abc import Iterator

from tabulate import tabulate

from lossjax.suite.cli.__main__ import VERBS


def verbs() -> str:
    """Every verb in a line."""
    lines = [(f"`{name}`", what) for name, (_, what) in VERBS.items()]
    return tabulate(lines, ("verb", "what it does"), tablefmt="pipe")


def help_texts() -> str:
    """`./run.sh VERB --help` of every verb."""
    return "\n\n".join(_sections())


def _sections() -> Iterator[str]:
    for name, (package, _) in VERBS.items():
        program = importlib.import_module(f"lossjax.suite.{package}.__main__")
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
            program.main(["--help"])
        yield f"## {name}\n\n```text\n{said.getvalue().strip()}\n```"
