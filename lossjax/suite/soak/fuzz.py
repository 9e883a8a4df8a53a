"""Inputs that nobody sane would write: each is accepted, or refused in one line.

`KINDS` is the table: how an input of one kind is made in an empty folder from a seeded
generator, and what reads it. `fuzz` tries many of one kind in processes of their own,
so that a hang or a crash of a decoder is counted too.
"""

import contextlib
import dataclasses
import multiprocessing
import multiprocessing.connection
import os
import random
import shutil
import tempfile
import time
import types
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lossjax.suite.cli.errors import UserError
from lossjax.suite.soak import fuzz_asked, fuzz_data, fuzz_store
from lossjax.suite.soak.testbed import Tally, Testbed

SLOW_S, BIG_MB = 5.0, 500.0
_HANG_S, _LONGEST_LINE = 60.0, 2_000
_SHOWN = 20  # inputs of which a fault is described


@dataclasses.dataclass(frozen=True)
class Kind:
    """One kind of input.

    `make` fills a folder and returns what `read` takes; both run where it is tried.
    `count` inputs are tried by the full soak, `quick` by the short one.
    """

    what: str
    make: Callable[[Path, random.Random], Any]
    read: Callable[[Any], object]
    count: int = 20_000
    quick: int = 100


KINDS: Mapping[str, Kind] = types.MappingProxyType(
    {
        "losses": Kind("losses", fuzz_asked.loss, fuzz_asked.read_loss),
        "models": Kind("models", fuzz_asked.model, fuzz_asked.read_model),
        "config": Kind("configs and flags", fuzz_asked.asked, fuzz_asked.read_asked),
        "names": Kind("dataset names", fuzz_data.name, fuzz_data.read_name),
        "idx": Kind("IDX folders", fuzz_data.idx, fuzz_data.read_folder),
        "pictures": Kind(
            "folders of pictures", fuzz_data.pictures, fuzz_data.read_folder
        ),
        "prepared": Kind(
            "prepared sets", fuzz_data.prepared, fuzz_data.read_prepared, quick=60
        ),
        "decoded": Kind(
            "decoded-image caches", fuzz_data.decoded, fuzz_data.read_decoded
        ),
        # Fewer: one in ten is reported whole, which takes a second.
        "results": Kind(
            "stored runs", fuzz_store.result_files, fuzz_store.read_store, 5_000, 40
        ),
        "sweeps": Kind(
            "sweep.json", fuzz_store.descriptions, fuzz_store.read_store, quick=60
        ),
        "states": Kind("saved states", fuzz_store.states, fuzz_store.read_state),
        "rows": Kind(
            "stored rows of studies", fuzz_store.study_rows, fuzz_store.read_study
        ),
    }
)


@dataclasses.dataclass
class Counts:
    """What came of the inputs of one kind; `notes` describe the first faults."""

    accepted: int = 0
    refused: int = 0
    traceback: int = 0  # also a line too long, several lines, or a process that died
    slow: int = 0
    big: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def tried(self) -> int:
        return self.accepted + self.refused + self.traceback

    @property
    def faults(self) -> int:
        """Inputs that were not answered as they must be; one may be counted twice."""
        return self.traceback + self.slow + self.big


@dataclasses.dataclass(frozen=True)
class _Answer:
    word: str  # the field of Counts
    seconds: float
    megabytes: float  # by which the process grew at most
    note: str


def fuzz(kind: str, count: int, seed: int = 0) -> Counts:
    """Tries `count` inputs of a kind; the same seed makes the same inputs."""
    counts = Counts()
    with tempfile.TemporaryDirectory(prefix="lossjax-fuzz-") as folder:
        with _Workers(kind, seed, Path(folder)) as workers:
            for index in range(count):
                answer = workers.answer(index)
                if answer.seconds > SLOW_S and answer.word != "traceback":
                    # Once more: its threads may have waited for a core.
                    again = workers.answer(index)
                    answer = min(answer, again, key=lambda one: one.seconds)
                setattr(counts, answer.word, getattr(counts, answer.word) + 1)
                slow, big = answer.seconds > SLOW_S, answer.megabytes > BIG_MB
                counts.slow += slow
                counts.big += big
                if slow or big or answer.word == "traceback":
                    counts.notes.append(
                        f"{kind} {seed}/{index}: {answer.seconds:.1f} s, "
                        f"{answer.megabytes:.0f} MB, {answer.note}"
                    )
                    del counts.notes[_SHOWN:]
    return counts


