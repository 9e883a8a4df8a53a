"""Faults of the surroundings: no room, read-only, gone; no network."""

import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lossjax.suite.cli.errors import Exit
from lossjax.suite.soak.testbed import (
    Tally,
    Testbed,
    last_line,
    one_line,
    without_network,
    without_override,
)

_TRIES = 5


def _stored(out: Path) -> int:
    return len(list(out.glob("runs/*/result.json")))


def _refused(
    bench: Testbed,
    times: int,
    before: Callable[[], Any] | None = None,
    break_it: Callable[[Path], Callable[[], Any]] | None = None,
) -> Tally:
    """A sweep that cannot write: one line, exit code 1, whole after a rerun.

    Where it had stored all its runs before it was disturbed, another one is.
    """
    outcome = Tally()
    for _ in range(_TRIES * times):
        if outcome.injected == times:
            break
        out = bench.fresh()
        process = bench.start(out, before=before)
        mend = None
        if break_it is not None:
            while process.poll() is None and not _stored(out):
                time.sleep(0.01)
            mend = break_it(out)
        stdout, stderr = process.communicate()
        if mend is not None:
            mend()
            if process.returncode == Exit.DONE and _stored(out) == _stored(bench.whole):
                continue
        ended = subprocess.CompletedProcess((), process.returncode, stdout, stderr)
        lost, seconds, note = bench.recover(out)
        said = one_line(ended, Exit.FAILED)
        outcome.add(
            said, lost, seconds, f"{ended.returncode} {last_line(stderr)}; {note}"
        )
    return outcome


def full(bench: Testbed, times: int) -> Tally:
    """No room: files may not grow beyond what a result, or what a report, takes."""
    outcome = Tally()
    for index in range(times):
        limit = (1_000, 20_000)[index % 2]

        def limited(limit: int = limit) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        one = _refused(bench, 1, limited)
        outcome.add(bool(one.detected), bool(one.lost), one.seconds, str(one.trouble))
    return outcome


def read_only(bench: Testbed, times: int) -> Tally:
    """The directory of runs turns read-only in the middle."""

    def lock(out: Path) -> Callable[[], Any]:
        (out / "runs").chmod(0o555)
        return lambda: (out / "runs").chmod(0o755)

    return _refused(bench, times, without_override, lock)


def vanished(bench: Testbed, times: int) -> Tally:
    """The directory of results is moved away in the middle, and back later."""

    def move(out: Path) -> Callable[[], Any]:
        away = out.with_name(out.name + "-away")
        out.rename(away)

        def back() -> None:
            shutil.rmtree(out, ignore_errors=True)
            away.rename(out)

        return back

    return _refused(bench, times, None, move)


def offline(bench: Testbed, times: int) -> Tally:
    """A sweep in which whoever makes an internet socket is killed on the spot."""
    outcome = Tally()
    probe = "import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM)"
    for _ in range(times):
        tried = subprocess.run(
            [sys.executable, "-c", probe], preexec_fn=without_network
        ).returncode
        out = bench.fresh()
        began = time.monotonic()
        ended = bench.sweep(out, before=without_network)
        lost = ended.returncode != 0 or bench.differs(out)
        note = f"probe {tried}, sweep {ended.returncode} {last_line(ended.stderr)}"
        bites = tried == -signal.SIGSYS
        outcome.add(bites, lost, time.monotonic() - began, note)
    return outcome
