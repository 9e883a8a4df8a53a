"""Two sides of a comparison, measured alternating in one run."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lossjax.suite.shipped import ROOT

# What makes PyTorch's allocator keep its pages: 1.2 to 1.7 times faster here.
TUNED = {
    "MALLOC_MMAP_THRESHOLD_": str(4 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(4 << 30),
    "MALLOC_TOP_PAD_": str(256 << 20),
}


class Side:
    """One or more processes that take steps together when they are told to."""

    def __init__(
        self, module: str, calls: Sequence[Sequence[str]], environment: Mapping = {}
    ) -> None:
        self._workers = [
            subprocess.Popen(
                _command(module, call),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
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
            worker.stdin.close()
            worker.wait()
            worker.stdout.close()

    def __enter__(self) -> "Side":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _answers(self) -> list[dict[str, Any]]:
        lines = []
        for worker in self._workers:
            assert worker.stdout is not None
            lines.append(worker.stdout.readline())
        if not all(lines):
            raise RuntimeError(f"a side of the pair ended: {self._workers[0].args!r}")
        return [json.loads(line) for line in lines]


def timed(
    module: str, arguments: Sequence[str], environment: Mapping[str, str] = {}
) -> tuple[float, dict[str, Any]]:
    """Seconds of a whole process of the bench, and the JSON line it ends with.

    Raises:
      RuntimeError: it failed; with the end of what it said.
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
        raise RuntimeError(f"{module} failed: {done.stderr.strip()[-500:]}")
    return time.monotonic() - began, json.loads(done.stdout.splitlines()[-1])


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
