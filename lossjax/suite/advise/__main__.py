"""The verb `advise`: which reconstruction loss for these pictures."""

import sys
from typing import Any

from lossjax import syntax
from lossjax.suite import config, shortlist
from lossjax.suite.advise.advisor import advise
from lossjax.suite.cli.commandline import define, parse
from lossjax.suite.cli.errors import Exit, Interrupted, UserError, unknown
from lossjax.suite.cli.signals import run
from lossjax.suite.cli.terminal import Terminal
from lossjax.suite.report.console import render

USAGE = """
./run.sh advise DIR|FILE|DATASET [--minutes=5] [--for=PURPOSE] [--out=DIR]
    [--config.FIELD=VALUE ...]

Which reconstruction loss for these pictures? Looks at them, trains a short comparison
of a few losses by the protocol of sweep, within the minutes, and says what to use, how
sure it is and what it cannot know; then where the report is, and code to paste. The
folder is only read. A field of a config, such as --config.image_size=64 or
--config.value_range=0,4095, says how the pictures are read.

  ./run.sh advise ~/photos
  ./run.sh advise scans.npz --minutes=10 --for=absolute
  ./run.sh advise digits --minutes=1
"""


def main(arguments: list[str]) -> int:
    values = define(
        minutes=("5", "how long it may take, from 0.2 on; the first time longer"),
        out=(None, "where runs and report are kept (results/local/advise-...)"),
        **{
            "for": (
                "squared",
                "what matters: "
                + "; ".join(f"{k}, {v.meaning}" for k, v in shortlist.PURPOSES.items()),
            )
        },
    )
    plain = [a for a in arguments if not a.lstrip("-").startswith("config.")]
    names = parse(values, plain, USAGE, operands=1, others=config.FIELDS)
    if not names:
        raise UserError(
            "advise needs pictures: a folder, a file of arrays, or a dataset such as "
            "digits"
        )
    try:
        minutes = float(values.minutes)
    except ValueError:
        raise UserError(f"--minutes={values.minutes}: must be a number") from None
    console = Terminal()
    try:
        made = advise(
            names[0],
            str(values["for"].value),
            minutes,
            None,
            None,
            values.out,
            _fields(arguments),
            console,
        )
    except Interrupted as error:
        raise Interrupted(
            f"{error}; what is done is kept: the same command goes on"
        ) from None
    render(made.summary, console)
    console.print()
    console.print(made.text)
    for library, code in made.code.items():
        console.print(f"\n# ---- {library} ----", soft_wrap=True)
        console.print(code, soft_wrap=True)
    return Exit.DONE


def _fields(arguments: list[str]) -> dict[str, Any]:
    """The fields of a config that are given, `--config.NAME=VALUE`, as values."""
    given: dict[str, Any] = {}
    for word in arguments:
        name, equals, text = word.lstrip("-").partition("=")
        if not name.startswith("config."):
            continue
        name = name.removeprefix("config.")
        if name not in config.FIELDS:
            raise unknown("config field", name, config.FIELDS)
        if not equals:
            raise UserError(f"--config.{name}: needs a value, --config.{name}=VALUE")
        values = syntax.items(text)
        given[name] = values if config.FIELDS[name].many else values[0]
    return given


if __name__ == "__main__":
    run(main, sys.argv[1:])
