"""How losses, models and datasets are written: `name(argument=value, ...)`.

Read safely, evaluated by no one. Nothing here imports jax, so that the programs that
only read results can use it too.
"""

import ast
import difflib
import re
from collections.abc import Container, Iterable, Mapping
from typing import Any, NamedTuple

MIX = "mix"  # mix(mae, ssim, weight=0.2): a weighted sum of two losses
TUNE = "tune"  # huber(delta=tune(0.03, 0.1)): a sweep chooses among these values
_LONGEST = 1000  # characters; a parser that recurses too deeply may crash
_UNREADABLE = (ValueError, SyntaxError, MemoryError, RecursionError, TypeError)


class Value(NamedTuple):
    """What an argument is given: a number or a string, and how it was written."""

    literal: Any  # None where it is neither
    text: str
    dial: "tuple[Value, ...] | None" = None  # the values of tune(value, ...)


class Call(NamedTuple):
    """`name[cut+cut](part, part, argument=value, ...)`, taken apart."""

    name: str
    cuts: tuple[str, ...]
    values: Mapping[str, Value]
    parts: tuple[str, ...] = ()  # arguments without a keyword, as they are written


def read_call(text: str, kind: str, nests: Container[str] = ()) -> Call:
    """Take a call expression apart.

    Args:
      text: `name`, `name[cut+cut]`, or either with `(argument=value, ...)` behind it.
      kind: what is named, for messages; "loss", "model" or "dataset".
      nests: the names whose first arguments have no keyword.

    Raises:
      ValueError: it is written otherwise; one line.
    """
    shown = shortened(text)
    unread = f"cannot read {kind} {shown!r}: {form(kind)}"
    if len(text) > _LONGEST:
        raise ValueError(unread)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except _UNREADABLE as error:
        raise ValueError(unread) from error
    parts: tuple[str, ...] = ()
    keywords, called = [], tree
    if isinstance(tree, ast.Call):
        keywords, called = tree.keywords, tree.func
        if isinstance(called, ast.Name) and called.id in nests:
            parts = tuple(map(ast.unparse, tree.args))
        elif tree.args:
            raise ValueError(
                f"cannot read {kind} {shown!r}: every argument needs its keyword; "
                f"{form(kind)}"
            )
    cuts: tuple[str, ...] = ()
    if isinstance(called, ast.Subscript):
        cuts, called = _cuts(called.slice, kind, shown), called.value
    if not isinstance(called, ast.Name):
        raise ValueError(unread)
    values: dict[str, Value] = {}
    for keyword in keywords:
        if keyword.arg is None:
            raise ValueError(f"{unread}; ** is not valid")
        if keyword.arg in values:
            raise ValueError(f"{kind} {shown!r}: {keyword.arg} is given twice")
        values[keyword.arg] = _value(keyword.value)
    return Call(called.id, cuts, values, parts)


def dial_of(loss: str) -> tuple[str, tuple[float, ...]]:
    """The dial of a named loss, `argument=tune(value, value)`: argument and values.

    Of a canonical name; ("", ()) where none is, or what is no number.
    """
    argument, _, values = loss.partition(f"={TUNE}(")
    try:
        numbers = tuple(map(float, values.partition(")")[0].split(",")))
    except ValueError:
        return "", ()
    return re.split(r"[(\s]", argument)[-1], numbers


def family(text: str) -> str:
    """What stands before the arguments of a name."""
    return text.partition("(")[0]


def form(kind: str) -> str:
    """How a thing of that kind is written, for messages."""
    return f"a {kind} is written name or name(keyword=number, ...)"


def shortened(text: str) -> str:
    """A text of the user's, short enough for a line."""
    return text if len(text) <= 60 else text[:57] + "..."


def nearest(name: str, valid: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The valid name that `name` was probably meant to be; its case does not count."""
    lower = {each.lower(): each for each in reversed(list(valid))}
    near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=cutoff)
    return lower[near[0]] if near else None


def items(text: str) -> tuple[Any, ...]:
    """`(1, 2)`, `1e-3,3e-3` or `bce,huber(delta=0.1)` as a tuple.

    A Python literal is taken as it is; anything else is split at the commas outside
    every bracket, and each part is read as a number where it is one.
    """
    value = _literal(text)
    if value is not None:
        return tuple(value) if isinstance(value, list | tuple) else (value,)
    text = text.strip()
    for opening, closing in ("()", "[]"):
        if text.startswith(opening) and text.endswith(closing):
            text = text[1:-1].strip().removesuffix(",")
    return tuple(_item(part.strip()) for part in _split(text))


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def _item(part: str) -> Any:
    value = _literal(part)
    return value if isinstance(value, int | float | str) else part


def _literal(text: str | ast.expr) -> Any:
    """The value of a Python literal; None where it is none."""
    try:
        return ast.literal_eval(text)
    except _UNREADABLE:
        return None


def _value(node: ast.expr) -> Value:
    """A word without quotes is a string too."""
    text = ast.unparse(node)
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == TUNE:
        named = [Value(None, ast.unparse(keyword)) for keyword in node.keywords]
        return Value(None, text, (*map(_value, node.args), *named))
    value = node.id if isinstance(node, ast.Name) else _literal(node)
    return Value(value if isinstance(value, int | float | str) else None, text)


def _cuts(node: ast.expr, kind: str, shown: str) -> tuple[str, ...]:
    """The names of `cut+cut`."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _cuts(node.left, kind, shown) + _cuts(node.right, kind, shown)
    raise ValueError(
        f"cannot read {kind} {shown!r}: cuts are written [cut] or [cut+cut]"
    )
