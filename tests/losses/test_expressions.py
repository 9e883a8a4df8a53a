"""Formulas are arithmetic, and reach nothing else."""

import numpy as np
import pytest

from lossjax.losses import expressions
from lossjax.losses.claims import evaluate, readable

SCOPE = {"x": np.array([1.0, 2.0]), "y": 3, "f": np.maximum}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("-x**2/4 + 2*y", [5.75, 5]),
        ("f(x, 1.5)", [1.5, 2]),
        ("1 <= x < 2", [True, False]),
        ("(x == 1) | (x > 9) & (y == 3)", [True, False]),
        ("1/510", 1 / 510),
    ],
)
def test_a_formula_gives_what_python_gives(text: str, expected: object) -> None:
    np.testing.assert_array_equal(expressions.value(text, SCOPE), expected)
    assert expressions.names(text) <= set(SCOPE)


@pytest.mark.parametrize(
    "text",
    [
        "x.shape",
        "x[0]",
        "().__class__",
        "f.__globals__['os']",
        "f(out=x)",
        "f(*x)",
        "(lambda: 1)()",
        "[x for x in y]",
        "f'{x}'",
        "'text'",
        "x := 1",
        "x if y else 1",
        "not x",
        "x; y",
        "",
    ],
)
def test_what_is_more_than_arithmetic_is_none(text: str) -> None:
    with pytest.raises(SyntaxError):
        expressions.value(text, SCOPE)
    assert not readable(text, SCOPE)


def test_only_names_of_the_scope_are_known() -> None:
    assert readable("abs(r)", {"r": 0}) and not readable("open(r)", {"r": 0})
    assert evaluate("abs(r)", {"r": -2.0}) == 2
    for name in ("open", "__import__", "__builtins__"):
        with pytest.raises(KeyError):
            evaluate(name, {})
