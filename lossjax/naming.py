"""Names with arguments: `huber(delta=0.05)` read safely, evaluated by no one."""

from __future__ import annotations

import ast
import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from lossjax.checks import Choice, Parameter
from lossjax.loss import Loss


def parse(text: str, table: Mapping[str, Loss]) -> Loss:
    """The row of `table` that `name` or `name(keyword=number, ...)` names.

    Raises:
      ValueError: one line that names what is wrong and what is valid.
    """
    name, values = read(
        text, "loss", {row.family: row.parameters for row in table.values()}
    )
    row = table[name]
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
    shown = text if len(text) <= 60 else text[:57] + "..."
    name, keywords = _call(text, shown, kind)
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown {kind} {shown!r}: {hint}valid: {', '.join(table)}")
    parameters = {p.name: p for p in table[name]}
    values: dict[str, Any] = {}
    for keyword, node in keywords.items():
        if keyword not in parameters:
            near = difflib.get_close_matches(keyword, parameters, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            takes = ", ".join(parameters) if parameters else "no arguments"
            raise ValueError(
                f"{name} has no argument {keyword!r}: {hint}it takes {takes}"
            )
        parameter = parameters[keyword]
        if isinstance(parameter, Choice):
            values[keyword] = parameter.check(name, _word(node))
        else:
            number = _number(node, keyword, shown, kind)
            values[keyword] = parameter.check(name, number)
    return name, values


def _call(text: str, shown: str, kind: str) -> tuple[str, dict[str, ast.expr]]:
    """Name and keyword arguments of a call expression."""
    form = f"a {kind} is written name or name(keyword=number, ...)"
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"cannot read {kind} {shown!r}: {form}") from error
    if isinstance(tree, ast.Name):
        return tree.id, {}
    if not (isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name)):
        raise ValueError(f"cannot read {kind} {shown!r}: {form}")
    found: dict[str, ast.expr] = {}
    for keyword in tree.keywords:
        if keyword.arg is None:
            raise ValueError(f"cannot read {kind} {shown!r}: {form}")
        if keyword.arg in found:
            raise ValueError(f"{kind} {shown!r}: {keyword.arg} is given twice")
        found[keyword.arg] = keyword.value
    if tree.args:
        raise ValueError(f"{kind} {shown!r}: every argument needs its keyword; {form}")
    return tree.func.id, found


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
