"""Whose a directory is: what this suite did not write is not removed or replaced.

A directory is a sweep's if it holds a sealed sweep.json, or nothing that a sweep could
not have left before it wrote one. Nothing here follows a link.
"""

import contextlib
import os
import re
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from lossjax.suite.cli.errors import UserError
from lossjax.suite.report import files
from lossjax.suite.store import checkpoint, places, results

_REPORT = "report"
_IN_SWEEP = ("sweep.json", _REPORT, places.PROBE)  # kinds of temporaries, by place
_IN_RUN = ("result.json", checkpoint.FILE)
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{32}")  # as store.temporary_name gives it
_RUN = re.compile(r"[0-9a-f]{16}")


def check(out: Path, flag: str = "--out") -> None:
    """UserError where a sweep in `out` would mix with, or replace, what is not ours."""
    names = places.names(out)
    advice = "move it away, or name another directory"
    if "sweep.json" in names:
        try:
            results.read_sweep(out)
        except (OSError, ValueError) as error:
            raise UserError(f"{flag}={out}: {error}; {advice}") from None
    elif strange := [name for name in sorted(names) if not _may_be_ours(out, name)]:
        raise UserError(
            f"{flag}={out}: holds {strange[0]} and no sweep.json of a sweep; name an "
            f"empty directory, a new one, or one that a sweep has written"
        )
    files.check(out / _REPORT, flag)


def _may_be_ours(out: Path, name: str) -> bool:
    """Whether a sweep that was killed before it wrote sweep.json may have left it."""
    if name == "runs":
        linked = not places.is_remote(out) and (out / name).is_symlink()
        return not linked and all(map(_RUN.fullmatch, places.names(out / name)))
    return name == _REPORT or _kind(name) in _IN_SWEEP


def check_file(path: Path, sign: str) -> None:
    """UserError where a file that is about to be replaced does not hold our sign."""
    try:
        ours = sign in path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except (OSError, ValueError):
        ours = False
    if not ours:
        raise UserError(
            f"--out={path.parent}: {path} was not written by this suite; move it away, "
            f"or name another directory"
        )


def discard_temporaries(out: Path, older_than_s: float = 3600) -> None:
    """Remove what writers that were killed left behind; a live writer's is younger."""
    if places.is_remote(out):  # one put commits; there are none
        return
    oldest = time.time() - older_than_s
    for entry, kind in _temporaries(out):
        with contextlib.suppress(OSError):
            found = entry.stat(follow_symlinks=False)
            if found.st_mtime >= oldest:
                continue
            if kind == _REPORT and stat.S_ISDIR(found.st_mode):
                shutil.rmtree(entry.path)
            elif kind != _REPORT and stat.S_ISREG(found.st_mode):
                os.unlink(entry.path)


def _temporaries(out: Path) -> Iterator[tuple[os.DirEntry[str], str]]:
    """What is named as a sweep's temporary, where a sweep makes one; and its kind."""
    runs = [] if (out / "runs").is_symlink() else _entries(out / "runs")
    folders: list[tuple[str | Path, Sequence[str]]] = [(out, _IN_SWEEP)]
    for run in runs:
        if _RUN.fullmatch(run.name) and run.is_dir(follow_symlinks=False):
            folders.append((run.path, _IN_RUN))
    for folder, kinds in folders:
        for entry in _entries(folder):
            kind = _kind(entry.name)
            if kind in kinds:
                yield entry, kind


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _kind(name: str) -> str:
    """What a temporary is to become; empty for any other name."""
    match = _TEMPORARY.fullmatch(name)
    return match[1] if match else ""
