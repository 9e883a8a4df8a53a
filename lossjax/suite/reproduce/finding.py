"""What a study says: a finding, the published number beside it, and the verdict."""

import dataclasses
import enum
import math
import re
from decimal import Decimal
from typing import Any

from lossjax.suite.statistics import Interval

PART = 0.05  # of what is above the floor: the least that a deviation must matter


class Verdict(enum.StrEnum):
    """What is said of a finding; there are no other words."""

    REPRODUCED = "reproduced"  # of a published number, and of nothing else
    EXPECTED = "as expected"  # an identity, or an expectation of ours
    INCONCLUSIVE = "inconclusive"
    DIFFERS = "differs"
    CANNOT = "cannot be run here"


class Tag(enum.StrEnum):
    """How a published number is known."""

    SEEN = "S"  # read in the source
    VECTOR = "V"  # read off the paths of a published figure, about three digits
    COMPUTED = "C"  # follows from a formula or from the data
    RECALLED = "R"  # from memory: for orientation


@dataclasses.dataclass(frozen=True)
class Published:
    """A published number, with where it stands and how near a reproduction must come.

    Attributes:
      text: the number as it is printed; its last digit says how exact it is.
      floor: the best value that can be reached, whatever the model: 0 for most errors.
      spread: of the published number itself, half of it to each side, and
      spread_of: what that spread is.
    """

    text: str
    source: str
    tag: Tag
    floor: float = 0.0
    spread: float = 0.0
    spread_of: str = "its published spread"

    @property
    def value(self) -> float:
        return float(self.text)

    @property
    def judged(self) -> bool:
        """Whether somebody measured it; what follows from a formula is an identity."""
        return self.tag in (Tag.SEEN, Tag.VECTOR)

    @property
    def size(self) -> float:
        """How far the number is from the best that can be reached."""
        return abs(self.value - self.floor)

    @property
    def margin(self) -> tuple[float, str]:
        """How far from the number a reproduction may lie at most (delta), and why.

        Half the last digit, the published spread, or a share of what is above the
        floor, whichever is largest; of an identity half the last digit.
        """
        whole = "the value"
        if self.floor:
            above = self.value > self.floor
            whole = "what is above the floor" if above else "the way to the ceiling"
            whole += f" ({self.floor:g})"
        digit = 10.0 ** int(Decimal(self.text).as_tuple().exponent)
        options = [(digit / 2, "half its last digit")]
        if self.judged:
            options += [
                (self.spread, self.spread_of),
                (PART * self.size, f"{100 * PART:.0f} % of {whole}"),
            ]
        return max(options)

    def judge(self, ours: Interval) -> Verdict:
        """Whether the whole of our interval lies near enough, or outside."""
        delta, rounding = self.margin[0], 1e-9 * abs(self.value)
        low, high = self.value - delta - rounding, self.value + delta + rounding
        if not self.judged:
            near = low <= ours.center <= high
            return Verdict.EXPECTED if near else Verdict.DIFFERS
        if not math.isfinite(ours.low):
            return Verdict.INCONCLUSIVE  # one seed has no interval
        if low <= ours.low and ours.high <= high:
            return Verdict.REPRODUCED
        outside = ours.low > high or ours.high < low
        return Verdict.DIFFERS if outside else Verdict.INCONCLUSIVE

    def to_json(self) -> dict[str, Any]:
        delta, why = self.margin
        kept = {k: v for k, v in vars(self).items() if k in ("source", "tag")}
        kept |= {"value": self.value, "printed": self.text}
        return kept | {"delta": nine(delta), "delta_reason": why}


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of a study: what was expected, what was found, and whether they agree.

    `what` names it for a reader; `key` is what answers look it up by, made of `what`
    where nobody does. `decides` is False for a measurement of which nothing was
    expected, which has no verdict; `runs` is False where it cannot be run here.
    `number` is ours where it is one, its limits NaN where it has no interval. Beside a
    published number that somebody measured `holds` is not asked.
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
    key: str = ""

    def __post_init__(self) -> None:
        if self.published is not None and not self.decides:
            raise ValueError(f"{self.what}: a published number is always judged")
        if not self.key:
            slug = re.sub(r"[^a-z0-9]+", "_", self.what.lower()).strip("_")
            object.__setattr__(self, "key", slug)

    @property
    def verdict(self) -> Verdict | None:
        if not self.runs:
            return Verdict.CANNOT
        if not self.decides:
            return None
        if self.published is not None and self.number is not None:
            return self.published.judge(self.number)
        return Verdict.EXPECTED if self.holds else Verdict.DIFFERS

    @property
    def difference(self) -> float | None:
        """Ours minus the published value."""
        if self.published is None or self.number is None:
            return None
        return self.number.center - self.published.value

    @property
    def words(self) -> str:
        """The verdict; of a number that differs, by how much."""
        if self.verdict != Verdict.DIFFERS or self.difference is None:
            return str(self.verdict or "")
        text = f"{Verdict.DIFFERS} by {signed(self.difference)}"
        assert self.published is not None
        if self.published.judged and self.published.size:
            share = 100 * self.difference / self.published.size
            text += f" ({share:+.0f} %)"
        return text

    def to_json(self) -> dict[str, Any]:
        """As summary.json holds it; what does not apply is left out."""
        names = ("key", "what", "expected", "ours", "reason")
        values: dict[str, Any] = {name: getattr(self, name) for name in names}
        if self.number is not None:
            parts = vars(self.number).items()
            values["number"] = {k: nine(x) for k, x in parts if math.isfinite(x)}
        if self.published is not None:
            values["published"] = self.published.to_json()
        if self.difference is not None:
            values["difference"] = nine(self.difference)
        if self.verdict is not None:
            values |= {"verdict": str(self.verdict), "words": self.words}
        return values