def injected(kind: str, testbed: Testbed, times: int) -> Tally:
    """One kind as a fault of the soak: detected is whatever is answered rightly."""
    counts = fuzz(kind, times)
    return Tally(
        counts.tried,
        max(0, counts.tried - counts.faults),
        trouble=counts.notes,
        measured=f"{counts.accepted:,} accepted, {counts.refused:,} refused in a line, "
        f"{counts.traceback} tracebacks, {counts.slow} above {SLOW_S:g} s, "
        f"{counts.big} above {BIG_MB:g} MB",
    )


class _Workers:
    """One process that tries inputs, and its successor after a crash or a hang."""

    def __init__(self, kind: str, seed: int, folder: Path) -> None:
        self._kind, self._seed, self._folder = kind, seed, folder
        # Not fork: the parent may hold threads of jax, and their locks.
        self._context = multiprocessing.get_context("spawn")
        self._process: Any = None

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
            self._process = None

    def _begin(self) -> None:
        self._pipe, theirs = self._context.Pipe()
        arguments = (self._kind, self._seed, self._folder, theirs)
        self._process = self._context.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        theirs.close()
        self._pipe.recv()  # it has imported what it needs

    def answer(self, index: int) -> _Answer:
        if self._process is None:
            self._begin()
        clock = _Clock(self._process.pid)
        self._pipe.send(index)
        try:
            while clock.seconds < _HANG_S:
                if self._pipe.poll(min(1, _HANG_S)):
                    return self._pipe.recv()
            note = "hangs"
        except (EOFError, ConnectionError):
            self._process.join()
            note = f"the process died ({self._process.exitcode})"
        self._end()
        return _Answer("traceback", clock.seconds, 0.0, note)


def _work(
    kind: str, seed: int, folder: Path, pipe: multiprocessing.connection.Connection
) -> None:
    """Tries inputs by index until the pipe closes."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)  # decoders written in C complain there
    row = KINDS[kind]
    with contextlib.suppress(Exception):  # imports and first calls are not timed
        _try(row, folder / "first", random.Random(0))
    pipe.send(None)
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            index = pipe.recv()
            place = folder / str(index)
            pipe.send(_try(row, place, random.Random(f"{kind}/{seed}/{index}")))


def _try(row: Kind, place: Path, generator: random.Random) -> _Answer:
    place.mkdir()
    try:
        try:
            made = row.make(place, generator)
        except Exception as error:
            note = f"cannot be made: {type(error).__name__}: {error}"
            return _Answer("traceback", 0.0, 0.0, note)
        with _watched() as watch:
            word, note = _asked(row, made)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return _Answer(word, watch["seconds"], watch["megabytes"], note)


def _asked(row: Kind, made: Any) -> tuple[str, str]:
    try:
        row.read(made)
    except UserError as error:
        text = str(error)
        good = len(text.splitlines()) == 1 and len(text) <= _LONGEST_LINE
        good = good and text.isprintable()
        return ("refused" if good else "traceback"), f"said {text[:300]!r}"
    except Exception as error:
        return "traceback", f"{type(error).__name__}: {str(error)[:300]!r}"
    return "accepted", ""


@contextlib.contextmanager
def _watched() -> Iterator[dict[str, float]]:
    """Seconds, and megabytes that the process grew by at most."""
    watch: dict[str, float] = {}
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, clock = _peak(), _Clock(os.getpid())
    try:
        yield watch
    finally:
        watch["seconds"] = clock.seconds
        watch["megabytes"] = _peak() - before


class _Clock:
    """Seconds since it was made, but for those in which a process waited for a core."""

    def __init__(self, process: int) -> None:
        self._process, self._waited = process, 0.0
        self._began = self._now()

    @property
    def seconds(self) -> float:
        return self._now() - self._began

    def _now(self) -> float:
        with contextlib.suppress(OSError, IndexError):  # not every system says
            line = Path(f"/proc/{self._process}/schedstat").read_text()
            self._waited = int(line.split()[1]) / 1e9
        return time.monotonic() - self._waited


def _peak() -> float:
    """The most megabytes that the process held; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0
