"""Names of losses: `huber(delta=0.05)` read safely, evaluated by no one.

`mse[straight_through]` is a row whose gradient is cut; see lossjax.surgery.
"""

from __future__ import annotations

import ast
import dataclasses
import difflib
from collections.abc import Mapping

from lossjax.loss import Loss
from lossjax.surgery import CUTS, operated


def parse(text: str, table: Mapping[str, Loss]) -> Loss:
    """The row of `table` that `name` or `name(keyword=number, ...)` names.

    A name may have cuts behind it, `name[cut+cut]`.

    Raises:
      ValueError: one line that names what is wrong and what is valid.
    """
    shown = text if len(text) <= 60 else text[:57] + "..."
    name, cuts, keywords = _call(text, shown)
    if name not in table:
        near = difflib.get_close_matches(name, table, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown loss {shown!r}: {hint}valid: {', '.join(table)}")
    row = table[name]
    for cut in cuts:
        if cut not in CUTS:
            near = difflib.get_close_matches(cut, CUTS, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise ValueError(
                f"loss {shown!r} has no cut {cut!r}: {hint}valid: {', '.join(CUTS)}"
            )
    if len(set(cuts)) < len(cuts):
        raise ValueError(f"loss {shown!r}: a cut is named twice")
    row = operated(row, cuts) if cuts else row
    parameters = {p.name: p for p in row.parameters}
    values = dict(row.hyper)
    for keyword, value in keywords.items():
        if keyword not in parameters:
            near = difflib.get_close_matches(keyword, parameters, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            takes = ", ".join(parameters) if parameters else "no arguments"
            raise ValueError(
                f"{name} has no argument {keyword!r}: {hint}it takes {takes}"
            )
        values[keyword] = parameters[keyword].check(name, value)
    return row if values == row.hyper else dataclasses.replace(row, hyper=values)


def _call(text: str, shown: str) -> tuple[str, tuple[str, ...], dict[str, float]]:
    """Name, cuts and keyword numbers of a call expression."""
    form = "a loss is written name or name(keyword=number, ...)"
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"cannot read loss {shown!r}: {form}") from error
    keywords, called = [], tree
    if isinstance(tree, ast.Call):
        if tree.args:
            raise ValueError(
                f"loss {shown!r}: every argument needs its keyword; {form}"
            )
        keywords, called = tree.keywords, tree.func
    cuts: tuple[str, ...] = ()
    if isinstance(called, ast.Subscript):
        cuts, called = _cuts(called.slice, shown), called.value
    if not isinstance(called, ast.Name):
        raise ValueError(f"cannot read loss {shown!r}: {form}")
    found: dict[str, float] = {}
    for keyword in keywords:
        if keyword.arg is None:
            raise ValueError(f"cannot read loss {shown!r}: {form}")
        if keyword.arg in found:
            raise ValueError(f"loss {shown!r}: {keyword.arg} is given twice")
        found[keyword.arg] = _number(keyword.value, keyword.arg, shown)
    return called.id, cuts, found


def _cuts(node: ast.expr, shown: str) -> tuple[str, ...]:
    """The names of `cut+cut`."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _cuts(node.left, shown) + _cuts(node.right, shown)
    raise ValueError(f"cannot read loss {shown!r}: cuts are written [cut] or [cut+cut]")


def _number(node: ast.expr, field: str, shown: str) -> float:
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
        f"loss {shown!r}: {field}={ast.unparse(node)[:40]} is not a finite number"
    )
