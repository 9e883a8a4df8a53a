"""Names with arguments, `textures(binary=0.5)`: parsed, checked, never evaluated."""

import ast
import dataclasses
import difflib
import math
from collections.abc import Mapping

from lossjax.suite.data.dataset import DataError


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
    for key, value in _keywords(name, text).items():
        if key not in dials:
            near = difflib.get_close_matches(key, dials, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise DataError(
                f"{name}: unknown argument {key!r}; valid: {', '.join(dials)}{hint}"
            )
        if not dials[key].accepts(value):
            raise DataError(f"{name}: {key}={value!r}: valid are {dials[key].valid}")
        default = dials[key].default
        values[key] = float(value) if isinstance(default, float) else value
    return values


def _keywords(name: str, text: str) -> dict:
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise ValueError
        pairs = [(word.arg, ast.literal_eval(word.value)) for word in call.keywords]
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        raise DataError(
            f"{name}: cannot read the arguments {text!r}; valid is "
            f"{name}(keyword=number, ...)"
        ) from None
    if any(key is None for key, _ in pairs):
        raise DataError(f"{name}: ** is not valid in {text!r}")
    return {str(key): value for key, value in pairs}
