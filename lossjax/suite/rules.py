"""The rule of a config field: what it accepts, in words for help and for errors."""

import dataclasses
import math
import re
import sys
import types
import typing
from typing import Any

from lossjax.suite.cli.errors import UserError
from lossjax.suite.store.places import check_unicode

_KINDS = {int: "whole number", float: "number", str: "name"}


@dataclasses.dataclass(frozen=True)
class Rule:
    """The rule of one field, read from its annotation and its metadata.

    Attributes:
      kind: of the value, or of each one of a list.
      many: it is a list.
      meaning: for a reader, with the unit.
      low: the least value; `above` means that it is not one itself.
      high: the largest value.
      choices: the values that are valid, where they are few.
      empty: a list may be empty.
      identity: whether the default is part of what a run is. A field that came later
        is not, or every run stored before it would be a stranger.
    """

    name: str
    default: Any
    kind: type
    many: bool
    meaning: str
    low: float | None = None
    above: bool = False
    high: float | None = None
    choices: tuple[Any, ...] = ()
    empty: bool = False
    identity: bool = True

    @classmethod
    def of(cls, field: "dataclasses.Field[Any]") -> "Rule":
        many = typing.get_origin(field.type) is tuple
        kinds = typing.get_args(field.type) or (field.type,)
        kind = next(kind for kind in kinds if kind is not types.NoneType)
        return cls(field.name, field.default, kind, many, **field.metadata)

    @property
    def valid(self) -> str:
        """What a value must be, in words."""
        if self.choices:
            return " or ".join(map(repr, self.choices))
        kind = _KINDS[self.kind]
        kind = f"{kind}s" if self.many else f"a {kind}"
        if self.low is None:
            return kind
        if self.high is None:
            return f"{kind} of at least {_shown(self.low)}"
        low, high = _shown(self.low), _shown(self.high)
        return (
            f"{kind} in ({low}, {high}]"
            if self.above
            else f"{kind} from {low} to {high}"
        )

    @property
    def shown_default(self) -> str:
        """The default as the command line takes it."""
        value = self.default
        return ",".join(map(_shown, value)) if self.many else _shown(value)

    def read(self, value: Any) -> Any:
        """The value in the one form that it is stored in.

        Raises:
          UserError: it is not valid.
        """
        if value is None and (self.empty or not self.many):
            return self.default  # nothing said
        if not self.many:
            return self._one(value)
        if not isinstance(value, tuple):
            raise self.error(value, "must be a list")
        if not value and not self.empty:
            raise self.error(value, "must not be empty")
        return tuple(map(self._one, value))

    def _one(self, value: Any) -> Any:
        kinds = (int, float) if self.kind is float else (self.kind,)
        good = isinstance(value, kinds) and not isinstance(value, bool)
        if good and self.kind is str:
            check_unicode(f"config.{self.name}", value)
            good = bool(value)
        elif good:
            good = abs(value) <= sys.float_info.max and self._within(value)
        if not good or (self.choices and value not in self.choices):
            raise self.error(value, f"must be {self.valid}")
        return self.kind(value)

    def _within(self, value: float) -> bool:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return low <= value <= high and not (self.above and value == low)

    def error(self, value: Any, rule: str) -> UserError:
        return UserError(f"config.{self.name} = {value!r}: {rule}")


def _shown(value: Any) -> str:
    """A value as the command line takes it: 1e9, not 1e+09."""
    if isinstance(value, float) or (isinstance(value, int) and value >= 10**6):
        text = f"{value:g}"
        if float(text) == value:
            return re.sub(r"e\+?(-?)0*", r"e\1", text)
    return str(value)
