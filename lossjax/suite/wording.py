"""Words of the programs' own sentences."""

from collections.abc import Sequence


def count(n: int, noun: str) -> str:
    """A number and what it counts: 1 loss, 2 losses, 1,000 runs."""
    ending = "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{n:,} {noun}" + ("" if n == 1 else ending)


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: a, b and c."""
    *most, last = names or ("",)
    return f"{', '.join(most)} and {last}" if most else last
