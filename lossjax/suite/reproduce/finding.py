"""What a study says: a finding, the published number beside it, and the verdict."""

import dataclasses
import enum
import math
from typing import Any

from lossjax.suite.statistics import Interval


class Verdict(enum.StrEnum):
    """What is said of a finding; there are no other words."""

    REPRODUCED = "reproduced"
    DIFFERS = "differs"
    CANNOT = "cannot be run here"
    TOLD = "told"  # nothing was expected; a number for the reader


class Tag(enum.StrEnum):
    """How a published number is known."""

    SEEN = "S"  # read in the source
    VECTOR = "V"  # read off the paths of a published figure, about three digits
    COMPUTED = "C"  # follows from a formula or from the data
    RECALLED = "R"  # from memory: for orientation, never a limit


@dataclasses.dataclass(frozen=True)
class Published:
    """A published number, with where it stands."""

    value: float
    source: str
    tag: Tag


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of a study: what was expected, what was found, and whether they agree.

    `what` names it within its study. `decides` is False where a number is told for the
    reader and nothing was expected; `runs` is False where it cannot be run here.
    `number` is ours where it is one, its limits NaN where it has no interval.
    """

    what: str
    expected: str
    ours: str
    holds: bool
    reason: str = ""
    decides: bool = True
    runs: bool = True
    number: Interval | None = None
    published: Published | None = None

    @property
    def verdict(self) -> Verdict:
        if not self.runs:
            return Verdict.CANNOT
        if not self.decides:
            return Verdict.TOLD
        return Verdict.REPRODUCED if self.holds else Verdict.DIFFERS

    @property
    def difference(self) -> float | None:
        """Ours minus the published value."""
        if self.published is None or self.number is None:
            return None
        return self.number.center - self.published.value

    def to_json(self) -> dict[str, Any]:
        """As summary.json holds it; what does not apply is left out."""
        values = dataclasses.asdict(self) | {"difference": self.difference}
        values["holds"] = bool(self.holds)
        if self.number is not None:
            parts = vars(self.number).items()
            values["number"] = {k: _nine(x) for k, x in parts if math.isfinite(x)}
        if self.difference is not None:
            values["difference"] = _nine(self.difference)
        kept = {k: v for k, v in values.items() if v is not None}
        return kept | {"verdict": str(self.verdict)}


def compared(
    what: str,
    published: Published,
    ours: Interval | float,
    accepted: tuple[float, float] | float,
    *,
    digits: int = 3,
    reason: str = "",
    decides: bool = True,
) -> Finding:
    """A finding that sets a number of ours beside a published one.

    It is reproduced where ours lies in the closed range `accepted`, or, where that is a
    number, at most so far from the published one; `digits` is how many significant ones
    are shown, `reason` why it differs or what to know.
    """
    if isinstance(accepted, tuple):
        (low, high), words = accepted, _range(*accepted, digits)
    else:
        low, high = published.value - accepted, published.value + accepted
        words = f"accepted: ± {accepted:g}"
    center = ours.center if isinstance(ours, Interval) else ours
    wanted = significant(published.value, digits)
    if decides:
        wanted += f" ({words})"
    return Finding(
        what,
        wanted,
        shown(ours, digits),
        low <= center <= high,
        reason,
        decides,
        number=_interval(ours),
        published=published,
    )


def agrees(what: str, distance: float, tolerance: float, unit: str = "") -> Finding:
    """A finding that two numbers, or two rows of them, are equal within a tolerance."""
    exact = distance < 1e-12  # rows hold twelve digits
    return Finding(
        what,
        f"at most {tolerance:.0e} {unit}".strip(),
        "equal to 12 digits" if exact else f"{distance:.1e} {unit}".strip(),
        distance <= tolerance,
        number=_interval(distance),
    )


def cannot(what: str, published: Published | str, reason: str) -> Finding:
    """A finding that cannot be run here, and why."""
    number = published if isinstance(published, Published) else None
    words = f"{number.value:g}" if number else str(published)
    return Finding(what, words, "", False, reason, runs=False, published=number)


def told(
    what: str, ours: Interval | float, *, digits: int = 3, reason: str = ""
) -> Finding:
    """A number of ours that nothing was expected of."""
    number = _interval(ours)
    return Finding(
        what, "", shown(ours, digits), True, reason, decides=False, number=number
    )


def shown(value: Interval | float, digits: int = 3) -> str:
    """A number to so many significant digits, its interval in brackets."""
    if not isinstance(value, Interval):
        return significant(value, digits)
    text = significant(value.center, digits)
    if math.isfinite(value.low):
        low, high = (significant(x, digits) for x in (value.low, value.high))
        text += f" [{low}, {high}]"
    return text


def significant(value: float, digits: int) -> str:
    """So many significant digits; whole numbers keep all of theirs, tiny ones none."""
    if abs(value) < 1e-12:
        return "0"
    return f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def _range(low: float, high: float, digits: int) -> str:
    if not math.isfinite(low):
        return f"accepted: at most {significant(high, digits)}"
    if not math.isfinite(high):
        return f"accepted: at least {significant(low, digits)}"
    return f"accepted: {significant(low, digits)} to {significant(high, digits)}"


def _interval(value: Interval | float) -> Interval:
    if isinstance(value, Interval):
        return value
    return Interval(value, math.nan, math.nan)


def _nine(value: float) -> float:
    """Nine digits, as rows are stored."""
    return float(f"{value:.9g}")
