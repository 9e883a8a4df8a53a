"""Whether two results of one computation agree, and where they first differ.

Another processor, or another version of numpy, rounds the last bits of a logarithm, an
exponential or a matrix product in another way. So computed numbers agree up to a
tolerance that is far above that rounding and far below what any table shows; whole
numbers, words, printed digits and pictures must be equal.
"""

import csv
import io
import json
import math
import re
from pathlib import Path
from typing import Any

RELATIVE = 1e-9  # of the larger number
ABSOLUTE = 1e-12  # for what is left where equal numbers are subtracted
POINTS = 2e-6  # of a drawing's coordinates, which are written to 1e-6
STATED = f"computed numbers agree to a relative {RELATIVE:g}, all else is equal"

_DRAWING = re.compile(r"<svg.*?</svg>", re.DOTALL)
_NUMBER = re.compile(r"(-?\d+(?:\.\d+)?(?:e[-+]?\d+)?)")
_WHOLE = re.compile(r"-?\d+")


def files(expected: Path, found: Path, *, exact: bool = False) -> str | None:
    """Where a file first differs from the expected one, and both values; else None.

    `exact` is for a table that holds stored numbers, not computed ones.
    """
    if expected.read_bytes() == found.read_bytes():
        return None
    if expected.suffix == ".png":
        return "not the picture that the stored runs give"
    right = expected.read_text(encoding="utf-8")
    text = found.read_text(encoding="utf-8", errors="replace")
    if expected.suffix == ".json":
        try:
            return values(json.loads(right), json.loads(text))
        except ValueError as error:
            return f"not JSON: {error}"
    if expected.suffix == ".csv":
        return _tables(right, text, exact)
    return _texts(right, text)


def values(expected: Any, found: Any, path: str = "") -> str | None:
    """The first JSON value that differs, by its path."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key in dict.fromkeys((*expected, *found)):
            if (key in expected) != (key in found):
                known = "missing" if key in expected else "no part of it"
                return f"{path}/{key} is {known}"
            if difference := values(expected[key], found[key], f"{path}/{key}"):
                return difference
        return None
    if isinstance(expected, list) and isinstance(found, list):
        for i, (a, b) in enumerate(zip(expected, found, strict=False)):
            name = a.get("loss", i) if isinstance(a, dict) else i
            if difference := values(a, b, f"{path}/{name}"):
                return difference
        if len(expected) == len(found):
            return None
        return f"{path} has {len(found)} values, the stored runs give {len(expected)}"
    computed = isinstance(expected, float) and isinstance(found, float)
    if _close(expected, found) if computed else _equal(expected, found):
        return None
    return f"{path} is {found!r}, the stored runs give {expected!r}"


def cell(expected: Any, found: Any, *, exact: bool = False, doubt: float = 0.0) -> bool:
    """Whether a cell of a table, or a value of JSON, is the expected one.

    Args:
      expected: a number, a word, true or false; NaN where there is no number.
      found: the same, or its text in a CSV file; None or no text for NaN.
      exact: it is a stored number, not a computed one.
      doubt: how far it may be away besides.
    """
    if isinstance(found, str) and not isinstance(expected, str):
        try:
            found = json.loads(found.lower()) if found else None
        except ValueError:
            return False
    if not isinstance(expected, float):
        return _equal(expected, found)
    if math.isnan(expected) or found is None or isinstance(found, bool | str):
        return math.isnan(expected) and found is None
    if exact:
        return expected == found
    return _close(expected, found) or abs(expected - found) <= doubt


def _equal(expected: Any, found: Any) -> bool:
    """Equal, and of one kind: JSON's true is not 1."""
    return type(expected) is type(found) and expected == found


def _close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE)


def _tables(expected: str, found: str, exact: bool) -> str | None:
    """The first cell of a CSV file that differs, by row and column."""
    ours, theirs = (list(csv.reader(io.StringIO(t))) for t in (expected, found))
    for number, (a, b) in enumerate(zip(ours, theirs, strict=False), start=1):
        if len(a) != len(b):
            return f"line {number}: {len(b)} cells, the stored runs give {len(a)}"
        for column, x, y in zip(ours[0], a, b, strict=False):
            if x != y and (exact or not _close_cells(x, y)):
                return f"line {number}, {column}: {y!r}, the stored runs give {x!r}"
    if len(ours) == len(theirs):
        return None
    return f"{len(theirs)} lines, the stored runs give {len(ours)}"


def _close_cells(x: str, y: str) -> bool:
    """Whether both are computed numbers that agree: a count is a whole number."""
    try:
        close = _close(float(x), float(y))
    except ValueError:
        return False
    return close and not _WHOLE.fullmatch(x) and not _WHOLE.fullmatch(y)


def _texts(expected: str, found: str) -> str | None:
    """The first place where a text differs; coordinates of a drawing may be rounded."""
    drawings = iter(_DRAWING.findall(expected))

    def settled(match: re.Match[str]) -> str:
        drawing = next(drawings, "")
        return drawing if _same_drawing(drawing, match[0]) else match[0]

    found = _DRAWING.sub(settled, found)
    if expected == found:
        return None
    for line, (a, b) in enumerate(
        zip(expected.splitlines(), found.splitlines(), strict=False), start=1
    ):
        if a != b:
            at = next(i for i in range(len(a) + 1) if a[: i + 1] != b[: i + 1])
            start = max(0, at - 20)
            return (
                f"line {line}: {b[start : at + 20]!r}, "
                f"the stored runs give {a[start : at + 20]!r}"
            )
    return "shorter or longer than what the stored runs give"


def _same_drawing(expected: str, found: str) -> bool:
    ours, theirs = _NUMBER.split(expected), _NUMBER.split(found)
    return (
        len(ours) == len(theirs)
        and ours[::2] == theirs[::2]
        and all(
            a == b or math.isclose(float(a), float(b), rel_tol=0, abs_tol=POINTS)
            for a, b in zip(ours[1::2], theirs[1::2], strict=True)
        )
    )
