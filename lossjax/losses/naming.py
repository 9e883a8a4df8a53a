"""Names with arguments: `huber(delta=0.05)` read safely, evaluated by no one.

`mse[straight_through]` is a row whose gradient is cut; see
lossjax.losses.gradient_cuts.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lossjax.losses.checks import Choice, Parameter
from lossjax.losses.gradient_cuts import CUTS, operated
from lossjax.losses.loss import Loss


def parse(text: str, table: Mapping[str, Loss]) -> Loss:
    """The row of `table` that `name` or `name(keyword=number, ...)` names.

    A name may have cuts behind it, `name[cut+cut]`.

    Raises:
      ValueError: one line that names what is wrong and what is valid.
    """
    takes = {row.family: row.parameters for row in table.values()}
    name, cuts, values = _read(text, "loss", takes)
    shown = _shown(text)
    for cut in cuts:
        if cut not in CUTS:
            raise ValueError(
                f"loss {shown!r} has no cut {cut!r}: {_near(cut, CUTS)}"
                f"valid: {', '.join(CUTS)}"
            )
    if len(set(cuts)) < len(cuts):
        raise ValueError(f"loss {shown!r}: a cut is named twice")
    row = operated(table[name], cuts) if cuts else table[name]
    hyper = dict(row.hyper) | values
    return row if hyper == row.hyper else dataclasses.replace(row, hyper=hyper)


def read(
    text: str, kind: str, table: Mapping[str, Sequence[Parameter | Choice]]
) -> tuple[str, dict[str, Any]]:
    """Name and checked arguments of a call expression.

    Args:
      text: `name` or `name(keyword=value, ...)`, each value a number or a string.
      kind: what is named, for messages; "loss" or "model".
      table: what each valid name takes.

    Raises:
      ValueError: one line that names what is wrong and what is valid.
    """
    name, cuts, values = _read(text, kind, table)
    if cuts:
        raise ValueError(f"cannot read {kind} {_shown(text)!r}: {_form(kind)}")
    return name, values


def _read(
    text: str, kind: str, table: Mapping[str, Sequence[Parameter | Choice]]
) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    shown = _shown(text)
    name, cuts, keywords = _call(text, kind)
    if name not in table:
        raise ValueError(
            f"unknown {kind} {shown!r}: {_near(name, table)}valid: {', '.join(table)}"
        )
    parameters = {p.name: p for p in table[name]}
    values: dict[str, Any] = {}
    for keyword, node in keywords.items():
        if keyword not in parameters:
            takes = ", ".join(parameters) if parameters else "no arguments"
            raise ValueError(
                f"{name} has no argument {keyword!r}: {_near(keyword, parameters)}"
                f"it takes {takes}"
            )
        parameter = parameters[keyword]
        if isinstance(parameter, Choice):
            values[keyword] = parameter.check(name, _word(node))
        else:
            number = _number(node, keyword, shown, kind)
            values[keyword] = parameter.check(name, number)
    return name, cuts, values


def _shown(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _near(name: str, valid: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(valid), n=1)
    return f"did you mean {near[0]}? " if near else ""


def _form(kind: str) -> str:
    return f"a {kind} is written name or name(keyword=number, ...)"


def _call(text: str, kind: str) -> tuple[str, tuple[str, ...], dict[str, ast.expr]]:
    """Name, cuts and keyword arguments of a call expression."""
    shown, form = _shown(text), _form(kind)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"cannot read {kind} {shown!r}: {form}") from error
    keywords, called = [], tree
    if isinstance(tree, ast.Call):
        if tree.args:
            raise ValueError(
                f"{kind} {shown!r}: every argument needs its keyword; {form}"
            )
        keywords, called = tree.keywords, tree.func
    cuts: tuple[str, ...] = ()
    if isinstance(called, ast.Subscript):
        cuts, called = _cuts(called.slice, kind, shown), called.value
    if not isinstance(called, ast.Name):
        raise ValueError(f"cannot read {kind} {shown!r}: {form}")
    found: dict[str, ast.expr] = {}
    for keyword in keywords:
        if keyword.arg is None:
            raise ValueError(f"cannot read {kind} {shown!r}: {form}")
        if keyword.arg in found:
            raise ValueError(f"{kind} {shown!r}: {keyword.arg} is given twice")
        found[keyword.arg] = keyword.value
    return called.id, cuts, found


def _cuts(node: ast.expr, kind: str, shown: str) -> tuple[str, ...]:
    """The names of `cut+cut`."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _cuts(node.left, kind, shown) + _cuts(node.right, kind, shown)
    raise ValueError(
        f"cannot read {kind} {shown!r}: cuts are written [cut] or [cut+cut]"
    )


def _word(node: ast.expr) -> str:
    """A string, with or without quotes; anything else as it is written."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return ast.unparse(node)[:40]


def _number(node: ast.expr, field: str, shown: str, kind: str) -> float:
    sign = 1.0
    while isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        sign = -sign if isinstance(node.op, ast.USub) else sign
        node = node.operand
    value = node.value if isinstance(node, ast.Constant) else None
    if type(value) is float:
        return sign * value
    # Longer whole numbers need not fit a float.
    if type(value) is int and abs(value) < 10**18:
        return sign * float(value)
    raise ValueError(
        f"{kind} {shown!r}: {field}={ast.unparse(node)[:40]} is not a finite number"
    )
