"""Where faults are injected, and how it is counted what came of them.

A fault is detected when the program says so in one line and ends with the exit code
of the case, or names the file; a result is lost when, after a rerun, the tables differ
from those of an undisturbed sweep, or a finished run was trained again.
"""

import copy
import ctypes
import dataclasses
import platform
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.shipped import ROOT
from lossjax.suite.soak.victim import read as log_of
from lossjax.suite.store import results

GRID: Mapping[str, str] = types.MappingProxyType(
    {
        "losses": "bce,mse,power(g=0.25),power(g=0.75)",
        "learning_rates": "1e-2,5e-2,25e-2",
        "seeds": "0,1,2,3",  # 48 runs in all
        "train_steps": "60",
        "curve_points": "3",
        "width": "4,8",
        "latent_dim": "4",
    }
)
# 8 runs: what a process costs before it trains is most of a quick soak.
QUICK = {
    "models": "mlp_ae",  # which compiles faster
    "losses": "bce,mse",
    "learning_rates": "1e-2,25e-2",
    "seeds": "0,1",
}


@dataclasses.dataclass
class Tally:
    """Counts of one fault.

    `trouble` says in words what was not as it should be, `measured` what else was seen.
    """

    injected: int = 0
    detected: int = 0
    lost: int = 0
    seconds: float = 0.0  # mean time to recover
    trouble: list[str] = dataclasses.field(default_factory=list)
    measured: str = ""

    def add(self, detected: bool, lost: bool, seconds: float, note: str) -> None:
        self.seconds = (self.seconds * self.injected + seconds) / (self.injected + 1)
        self.injected += 1
        self.detected += detected
        self.lost += lost
        if lost or not detected:
            self.trouble.append(f"detected {detected}, lost {lost}: {note}")


class Testbed:
    """A folder for sweeps, and the tables they must all end with."""

    def __init__(
        self, folder: Path, environment: Mapping[str, str], quick: bool = False
    ) -> None:
        self._folder = folder
        self.environment = dict(environment) | {"PYTHONPATH": str(ROOT)}
        self.quick = quick
        self.grid = {**GRID, **(QUICK if quick else {})}
        self._count = 0
        self.random = random.Random(0)
        self.whole = folder / "whole"
        self.seconds = 0.0  # of an undisturbed sweep, programs already compiled
        self.renames = 0  # of files and folders that it puts in their place

    def undisturbed(self) -> None:
        """Run the sweep that all others are compared with; once more to time it."""
        log = self._folder / "whole.log"
        for out in (self.whole, self.fresh()):
            log.unlink(missing_ok=True)
            began = time.monotonic()
            process = self.start(out, victim=(str(log), "never", "0"))
            _, stderr = process.communicate()
            if process.returncode:
                words = f"the undisturbed sweep failed: {last_line(stderr)}"
                if process.returncode == Exit.USAGE:  # of the shell, say XLA_FLAGS
                    raise UserError(words)
                raise ChildProcessError(words)
            self.seconds = time.monotonic() - began
        self.renames = sum("renamed" in line for line in log_of(log))

    def part(self, name: str) -> "Testbed":
        """The same, with a folder and chances of its own, for one fault."""
        bed = copy.copy(self)
        bed._folder = self._folder / name
        bed._folder.mkdir()
        bed.random = random.Random(name)
        return bed

    def fresh(self) -> Path:
        self._count += 1
        return self._folder / f"out{self._count}"

    def copy(self) -> Path:
        out = self.fresh()
        shutil.copytree(self.whole, out)
        return out

    def start(
        self,
        out: Path,
        *more: str,
        before: Callable[[], Any] | None = None,
        victim: tuple[str, ...] = (),
    ) -> subprocess.Popen[str]:
        """A sweep of the grid; `victim` are the first arguments of soak.victim."""
        usual = ("lossjax.suite.cli", "sweep")
        program = ("lossjax.suite.soak.victim", *victim) if victim else usual
        fields = (f"--config.{name}={value}" for name, value in self.grid.items())
        grid = ("--config=configs/digits.py", *fields, "--platform=cpu")
        return subprocess.Popen(
            [sys.executable, "-m", *program, *grid, f"--out={out}", *more],
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
        return subprocess.CompletedProcess((), process.returncode, stdout, stderr)

    def verb(self, name: str, out: Path) -> subprocess.CompletedProcess[str]:
        """Another verb on a directory of results."""
        return subprocess.run(
            [sys.executable, "-m", "lossjax.suite.cli", name, f"--out={out}"],
            capture_output=True,
            text=True,
            env=self.environment,
        )

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
        return file.parent.name in results.load(file.parent.parent.parent).results
    except OSError:
        return False


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else ""


def one_line(ended: subprocess.CompletedProcess[str], code: Exit) -> bool:
    return ended.returncode == code and len(ended.stderr.strip().splitlines()) == 1


def without_network() -> None:
    """In the program that is started, whoever makes an internet socket dies of it.

    A seccomp filter (Linux): it also sees what compiled code does.
    """
    system_calls = {"x86_64": (0xC000003E, 41), "aarch64": (0xC00000B7, 198)}
    machine, socket_call = system_calls[platform.machine()]
    load, equal, answer = 0x20, 0x15, 0x06  # BPF: word at, jump if equal, return
    allow, kill = 0x7FFF0000, 0x80000000
    steps = (
        (load, 0, 0, 4),  # the machine
        (equal, 0, 5, machine),
        (load, 0, 0, 0),  # the system call
        (equal, 0, 3, socket_call),
        (load, 0, 0, 16),  # its first argument, the family
        (equal, 2, 0, socket.AF_INET),
        (equal, 1, 0, socket.AF_INET6),
        (answer, 0, 0, allow),
        (answer, 0, 0, kill),
    )
    program = b"".join(struct.pack("HBBI", *step) for step in steps)
    held = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(held))
    libc = ctypes.CDLL(None, use_errno=True)
    pr_set_seccomp, seccomp_mode_filter, pr_set_no_new_privs = 22, 2, 38
    libc.prctl(pr_set_no_new_privs, 1, 0, 0, 0)
    if libc.prctl(pr_set_seccomp, seccomp_mode_filter, header, 0, 0):
        raise OSError(ctypes.get_errno(), "no seccomp filter on this system")


def without_override() -> None:
    """Even root obeys a file's mode in the program that is started."""
    pr_capbset_drop, cap_dac_override = 24, 1
    ctypes.CDLL(None).prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0)
