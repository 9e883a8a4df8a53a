"""Formulas as text, worked out by walking them: nothing but arithmetic can be said.

Numbers, names of a given scope, `+ - * / ** & |`, comparisons and calls of the scope's
functions; no attribute, no index, no statement, so a formula reaches nothing else.
"""

from __future__ import annotations

import ast
import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

_OPERATORS: Mapping[type, Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.USub: operator.neg,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
}
_PARTS = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.Call, ast.Name, ast.Constant)


@functools.cache
def parsed(text: str) -> ast.expr:
    """The tree of a formula.

    Raises:
      SyntaxError: it is none, or says more than arithmetic.
    """
    tree = ast.parse(text, mode="eval").body
    for node in ast.walk(tree):
        allowed = isinstance(node, (*_PARTS, ast.Load)) or type(node) in _OPERATORS
        if isinstance(node, ast.Call):
            allowed = isinstance(node.func, ast.Name) and not node.keywords
        if isinstance(node, ast.Constant):
            allowed = isinstance(node.value, int | float)
        if not allowed:
            raise SyntaxError(f"{type(node).__name__} in the formula {text!r}")
    return tree


def names(text: str) -> set[str]:
    """Every name that a formula uses; SyntaxError as `parsed`."""
    return {node.id for node in ast.walk(parsed(text)) if isinstance(node, ast.Name)}


def value(text: str, scope: Mapping[str, Any]) -> Any:
    """What a formula gives; SyntaxError as `parsed`, KeyError of an unknown name."""
    return _value(parsed(text), scope)


def _value(node: ast.expr, scope: Mapping[str, Any]) -> Any:
    def of(part: ast.expr) -> Any:
        return _value(part, scope)

    match node:
        case ast.Constant():
            return node.value
        case ast.Name():
            return scope[node.id]
        case ast.UnaryOp():
            return _OPERATORS[type(node.op)](of(node.operand))
        case ast.BinOp():
            return _OPERATORS[type(node.op)](of(node.left), of(node.right))
        case ast.Call():
            return of(node.func)(*map(of, node.args))
        case ast.Compare():
            terms = [of(term) for term in (node.left, *node.comparators)]
            links = zip(node.ops, terms, terms[1:], strict=False)
            return functools.reduce(
                operator.and_,
                (_OPERATORS[type(one)](left, right) for one, left, right in links),
            )
    raise TypeError(f"no part of a formula: {node!r}")
