"""The verb `losses`: the table, one loss card, all cards as a page, accuracy, speed."""

import sys
from pathlib import Path

from absl import flags
from rich.table import Table

from lossjax import LOSSES, own_code, resolve
from lossjax.certificates.certify import FAILS
from lossjax.suite.cards import accuracy, card, paste
from lossjax.suite.cli.commandline import define, parse
from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.cli.signals import run
from lossjax.suite.cli.terminal import Terminal
from lossjax.suite.shipped import COMMAND
from lossjax.suite.sweep import backend

USAGE = """
./run.sh losses [NAME]
    [--code=LIBRARY | --html=FILE | --markdown | --accuracy | --speed]

Without a name prints the table of losses; with one, its card: what it is, what it aims
at, and its certificates, measured on the compiled function.

  ./run.sh losses
  ./run.sh losses "huber(delta=0.05)"
  ./run.sh losses "huber(delta=0.05)" --code=torch
  ./run.sh losses "my_file.py:tilted(quantile=0.7)"
  ./run.sh losses "mix(mae, ssim, weight=0.5)"
  ./run.sh losses --html=losses.html
"""


def main(arguments: list[str]) -> int:
    """Print what was asked for; 1 if a certificate fails."""
    values = define(
        code=("", "print the loss and its output to paste: jax, torch or keras"),
        html=("", "write the cards to this file"),
        markdown=(False, "print the table as Markdown"),
        accuracy=(False, "print errors, ours and others'"),
        speed=(False, "print time relative to bce"),
    )
    names = parse(values, arguments, USAGE, operands=1)
    if any(map(own_code.place_of, names)):
        backend.devices()  # the file may start jax
    _check(values, names)
    if values["code"].present:
        print(paste.code(resolve(names[0]), values.code))
        return Exit.DONE
    backend.devices()
    if values.html:
        return _page(values.html, names or list(LOSSES))
    if values.markdown:
        print(card.markdown())
    elif values.accuracy:
        _show(accuracy.accuracy_table())
    elif values.speed:
        _show(accuracy.speed_table(names or list(LOSSES)))
    elif names:
        one = card.card(names[0])
        print(card.text(one))
        return _code([one])
    else:
        _show(_table())
    return Exit.DONE


def _check(values: flags.FlagValues, names: list[str]) -> None:
    chosen = [name for name in ("markdown", "accuracy", "speed") if values[name].value]
    chosen += [name for name in ("html", "code") if values[name].present]
    if len(chosen) > 1:
        raise UserError(f"--{chosen[0]} and --{chosen[1]} exclude each other")
    if names and chosen and chosen[0] in ("markdown", "accuracy"):
        raise UserError(f"--{chosen[0]} takes no name, found {names[0]!r}")
    if "html" in chosen:
        path = Path(values.html)
        if not values.html or path.is_dir() or not path.absolute().parent.is_dir():
            raise UserError(
                f"--html={values.html!r}: must be a file in a folder that is"
            )
    if "code" in chosen and values.code not in paste.LIBRARIES:
        raise UserError(f"--code={values.code!r}: valid: {', '.join(paste.LIBRARIES)}")
    if "code" in chosen and not names:
        raise UserError("--code takes the name of a loss, losses NAME --code=...")
    for name in names:
        try:
            loss = resolve(name)
        except ValueError as error:
            raise UserError(str(error)) from None
        if loss.family.endswith("]") and own_code.place_of(name) is None:
            raise UserError(
                f"loss {name!r}: a card is of a loss, not of one whose gradient is "
                f"cut; ./run.sh losses {loss.family.partition('[')[0]}"
            )


def _page(file: str, names: list[str]) -> int:
    def tell(name: str) -> None:
        print(f"certifying {name}", file=sys.stderr)

    made, html = card.page(names, tell)
    Path(file).write_text(html)
    print(f"wrote {len(made)} cards to {file}")
    return _code(made)


def _code(made: list[card.Card]) -> int:
    failed = any(c.verdict == FAILS for one in made for c in one.certificates)
    return Exit.FAILED if failed else Exit.DONE


def _table() -> Table:
    table = Table(title=f"Losses ({COMMAND} losses NAME prints a card)", box=None)
    for heading in ("loss", "estimates", "unit", "formula"):
        table.add_column(heading, overflow="fold")
    for row in card.table():
        table.add_row(*row)
    return table


def _show(table: Table) -> None:
    # A pipe has no width; lines must not break there.
    width = None if sys.stdout.isatty() else 160
    Terminal(width=width).print(table)


if __name__ == "__main__":
    run(main, sys.argv[1:])
