"""A sweep that is watched from inside, and may kill itself while it publishes a file.

`python -m lossjax.suite.soak.victim LOG MOMENT COUNT SWEEP-ARGUMENT ...` runs a sweep
and appends one JSON line to LOG for each chunk that is begun, each result that is
stored and each file or folder that is put in its place. At the COUNT-th of those the
process kills itself: half of the file written ("torn"), all of it but under its
temporary name ("written"), or right after ("renamed"). "never" only watches.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lossjax.suite.cli.errors import UserError
from lossjax.suite.cli.signals import run
from lossjax.suite.store import results
from lossjax.suite.sweep import __main__ as sweep
from lossjax.suite.sweep import worker

MOMENTS = ("torn", "written", "renamed")


def main(arguments: list[str]) -> int:
    if len(arguments) < 3 or not arguments[2].isdecimal():
        raise UserError("victim: expected LOG MOMENT COUNT SWEEP-ARGUMENT ...")
    log, moment, count, *rest = arguments
    _watch(Path(log))
    if moment != "never":
        _kill_at(moment, int(count))
    return sweep.main(rest)


def _watch(log: Path) -> None:
    """Chunks begun, renames, and memory and open files whenever a result is stored."""
    train, write, replace = worker.Worker.train, results.write_result, os.replace

    def note(**facts: float) -> None:
        with open(log, "a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")

    def watched(
        self: worker.Worker, runs: Sequence[results.Run], tick: Any
    ) -> Iterator[results.Result]:
        note(begun=len(runs))
        return train(self, runs, tick)

    def written(out: Path, result: results.Result) -> None:
        write(out, result)
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        note(megabytes=megabytes, files=len(os.listdir("/proc/self/fd")))

    def renamed(source: Path, place: Path) -> None:
        replace(source, place)
        note(renamed=1)

    os.replace = renamed  # type: ignore[assignment]
    worker.Worker.train = watched  # type: ignore[method-assign]
    results.write_result = written


def _kill_at(moment: str, count: int) -> None:
    """SIGKILL around the count-th rename."""
    replace, renames = os.replace, iter(range(1, count + 1))

    def last(source: Path, place: Path) -> None:
        if next(renames, count) < count:
            return replace(source, place)
        if moment == "torn" and os.path.isfile(source):
            os.truncate(source, os.path.getsize(source) // 2)
        if moment == "renamed":
            replace(source, place)
        os.kill(os.getpid(), signal.SIGKILL)

    os.replace = last  # type: ignore[assignment]


def read(log: Path) -> list[dict[str, float]]:
    """The lines of a log; the last one may be torn."""
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


if __name__ == "__main__":
    run(main, sys.argv[1:])
