"""Names with arguments, `textures(binary=0.5)`: parsed, checked, never evaluated."""

import dataclasses
import math
from collections.abc import Mapping

from lossjax.suite.cli.errors import DataError
from lossjax.syntax import nearest, read_call


@dataclasses.dataclass(frozen=True)
class Dial:
    """One argument: its default and its range, or the words it may take."""

    default: float | int | str
    low: float = -math.inf
    high: float = math.inf
    words: tuple[str, ...] = ()

    @property
    def valid(self) -> str:
        """What a user may give, in words."""
        if self.words:
            return ", ".join(self.words)
        kind = "integers" if isinstance(self.default, int) else "numbers"
        return f"{kind} from {self.low:g} to {self.high:g}"

    def accepts(self, value: object) -> bool:
        """Is `value` of this dial's kind and inside its range?"""
        if self.words:
            return value in self.words
        kinds = int if isinstance(self.default, int) else int | float
        return (
            isinstance(value, kinds)
            and not isinstance(value, bool)
            and self.low <= value <= self.high
        )


def read_dials(
    name: str, text: str, dials: Mapping[str, Dial]
) -> dict[str, float | int | str]:
    """Every dial's value, from `keyword=literal, ...` or the default.

    Raises:
      DataError: the text is no list of keywords, or a keyword or value is not valid.
    """
    values = {key: dial.default for key, dial in dials.items()}
    try:
        call = read_call(f"{name}({text})", "dataset")
    except ValueError as error:
        raise DataError(str(error)) from None
    for key, value in call.values.items():
        if key not in dials:
            near = nearest(key, dials)
            hint = f"; did you mean {near}?" if near else ""
            raise DataError(
                f"{name}: unknown argument {key!r}; valid: {', '.join(dials)}{hint}"
            )
        given = value.literal
        if not dials[key].accepts(given):
            shown = value.text if given is None else repr(given)
            raise DataError(f"{name}: {key}={shown}: valid are {dials[key].valid}")
        values[key] = float(given) if isinstance(dials[key].default, float) else given
    return values
