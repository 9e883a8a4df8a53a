"""Whose a directory is: what this suite did not write is not removed or replaced.

A directory is a sweep's if it holds a sealed sweep.json, or nothing that a sweep could
not have left before it wrote one. A report is replaced whole, and a user's file is no
part of it: `report/files.json` lists what this suite wrote there, itself included.
Nothing here follows a link.
"""

import contextlib
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from lossjax.suite.cli.errors import UserError
from lossjax.suite.store import checkpoint, packs, parameters, places, results, sealing

_REPORT = "report"
LOG, AGAINST = "sweep.log", "against.html"  # beside the runs and the report
_IN_SWEEP = (
    "sweep.json",
    packs.FETCHED,
    _REPORT,
    AGAINST,
    places.PROBE,
)  # kinds of temporaries, by place
_IN_RUN = (results.FILE, checkpoint.FILE, parameters.FILE)
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{32}")  # as sealing.temporary_name gives it
_RUN = re.compile(r"[0-9a-f]{16}")
_PACKED = dict.fromkeys((packs.RESULTS, packs.STATES), packs.NAME)
_LIST = "files.json"
_TICK_S = 0.02  # longer than a tick of the clock that stamps files
# What every page of the suite holds.
SIGN = '<meta name="lossjax-out"'
# A report that was made before there were lists: these names, the page written last.
_EARLIER = re.compile(
    r"index\.html|rows\.csv|summary\.json"
    r"|tables(/[^/]+\.(md|tex|csv))?|figures(/[^/]+\.(svg|png))?"
)


def check(out: Path, flag: str = "--out") -> None:
    """UserError where a sweep in `out` would mix with, or replace, what is not ours."""
    names = places.names(out)
    advice = "move it away, or name another directory"
    if "sweep.json" in names:
        try:
            results.read_sweep(out, object)  # of any version
        except (OSError, ValueError) as error:
            raise UserError(f"{flag}={out}: {error}; {advice}") from None
    elif strange := [name for name in sorted(names) if not _may_be_ours(out, name)]:
        raise UserError(
            f"{flag}={out}: holds {strange[0]} and no sweep.json of a sweep; name an "
            f"empty directory, a new one, or one that a sweep has written"
        )
    check_report(out / _REPORT, flag)


def _may_be_ours(out: Path, name: str) -> bool:
    """Whether a sweep that was killed before it wrote sweep.json may have left it."""
    remote = places.is_remote(out)
    if inside := (_PACKED if remote else {"runs": _RUN}).get(name):
        linked = not remote and (out / name).is_symlink()
        return not linked and all(map(inside.fullmatch, places.names(out / name)))
    return name in (_REPORT, LOG, AGAINST, packs.FETCHED) or _kind(name) in _IN_SWEEP


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


def record_report(directory: Path) -> None:
    """List what a finished report consists of."""
    names = [p.relative_to(directory) for p in directory.rglob("*") if p.is_file()]
    sealing.publish(directory / _LIST, _text({_LIST, *map(Path.as_posix, names)}))


def check_report(place: Path, flag: str = "--out") -> None:
    """UserError where a report's place holds anything that is not a report's."""
    seen = None
    while True:
        before = _state(place)
        strange = _strange(place)
        # Another process may have put its own report there meanwhile.
        if _state(place) != before:
            seen = None
            continue
        if strange is None:
            return
        if seen == (before, strange):
            break
        # A folder that came since may have the number of one that is gone, and the time
        # of the same tick: what is strange must be so again, at a time past that tick.
        gone = before is None and not places.is_remote(place)
        seen = None if gone else (before, strange)
        time.sleep(_TICK_S)
    raise UserError(
        f"{flag}={place.parent}: {place / strange} was not written by this suite, "
        f"and a report is replaced whole; move it away, or name another directory"
    )


def send_report(fresh: Path, place: Path) -> None:
    """Make a prefix of a store hold a report; wherever it ends, all of it is listed."""
    check_report(place)
    old = set(_listed(place) or ()) & set(places.keys(place))
    new = set(_listed(fresh) or ())
    places.put(place / _LIST, _text(old | new).encode())
    places.send(fresh, place, new - {_LIST})
    for name in old - new:
        places.remove(place / name)
    places.put(place / _LIST, _text(new).encode())


def _text(names: Iterable[str]) -> str:
    return json.dumps({"made_by": "lossjax", "files": sorted(names)}, indent=1) + "\n"


def _listed(place: Path) -> list[str] | None:
    """The names in a report's list; None where there is no list of ours."""
    try:
        content = json.loads(places.read(place / _LIST))
        if content["made_by"] == "lossjax":
            return [str(PurePosixPath(name)) for name in content["files"]]
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except (ValueError, KeyError, TypeError):
        return None
    return None


def _found(place: Path) -> dict[str, bool]:
    """Everything under a place, folders too; whether it is a link."""
    if places.is_remote(place):
        return dict.fromkeys((key.rstrip("/") for key in places.keys(place)), False)
    paths = [
        Path(folder) / name
        for folder, folders, others in os.walk(place)
        for name in (*folders, *others)
    ]
    return {path.relative_to(place).as_posix(): path.is_symlink() for path in paths}


def _strange(place: Path) -> str | None:
    """The first thing that a report does not consist of, empty for the place itself."""
    if not places.is_remote(place):
        # One look: between two, another process may put its own report there.
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISDIR(place.lstat().st_mode):
                return ""
    found = _found(place)
    listed = _listed(place)
    names = _earlier(place, found) if listed is None else set(listed)
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    ours = names | folders | {""}
    return min((n for n, link in found.items() if link or n not in ours), default=None)


def _earlier(place: Path, found: Iterable[str]) -> set[str]:
    """What a report without a list consists of, as far as that can be told."""
    page = place / "index.html"
    try:
        if places.is_remote(place) or SIGN not in page.read_text(encoding="utf-8"):
            return set()
        last = page.stat().st_mtime_ns
        return {
            name
            for name in found
            if _EARLIER.fullmatch(name)
            and ((place / name).is_dir() or (place / name).stat().st_mtime_ns <= last)
        }
    except (OSError, ValueError):
        return set()


def _state(place: Path) -> tuple[int, int] | None:
    """Which folder it is, and when something was last put in or taken out."""
    try:
        found = place.lstat() if not places.is_remote(place) else None
    except OSError:
        found = None
    return (found.st_ino, found.st_ctime_ns) if found else None
