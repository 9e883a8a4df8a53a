"""Hostile inputs: the counts are right, and the data layer answers every one."""

import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lossjax.suite.cli.errors import DataError
from lossjax.suite.soak import fuzz as fuzz_module
from lossjax.suite.soak import mutations
from lossjax.suite.soak.fuzz import KINDS, Kind, _Clock, fuzz

MENDED = ("decoded", "results")  # made again, or named beside the others


# Many of every kind are tried by the quick soak, in processes of their own.
@pytest.mark.filterwarnings("ignore")  # of decoders
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "config"])
def test_some_inputs_of_every_kind_are_answered(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOSSJAX_CACHE", "TFDS_DATA_DIR"):  # which some of them set
        monkeypatch.setenv(name, str(tmp_path))
    words: set[str] = set()
    # A generator whose inputs are all alike tries nothing.
    wanted = {"accepted"} if kind in MENDED else {"accepted", "refused"}
    for index in range(500):
        if index >= 20 and words >= wanted:
            break
        chance = random.Random(f"{kind}/0/{index}")
        answer = fuzz_module._try(KINDS[kind], tmp_path / str(index), chance)
        assert answer.word != "traceback", f"{kind} 0/{index}: {answer.note}"
        words.add(answer.word)
    assert words >= wanted


def test_some_configs_are_answered() -> None:
    """In a process of their own: they run."""
    counts = fuzz("config", 40)
    assert counts.tried == 40 and not counts.faults, "\n".join(counts.notes)
    assert counts.accepted and counts.refused


def test_an_input_depends_on_its_number_alone() -> None:
    content = b'{"a": [1, {"b": "x"}], "c": {"d": []}}'
    before = repr(mutations.WILD)
    first = mutations.bent_json(content, random.Random(7))
    for seed in range(300):
        mutations.bent_json(content, random.Random(seed))
    assert mutations.bent_json(content, random.Random(7)) == first
    assert repr(mutations.WILD) == before


busy: list[bool] = []


def act(made: int) -> None:
    """One behaviour for each number."""
    if made == 1:
        raise DataError("no such thing")
    if made == 2:
        raise KeyError("skipped")
    if made == 3:
        os._exit(3)
    if made == 4:
        time.sleep(1.5)  # of which waiting for a core does not count
    if made == 5:
        bytearray(os.urandom(2**20)) * 64
    if made == 6:
        error = DataError("")
        error.args = ("x" * 5_000,)  # past what shortens every message
        raise error
    if made == 7:
        time.sleep(60)
    if made == 8 and not busy:  # with other things, the first time only
        busy.append(True)
        time.sleep(0.5)


def numbered(folder: Path, generator: random.Random) -> int:
    assert not list(folder.iterdir())
    return int(folder.name) if folder.name.isdigit() else 0


@pytest.mark.filterwarnings("ignore:os.fork")  # the child computes nothing with jax
def test_every_way_to_fail_is_counted(monkeypatch) -> None:
    monkeypatch.setattr(fuzz_module, "KINDS", {"acts": Kind("acts", numbered, act)})
    monkeypatch.setattr(fuzz_module, "SLOW_S", 0.3)
    monkeypatch.setattr(fuzz_module, "BIG_MB", 40.0)
    monkeypatch.setattr(fuzz_module, "_HANG_S", 3.0)
    # A fresh process would not know the table above: fork instead.
    forked = fuzz_module.multiprocessing.get_context("fork")
    monkeypatch.setattr(
        fuzz_module.multiprocessing, "get_context", lambda method: forked
    )
    counts = fuzz("acts", 9)
    assert (counts.accepted, counts.refused) == (4, 1)  # 0, 4, 5 and 8; 1
    assert counts.traceback == 4 and counts.slow == 2 and counts.big == 1
    notes = "\n".join(counts.notes)
    for words in ("KeyError", "the process died (3)", "hangs"):
        assert words in notes
    slow = re.search(r"acts 0/4: (\d\.\d) s,", notes)
    assert slow is not None and 0.3 < float(slow[1]) <= 1.8, notes


def test_a_busy_machine_is_no_slow_answer() -> None:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    spin = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(spin) for _ in range(3)]
    try:
        clock, began = _Clock(os.getpid()), time.monotonic()
        while time.monotonic() < began + 0.8:
            pass
        assert clock.seconds < 0.6
    finally:
        for other in others:
            other.kill()
            other.wait()
        os.sched_setaffinity(0, cores)
    clock = _Clock(os.getpid())
    time.sleep(0.1)
    assert clock.seconds >= 0.09