def compared(
    what: str,
    published: Published,
    ours: Interval | float,
    *,
    digits: int = 3,
    reason: str = "",
    key: str = "",
) -> Finding:
    """A finding that compares a reproduced number with the published one.

    A number without an interval is exact; `digits` is how many significant ones are
    shown, `reason` why it differs or what to know.
    """
    number = ours if isinstance(ours, Interval) else Interval(ours, ours, ours)
    delta, why = published.margin
    return Finding(
        what,
        f"{published.text} within {delta:.2g}: {why}",
        shown(ours, digits),
        published.judge(number) != Verdict.DIFFERS,
        reason,
        number=number,
        published=published,
        key=key,
    )


def agrees(
    what: str, distance: float, tolerance: float, unit: str = "", *, key: str = ""
) -> Finding:
    """A finding that two numbers, or two rows of them, are equal within a tolerance."""
    exact = distance < 1e-12  # rows hold twelve digits
    return Finding(
        what,
        f"at most {tolerance:.0e} {unit}".strip() + ": an identity, to rounding",
        "equal to 12 digits" if exact else f"{distance:.1e} {unit}".strip(),
        distance <= tolerance,
        number=_interval(distance),
        key=key,
    )


def cannot(what: str, published: Published | str, reason: str) -> Finding:
    """A finding that cannot be run here, and why."""
    number = published if isinstance(published, Published) else None
    words = number.text if number else str(published)
    return Finding(what, words, "", False, reason, runs=False, published=number)


def measured(
    what: str,
    ours: Interval | float,
    *,
    digits: int = 3,
    reason: str = "",
    key: str = "",
) -> Finding:
    """A number of ours that nothing was expected of: it has no verdict."""
    number, text = _interval(ours), shown(ours, digits)
    return Finding(what, "", text, True, reason, decides=False, number=number, key=key)


def noted(
    what: str, text: str, *, number: Interval | None = None, key: str = ""
) -> Finding:
    """What is said in words and nothing was expected of: it has no verdict."""
    return Finding(what, "", text, True, decides=False, number=number, key=key)


def shown(value: Interval | float, digits: int = 3) -> str:
    """A number to so many significant digits, its interval in brackets."""
    if not isinstance(value, Interval):
        return significant(value, digits)
    text = significant(value.center, digits)
    if math.isfinite(value.low) and value.low < value.high:
        low, high = (significant(x, digits) for x in (value.low, value.high))
        text += f" [{low}, {high}]"
    return text


def halved(mean: Interval, places: int) -> str:
    """A mean to so many places, with half its interval where it has one."""
    text = f"{mean.center:.{places}f}"
    if math.isfinite(mean.low):
        text += f" ± {(mean.high - mean.low) / 2:.{places}f}"
    return text


def significant(value: float, digits: int) -> str:
    """So many significant digits; whole numbers keep all of theirs, tiny ones none."""
    if abs(value) < 1e-12:
        return "0"
    return f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def signed(value: float | None) -> str:
    """A difference with its sign; empty where there is none to tell."""
    if value is None:
        return ""
    return "0" if abs(value) < 1e-12 else f"{value:+.3g}"


def nine(value: float) -> float:
    """Nine digits, as rows are stored."""
    return float(f"{value:.9g}")


def _interval(value: Interval | float) -> Interval:
    if isinstance(value, Interval):
        return value
    return Interval(value, math.nan, math.nan)
