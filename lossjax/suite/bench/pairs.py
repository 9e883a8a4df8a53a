"""Two sides of a comparison, measured alternating in one run."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np

from lossjax.suite.cli.errors import Exit, Interrupted, SelfTestFailed, UserError
from lossjax.suite.shipped import ROOT

_ERRORS = {
    Exit.USAGE: UserError,
    Exit.SELF_TEST: SelfTestFailed,
    Exit.INTERRUPTED: Interrupted,
}

# run.sh has the processes of this verb keep memory, in large pages. What is started as
# people do who know of neither has none of it; the twin at its best has more.
INSTALLED = {"GLIBC_TUNABLES": ""}
TUNED = {
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"
    f":glibc.malloc.mmap_threshold={4 << 30}"
    f":glibc.malloc.trim_threshold={4 << 30}"
    f":glibc.malloc.top_pad={256 << 20}"
}


class Side:
    """One or more processes that take steps together when they are told to.

    Raises, when made or asked, the error that one of them ended with.
    """

    def __init__(
        self, module: str, calls: Sequence[Sequence[str]], environment: Mapping = {}
    ) -> None:
        self._name = module
        self._said: IO[str] = tempfile.TemporaryFile("w+")  # by all of them
        self._workers = [
            subprocess.Popen(
                _command(module, call),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                text=True,
                cwd=ROOT,
                env=_environment(environment),
            )
            for call in calls
        ]
        try:
            self.facts = self._answers()[0]
        except BaseException:
            self.close()
            raise
        self.peak = 0

    def ask(self, request: str) -> dict[str, Any]:
        """The answer of the first process to a request to all of them."""
        for worker in self._workers:
            assert worker.stdin is not None
            with contextlib.suppress(BrokenPipeError):  # its answer says why
                worker.stdin.write(request + "\n")
                worker.stdin.flush()
        answers = self._answers()
        if "seconds" in answers[0]:
            answers[0]["seconds"] = max(answer["seconds"] for answer in answers)
            self.peak = max(self.peak, sum(answer["peak"] for answer in answers))
        return answers[0]

    def seconds(self, steps: int, loss: str = "") -> float:
        """How long a number of steps takes all processes."""
        return self.ask(f"{loss} {steps}".strip())["seconds"]

    def close(self) -> None:
        for worker in self._workers:
            assert worker.stdin is not None and worker.stdout is not None
            with contextlib.suppress(BrokenPipeError):
                worker.stdin.close()
            worker.wait()
            worker.stdout.close()
        self._said.close()

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answers(self) -> list[dict[str, Any]]:
        lines = []
        for worker in self._workers:
            assert worker.stdout is not None
            lines.append(worker.stdout.readline())
            if not lines[-1]:
                code = worker.wait()
                self._said.seek(0)
                raise _error(self._name, code, self._said.read())
        return [json.loads(line) for line in lines]


def timed(
    module: str, arguments: Sequence[str], environment: Mapping[str, str] = {}
) -> tuple[float, dict[str, Any]]:
    """Seconds of a whole process of the bench, and the JSON line it ends with.

    Raises:
      UserError, SelfTestFailed, Interrupted: as it did; its own line.
      ChildProcessError: it failed otherwise; with the last line of what it said.
    """
    began = time.monotonic()
    done = subprocess.run(
        _command(module, arguments),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=_environment(environment),
    )
    if done.returncode:
        raise _error(module, done.returncode, done.stderr)
    return time.monotonic() - began, json.loads(done.stdout.splitlines()[-1])


def _error(module: str, code: int, said: str) -> Exception:
    line = (said.strip().splitlines() or [""])[-1].removeprefix("lossjax: ")
    if code in _ERRORS:
        return _ERRORS[Exit(code)](line)
    return ChildProcessError(f"bench.{module} ended with {code}: {line[:500]}")


def _command(module: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", f"lossjax.suite.bench.{module}", *arguments]


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)} | dict(more)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, least and largest of some measurements, JSON-ready."""
    return {
        "median": float(np.median(values)),
        "low": float(min(values)),
        "high": float(max(values)),
    }
