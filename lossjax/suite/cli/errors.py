"""What a program may end with: the errors that are one line, and the exit codes."""

import enum
from collections.abc import Iterable

from lossjax.suite.store.untrusted import printable
from lossjax.syntax import nearest

_LONGEST = 2_000


class Exit(enum.IntEnum):
    """Exit codes, the same for every verb."""

    DONE = 0
    FAILED = 1  # some runs failed, the disk is full, or verify found a mismatch
    USAGE = 2  # nothing was written
    SELF_TEST = 70
    INTERRUPTED = 75  # resume me


class UserError(Exception):
    """Something the user can mend; its text is one line that says how."""

    def __init__(self, message: object) -> None:
        text = printable(str(message))
        middle = len(text) > _LONGEST  # somebody's name, thousands of letters long
        super().__init__(f"{text[:1400]} ... {text[-500:]}" if middle else text)


class DataError(UserError):
    """A dataset that is not known, or not there, or unusable as it is."""


class Interrupted(Exception):
    """Ctrl-C, SIGTERM or SIGHUP; its text says how to go on."""


class SelfTestFailed(Exception):
    """The platform computes wrong numbers."""


def unknown(kind: str, value: str, valid: Iterable[str]) -> UserError:
    """The one way to say that a name is not known: nearest name, then all of them."""
    names = list(valid)
    near = nearest(value, names, cutoff=0.4)
    hint = f"did you mean {near!r}? " if near else ""
    return UserError(f"unknown {kind} {value!r}: {hint}valid: {', '.join(names)}")
