"""Where a sweep stores its results: a directory, or a prefix of an object store."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from lossjax.suite.store import places, results
from lossjax.suite.store.packs import RESULTS, Packs
from lossjax.suite.store.results import Result, Run, Stored
from lossjax.suite.store.sealing import sealed
from lossjax.suite.store.untrusted import UntrustedError

# How long what others store meanwhile is not asked for: each time costs a request for a
# thousand packs, and shards have no runs in common.
_ASK_SECONDS = 60.0
_WRITERS = 8  # results on their way to a disk at once: each mostly waits for it
Write = Callable[[Result], None]


class Destination(Protocol):
    """What a sweep asks of the place of its results.

    Attributes:
      in_background: results may be stored while others are asked for.
    """

    in_background: bool

    def stored(self) -> Stored:
        """The good results that are there, and what is damaged."""

    def news(self, runs: Iterable[Run]) -> dict[str, Result]:
        """Good results that others have stored meanwhile, of these runs at least."""

    def forget(self, damaged: Iterable[str]) -> None:
        """Remove what nothing takes the place of when its runs are trained anew."""

    def writer(self) -> contextlib.AbstractContextManager[Write]:
        """What stores results one by one; all are there when it is left."""


def of(out: Path, runs: Iterable[Run]) -> Destination:
    """That of a sweep of which these runs are to be trained here."""
    return PackedDestination(out, runs) if places.is_remote(out) else Directory(out)


class Directory:
    """A file for each run, published as soon as it is known."""

    in_background = True

    def __init__(self, out: Path) -> None:
        self._out = out

    def stored(self) -> Stored:
        held = results.load(self._out)
        good = {k: r for k, r in held.results.items() if r.status != "failed"}
        return Stored(good, held.damaged)

    def news(self, runs: Iterable[Run]) -> dict[str, Result]:
        return results.find(self._out, runs)

    def forget(self, damaged: Iterable[str]) -> None:
        pass

    @contextlib.contextmanager
    def writer(self) -> Iterator[Write]:
        begun: list[Future[None]] = []
        with ThreadPoolExecutor(_WRITERS, thread_name_prefix="store") as pool:
            yield lambda result: begun.append(
                pool.submit(results.write_result, self._out, result)
            )
        for future in begun:
            future.result()


class PackedDestination:
    """Packs, of which those of other shards are not read."""

    in_background = False

    def __init__(self, out: Path, runs: Iterable[Run]) -> None:
        self._packs = Packs(out, RESULTS)
        self._runs = {run.run_id: run for run in runs}
        self._asked = -_ASK_SECONDS

    def stored(self) -> Stored:
        return self._read(self._runs.values())

    def news(self, runs: Iterable[Run]) -> dict[str, Result]:
        if time.monotonic() - self._asked < _ASK_SECONDS:
            return {}
        return dict(self._read(runs).results)

    def forget(self, damaged: Iterable[str]) -> None:
        for path in damaged:
            self._packs.remove(path.removeprefix(f"{RESULTS}/"))

    def _read(self, runs: Iterable[Run]) -> Stored:
        """What is new in packs that may be of these runs, of any runs of ours."""
        self._asked = time.monotonic()
        found: dict[str, Result] = {}
        damaged: dict[str, str] = {}
        for name, held in self._packs.new(runs):
            if isinstance(held, UntrustedError):
                damaged[f"{RESULTS}/{name}"] = held.reason
                continue
            for run_id in held.keys() & self._runs.keys():
                path = Path("runs", run_id, results.FILE)
                # What is wrong in a sound pack is trained anew; the newest pack counts.
                with contextlib.suppress(ValueError):
                    found[run_id] = results.parse(path, held[run_id])
        good = {k: r for k, r in found.items() if r.status != "failed"}
        return Stored(good, damaged)

    @contextlib.contextmanager
    def writer(self) -> Iterator[Write]:
        made: list[Result] = []
        try:
            yield made.append
        finally:  # what was finished before an interruption, too
            files = ((one.run, sealed(one.to_json()).encode()) for one in made)
            self._packs.put(files, results.FILE)
