"""Which files are a report's: it is replaced whole, and a user's file is no part.

`report/files.json` lists what this suite wrote there, itself included.
"""

import json
import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from lossjax.suite.cli.errors import UserError
from lossjax.suite.store import places, results

LIST = "files.json"
# What every page of the suite holds.
SIGN = '<meta name="lossjax-out"'
# A report that was made before there were lists: these names, the page written last.
_EARLIER = re.compile(
    r"index\.html|rows\.csv|summary\.json"
    r"|tables(/[^/]+\.(md|tex|csv))?|figures(/[^/]+\.(svg|png))?"
)


def record(directory: Path) -> None:
    """List what a finished report consists of."""
    names = [p.relative_to(directory) for p in directory.rglob("*") if p.is_file()]
    results.publish(directory / LIST, _text({LIST, *map(Path.as_posix, names)}))


def check(place: Path, flag: str = "--out") -> None:
    """UserError where a report's place holds anything that is not a report's."""
    while True:
        before = _state(place)
        strange = _strange(place)
        # Another process may have put its own report there meanwhile.
        if _state(place) == before:
            break
    if strange is not None:
        raise UserError(
            f"{flag}={place.parent}: {place / strange} was not written by this suite, "
            f"and a report is replaced whole; move it away, or name another directory"
        )


def send(fresh: Path, place: Path) -> None:
    """Make a prefix of a store hold a report; wherever it ends, all of it is listed."""
    check(place)
    old = set(_listed(place) or ()) & set(places.keys(place))
    new = set(_listed(fresh) or ())
    places.put(place / LIST, _text(old | new).encode())
    places.send(fresh, place, new - {LIST})
    for name in old - new:
        places.remove(place / name)
    places.put(place / LIST, _text(new).encode())


def _text(names: Iterable[str]) -> str:
    return json.dumps({"made_by": "lossjax", "files": sorted(names)}, indent=1) + "\n"


def _listed(place: Path) -> list[str] | None:
    """The names in a report's list; None where there is no list of ours."""
    try:
        content = json.loads(places.read(place / LIST))
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
        if place.is_symlink() or (place.exists() and not place.is_dir()):
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
