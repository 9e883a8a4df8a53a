"""Runs in an object store: many to an object, as a zip of what a directory would hold.

`packs/NAME.zip` holds `runs/<run_id>/result.json` of runs that were trained together,
`states/NAME.zip` likewise what interrupted runs resume from; `unzip` of all packs makes
a sweep's directory. NAME says, without a request, of which runs a pack may be: a hash
of what all its runs share, their smallest and largest seed, and when it was put.
"""

import contextlib
import io
import re
import tempfile
import time
import uuid
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lossjax.suite.store import places
from lossjax.suite.store.results import FILE, Run
from lossjax.suite.store.sealing import digest, publish, sealed, unseal
from lossjax.suite.store.untrusted import MOST_ARRAY, UntrustedError, read_zip

RESULTS, STATES = "packs", "states"  # folders
FETCHED = "fetched.json"
# The keys of a store are anybody's text: exactly these.
NAME = re.compile(
    r"([0-9a-f]{8})-(\d{1,19})-(\d{1,19})-([0-9a-f]{12}-[0-9a-f]{8})\.zip"
)
_MEMBER = re.compile(r"runs/([0-9a-f]{16})/(result\.json|state\.npz)")
_FULL = 32 * 2**20  # bytes after which another object is begun
_AT_ONCE = 4  # packs on their way


@dataclass
class Packs:
    """Packs of one kind, as one process sees them: none is read twice.

    Attributes:
      out: the sweep's prefix.
      folder: RESULTS or STATES.
      known: the run_ids in those that were read or put; none where it is damaged.
    """

    out: Path
    folder: str
    known: dict[str, set[str]] = field(default_factory=dict)

    def put(self, files: Iterable[tuple[Run, bytes]], file: str) -> None:
        """Commit a file of each of these runs, which one program trained."""
        batch: list[tuple[Run, bytes]] = []
        size = 0
        for run, content in files:
            batch.append((run, content))
            size += len(content)
            if size > _FULL:
                self._put(batch, file)
                batch, size = [], 0
        if batch:
            self._put(batch, file)

    def _put(self, files: Sequence[tuple[Run, bytes]], file: str) -> None:
        kind = zipfile.ZIP_DEFLATED if file.endswith(".json") else zipfile.ZIP_STORED
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", kind) as archive:
            for run, content in files:
                archive.writestr(f"runs/{run.run_id}/{file}", content)
        seeds = [run.seed for run, _ in files]
        put = f"{time.time_ns() // 10**6:012x}-{uuid.uuid4().hex[:8]}"
        name = f"{_setting(files[0][0])}-{min(seeds)}-{max(seeds)}-{put}.zip"
        self.known[name] = {run.run_id for run, _ in files}
        places.put(self.out / self.folder / name, buffer.getvalue())

    def names(self, runs: Iterable[Run] | None = None) -> list[str]:
        """Those that are there, oldest first, with runs only what may be of these."""
        seeds: dict[str, set[int]] = {}
        for run in runs or ():
            seeds.setdefault(_setting(run), set()).add(run.seed)
        (prefix,) = seeds if len(seeds) == 1 else ("",)
        found = []
        for key in places.keys(self.out / self.folder, prefix):
            if match := NAME.fullmatch(key):
                setting, low, high, put = match.groups()
                asked = seeds.get(setting, ())
                if runs is None or any(int(low) <= s <= int(high) for s in asked):
                    found.append((put, key))
        return [key for _, key in sorted(found)]

    def read(
        self, names: Sequence[str]
    ) -> Iterator[tuple[str, dict[str, bytes] | UntrustedError]]:
        """The files of packs, by run_id, some packs at a time.

        A damaged pack gives the error that names it; one that has gone meanwhile is
        left out.
        """
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="packs") as pool:
            for start in range(0, len(names), _AT_ONCE):
                some = names[start:][:_AT_ONCE]
                for name, held in zip(some, pool.map(self._read, some), strict=True):
                    self.known[name] = set(held) if isinstance(held, dict) else set()
                    if held is not None:
                        yield name, held

    def _read(self, name: str) -> dict[str, bytes] | UntrustedError | None:
        try:
            content = places.read(self.out / self.folder / name)
            return opened(content, f"{self.folder}/{name}")
        except FileNotFoundError:
            return None
        except UntrustedError as error:
            return error

    def new(
        self, runs: Iterable[Run]
    ) -> Iterator[tuple[str, dict[str, bytes] | UntrustedError]]:
        """`read` of those not yet known that may be of these runs."""
        return self.read([n for n in self.names(runs) if n not in self.known])

    def remove(self, name: str) -> None:
        """Remove a pack, if it is there."""
        places.remove(self.out / self.folder / name)


