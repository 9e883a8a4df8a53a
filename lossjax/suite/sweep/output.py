"""Where a sweep writes: checked before anything is computed, then made."""

import os
from pathlib import Path

from lossjax.suite.cli.errors import UserError
from lossjax.suite.store import places


def check(out: Path, *, writing: bool = True) -> None:
    """The nearest existing folder of `out` must be one that we can write to."""
    if places.is_remote(out):
        places.check(out, writing=writing)
        return
    place = next(folder for folder in (out, *out.absolute().parents) if folder.exists())
    if not place.is_dir():
        raise UserError(f"--out={out}: {place} is a file; name a directory")
    if not os.access(place, os.W_OK | os.X_OK):
        raise UserError(f"--out={out}: {place} is not writable; name another directory")


def make(out: Path) -> None:
    """The directory itself; a store needs none."""
    if places.is_remote(out):
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"--out={out}: cannot be made: {error.strerror}") from None
