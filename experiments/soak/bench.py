"""Where faults are injected, and how it is counted what came of them.

A fault is detected when the program says so in one line and ends with the exit code
of the case, or names the file; a result is lost when, after a rerun, the tables differ
from those of an undisturbed sweep, or a finished run was trained again.
"""

import ctypes
import dataclasses
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from experiments import store
from experiments.commandline import ROOT, Exit

GRID = (
    "--config=configs/digits.py",
    "--config.losses=bce,mse",
    "--config.learning_rates=1e-3,1e-2,1e-1",
    "--config.tuning_seeds=100,101",
    "--config.seeds=0,1,2,3,4,5,6,7",
    "--config.train_steps=60",
    "--config.curve_points=3",
    "--config.width=4,8",
    "--config.latent_dim=4",
    "--platform=cpu",
)


@dataclasses.dataclass
class Outcome:
    """Counts of one fault; `trouble` says in words what was not as it should be."""

    injected: int = 0
    detected: int = 0
    lost: int = 0
    seconds: float = 0.0  # mean time to recover
    trouble: list[str] = dataclasses.field(default_factory=list)

    def add(self, detected: bool, lost: bool, seconds: float, note: str) -> None:
        self.seconds = (self.seconds * self.injected + seconds) / (self.injected + 1)
        self.injected += 1
        self.detected += detected
        self.lost += lost
        if lost or not detected:
            self.trouble.append(f"detected {detected}, lost {lost}: {note}")


class Bench:
    """A folder for sweeps, and the tables they must all end with."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self.environment = dict(environment) | {"PYTHONPATH": str(ROOT)}
        self._count = 0
        self.random = random.Random(0)
        self.whole = folder / "whole"
        self.seconds = 0.0  # of an undisturbed sweep, programs already compiled

    def undisturbed(self) -> None:
        """Run the sweep that all others are compared with; once more to time it."""
        for out in (self.whole, self.fresh()):
            began = time.monotonic()
            ended = self.sweep(out)
            if ended.returncode:
                raise RuntimeError(f"the undisturbed sweep failed: {ended.stderr}")
            self.seconds = time.monotonic() - began

    def fresh(self) -> Path:
        self._count += 1
        return self._folder / f"out{self._count}"

    def copy(self) -> Path:
        out = self.fresh()
        shutil.copytree(self.whole, out)
        return out

    def start(
        self, out: Path, *more: str, before: Callable[[], Any] | None = None
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "experiments.sweep", *GRID, f"--out={out}", *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment,
            preexec_fn=before,
        )

    def sweep(
        self, out: Path, *more: str, before: Callable[[], Any] | None = None
    ) -> subprocess.CompletedProcess[str]:
        process = self.start(out, *more, before=before)
        stdout, stderr = process.communicate()
        return subprocess.CompletedProcess(GRID, process.returncode, stdout, stderr)

    def recover(self, out: Path) -> tuple[bool, float, str]:
        """Run the sweep again: whether anything was lost, seconds, what it said."""
        held = {f: f.stat().st_mtime_ns for f in out.glob("runs/*/result.json")}
        held = {f: t for f, t in held.items() if _good(f)}
        began = time.monotonic()
        ended = self.sweep(out)
        seconds = time.monotonic() - began
        again = [f for f, stamp in held.items() if f.stat().st_mtime_ns != stamp]
        lost = ended.returncode != 0 or bool(again) or self.differs(out)
        return lost, seconds, f"{len(again)} trained again; {last_line(ended.stderr)}"

    def differs(self, out: Path) -> bool:
        """Whether a report's tables are not those of the undisturbed sweep."""
        return files(out / "report" / "tables") != files(self.whole / "report/tables")


def files(folder: Path) -> dict[str, bytes]:
    """Name -> content of every file of a folder."""
    return {f.name: f.read_bytes() for f in sorted(folder.glob("*"))}


def _good(file: Path) -> bool:
    try:
        return file.parent.name in store.load(file.parent.parent.parent).results
    except OSError:
        return False


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def one_line(ended: subprocess.CompletedProcess[str], code: Exit) -> bool:
    return ended.returncode == code and len(ended.stderr.strip().splitlines()) == 1


def without_override() -> None:
    """Even root obeys a file's mode in the program that is started."""
    pr_capbset_drop, cap_dac_override = 24, 1
    ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0)
