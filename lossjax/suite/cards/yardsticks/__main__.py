"""The verb `metrics`: the table, or one metric's card."""

import inspect
import math
import sys
import types
from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from rich.table import Table

from lossjax import CODE_METRICS, LATENT_METRICS, METRICS
from lossjax.metrics.images import CodeMetric, Metric
from lossjax.metrics.latent_variables import LatentMetric
from lossjax.suite.cards import card
from lossjax.suite.cards.yardsticks import references
from lossjax.suite.cli.commandline import define, parse
from lossjax.suite.cli.errors import Exit, unknown
from lossjax.suite.cli.signals import run
from lossjax.suite.cli.terminal import Terminal
from lossjax.suite.shipped import COMMAND
from lossjax.suite.sweep import backend

USAGE = """
./run.sh metrics [NAME]

Without a name prints the table of metrics; with one, its card: what it is, its unit,
which way is better, which difference does not matter, whether it only restates another
metric, what weights of pixels do, and how far it is from another library's number.

  ./run.sh metrics
  ./run.sh metrics ssim
"""
Row = Metric | CodeMetric | LatentMetric
EVERY: Mapping[str, Row] = types.MappingProxyType(
    {**METRICS, **CODE_METRICS, **LATENT_METRICS}
)


def main(arguments: list[str]) -> int:
    """Print what was asked for."""
    names = parse(define(), arguments, USAGE, operands=1)
    if names and names[0] not in EVERY:
        raise unknown("metric", names[0], EVERY)
    backend.devices()
    if names:
        print("\n".join(card.sheet(names[0], facts(EVERY[names[0]]))))
        return Exit.DONE
    table = Table(title=f"Metrics ({COMMAND} metrics NAME prints a card)", box=None)
    for heading in ("metric", "better", "unit", "margin", "derived from", "note"):
        table.add_column(heading, overflow="fold")
    for row in EVERY.values():
        table.add_row(
            row.name, row.direction, row.unit, _margin(row), _source(row), row.note
        )
    # A pipe has no width; lines must not break there.
    Terminal(width=None if sys.stdout.isatty() else 160).print(table)
    return Exit.DONE


def facts(row: Row) -> Iterator[tuple[str, str]]:
    """What a card says, label and text."""
    what, *more = _definition(row)
    yield "definition", what
    yield from (("", paragraph) for paragraph in more)
    yield "unit", row.unit
    if row.direction == "none":
        yield "better", "neither: it is measured, and no loss is ranked by it"
    else:
        yield "better", row.direction
        yield "margin", f"{_margin(row)}: a smaller difference does not matter"
    source = _source(row)
    yield (
        "derived from",
        f"{source}; then it is shown and never counted" if source else "no other",
    )
    if row.note:
        yield "note", row.note
    yield "measured on", _measured_on(row)
    yield "weights", _weights(row)
    yield "accuracy", _accuracy(row)


def _definition(row: Row) -> list[str]:
    """The paragraphs of the docstring of what computes it."""
    match row:
        case Metric():
            computed = inspect.getdoc(row.score)
        case CodeMetric():
            computed = inspect.getdoc(row.reader)
        case _:
            computed = inspect.getdoc(row.fn)
    text = (computed or row.label or row.name).replace(".. math:: ", "")
    return [" ".join(part.split()) for part in text.split("\n\n")]


def _margin(row: Row) -> str:
    """The difference that does not matter, with its unit."""
    if row.direction == "none":
        return ""
    value = row.margin.value
    return f"{100 * value:g} % of the best" if row.margin.relative else f"{value:g}"


def _source(row: Row) -> str:
    """The metric that it only restates, and on which images."""
    if row.derived and math.isfinite(row.derived_under):
        return f"{row.derived} where a side is under {row.derived_under:g} pixels"
    return row.derived


def _measured_on(row: Row) -> str:
    match row:
        case Metric():
            return "the output image beside the original, test images"
        case CodeMetric():
            return (
                "codes of test images, read by what was fitted on those of training "
                "images; needs labels"
            )
    return "test images and the law of their codes; variational models alone" + (
        ", and only some losses" if row.partial else ""
    )


def _weights(row: Row) -> str:
    if isinstance(row, Metric):
        return "of pixels, a mask too: pixels of weight 0 are as if they were not there"
    return "none"


def _accuracy(row: Row) -> str:
    """Largest difference of the compiled float32 function from another library's."""
    match row:
        case Metric() if row.name in references.IMAGES:
            library, right = references.IMAGES[row.name]
            fn, pairs = jax.jit(row.fn), references.pairs()
            errors = [
                np.abs(fn(x, y) - right(x.astype(float), y.astype(float)))
                for x, y in pairs
            ]
            images = sum(map(len, errors))
            largest = max(float(each.max()) for each in errors)
            return f"within {largest:.1e} of {library} in float64, on {images} images"
        case CodeMetric() if row.name in references.CODES:
            library, reader = references.CODES[row.name]
            codes = references.codes()
            found = float(row.fn(*map(jnp.asarray, codes)))
            return f"{found:.4f} on codes of digits; {library} has {reader(*codes):.4f}"
    return "no other library to compare with"


if __name__ == "__main__":
    run(main, sys.argv[1:])
