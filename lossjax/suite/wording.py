"""Words of the programs' own sentences."""


def count(n: int, noun: str) -> str:
    """A number and what it counts: 1 loss, 2 losses, 1,000 runs."""
    ending = "es" if noun.endswith(("s", "x", "ch", "sh")) else "s"
    return f"{n:,} {noun}" + ("" if n == 1 else ending)