def opened(content: bytes, name: str) -> dict[str, bytes]:
    """The files of a pack, by run_id.

    Raises:
      UntrustedError: it is damaged, or holds something else.
    """
    files = {}
    for member, held in read_zip(content, name, MOST_ARRAY).items():
        if not (match := _MEMBER.fullmatch(member)):
            raise UntrustedError(name, f"holds {member[:60]!r}")
        files[match[1]] = held
    return files


def may_hold(name: str, run: Run) -> bool:
    """Whether a pack of that name may hold a file of a run."""
    if not (match := NAME.fullmatch(name)):
        return False
    setting, low, high, _ = match.groups()
    return setting == _setting(run) and int(low) <= run.seed <= int(high)


def _setting(run: Run) -> str:
    """Eight letters for what runs of one program share, but their losses' source."""
    return digest([run.dataset, run.model, run.latent_dim, run.train_steps])[:8]


@dataclass(frozen=True)
class Fetched:
    """What came with one `fetch`: packs and runs, and what was there before."""

    packs: int
    runs: int
    before: int  # packs
    damaged: Mapping[str, str]  # packs, and what is wrong with them


def fetch(out: Path, directory: Path) -> Fetched:
    """Bring sweep.json and the results of a store that a directory lacks into it.

    `directory`/fetched.json says which packs came before; one of which a run is missing
    comes again.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        (directory / "sweep.json").write_bytes(places.read(out / "sweep.json"))
    packs, record = Packs(out, RESULTS), directory / FETCHED
    (directory / "runs").mkdir(exist_ok=True)
    runs, names = places.names(directory / "runs"), packs.names()
    there = set(names)
    had = {
        name: run_ids
        for name, run_ids in _record(record, out).items()
        if name in there and runs.issuperset(run_ids)
    }
    damaged, before, came = {}, len(had), 0
    try:
        for name, held in packs.read([name for name in names if name not in had]):
            if isinstance(held, UntrustedError):
                damaged[f"{RESULTS}/{name}"] = held.reason
                continue
            for run_id, content in held.items():
                (directory / "runs" / run_id).mkdir(exist_ok=True)
                (directory / "runs" / run_id / FILE).write_bytes(content)
            had[name] = sorted(held)
            came += len(held)
    finally:
        listed = {name: " ".join(run_ids) for name, run_ids in had.items()}
        publish(record, sealed({"out": str(out), "packs": listed}))
    return Fetched(len(had) - before, came, before, damaged)


def _record(record: Path, out: Path) -> dict[str, list[str]]:
    """The packs of a store that came into a directory before, with their run_ids."""
    try:
        held = unseal(record, {"out": str, "packs": {str: str}})
    except (OSError, ValueError):
        return {}
    same = held["out"] == str(out)
    return {n: ids.split() for n, ids in held["packs"].items()} if same else {}


@contextlib.contextmanager
def nearby(out: Path) -> Iterator[Path]:
    """A local directory with what a report is made from, for as long as it takes."""
    with tempfile.TemporaryDirectory(prefix="lossjax.") as folder:
        fetch(out, Path(folder))
        yield Path(folder)
