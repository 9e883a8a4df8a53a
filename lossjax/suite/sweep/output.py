"""Where a sweep writes: checked before anything is computed, then made."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from lossjax.suite import shipped
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.store import places, results, sealing

_LONGEST = 80  # letters of a folder's name that say what was asked


def default(name: str, sweep: Sweep, arguments: Sequence[str]) -> Path:
    """Where a sweep goes that names no --out; another question goes elsewhere.

    The config's name, what was changed of it on the command line, and, where anything
    was, eight letters that no other question has.
    """
    asked = [a.lstrip("-") for a in arguments if a.lstrip("-").startswith("config.")]
    words = "-".join((name, *(a.removeprefix("config.") for a in asked)))
    readable = re.sub(r"[^A-Za-z0-9.,=+-]+", "_", words)[:_LONGEST].strip("_.,=-")
    plain = shipped.LOCAL / name
    if not asked and _asks(plain) in (None, sweep.to_json()):
        return plain
    return shipped.LOCAL / f"{readable}-{sealing.digest(sweep.to_json())[:8]}"


def _asks(out: Path) -> object:
    """The config of the sweep that a directory holds; None where it holds none."""
    try:
        return results.read_sweep(out)["config"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check(out: Path, *, writing: bool = True) -> None:
    """The nearest existing folder of `out` must be one that we can write to."""
    if places.is_remote(out):
        places.check(out, writing=writing)
        return
    try:
        folders = (out, *out.absolute().parents)
        place = next(folder for folder in folders if folder.exists())
    except OSError as error:  # a name that no file system takes
        raise UserError(f"--out={out}: {error.strerror}") from None
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
