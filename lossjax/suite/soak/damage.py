"""Faults of files: results, saved states, compiled programs; other surroundings."""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from lossjax.suite.cli.errors import Exit
from lossjax.suite.soak.testbed import (
    Tally,
    Testbed,
    files,
    last_line,
    without_override,
)
from lossjax.suite.soak.victim import read
from lossjax.suite.store import checkpoint
from lossjax.suite.store import results as store


def _damage(bench: Testbed, times: int, harm: Callable[[bytes], bytes]) -> Tally:
    """Harm one result after the other; then one sweep must mend them all."""
    outcome, out = Tally(), bench.copy()
    results = _results(out)
    for _ in range(times):
        victim = bench.random.choice(results)
        whole = victim.read_bytes()
        victim.write_bytes(harm(whole))
        named = str(victim.relative_to(out)) in store.load(out).damaged
        outcome.add(named, False, 0.0, f"{victim.name} not named")
        victim.write_bytes(whole)
    for victim in results[::5]:
        victim.write_bytes(harm(victim.read_bytes()))
    lost, outcome.seconds, note = bench.recover(out)
    outcome.lost += lost
    outcome.trouble += [note] if lost else []
    return outcome


def _flip(bench: Testbed) -> Callable[[bytes], bytes]:
    def flip(content: bytes) -> bytes:
        place = bench.random.randrange(len(content) * 8)
        bad = bytearray(content)
        bad[place // 8] ^= 1 << (place % 8)
        return bytes(bad)

    return flip


def flipped(bench: Testbed, times: int) -> Tally:
    """One bit of a stored result."""
    return _damage(bench, times, _flip(bench))


def cut(bench: Testbed, times: int) -> Tally:
    """A stored result that ends too early."""
    return _damage(bench, times, lambda c: c[: bench.random.randrange(len(c))])


def stranger(bench: Testbed, times: int) -> Tally:
    """A result of another NUMERICS, of another run, of another schema; a foreign file
    and a foreign folder: `verify` names each, a sweep goes on beside it.
    """
    outcome = Tally()
    for index in range(times):
        out = bench.copy()
        named = _estrange(out, bench.random.choice(_results(out)), index % 5)
        began = time.monotonic()
        verified = bench.verb("verify", out)
        found = verified.returncode == Exit.FAILED and named in verified.stdout
        ended = bench.sweep(out)
        lost = ended.returncode != 0 or bench.differs(out)
        note = f"{named}: verify {verified.returncode} {verified.stdout}"
        outcome.add(found, lost, time.monotonic() - began, note)
    return outcome


def _estrange(out: Path, victim: Path, kind: int) -> str:
    """Put one strange thing among the results; what it must be called by."""
    whole = store.load(out).results[victim.parent.name]
    runs = out / "runs"
    if kind == 0:
        other = dict(whole.run.fixed) | {"numerics": 0}
        run = dataclasses.replace(whole.run, fixed=other)
        store.write_result(out, dataclasses.replace(whole, run=run))
        return run.run_id
    if kind == 1:
        twin = next(file for file in _results(out) if file != victim)
        victim.write_bytes(twin.read_bytes())
    elif kind == 2:
        victim.write_text(victim.read_text().replace('"schema": 2', '"schema": 99'))
    elif kind == 3:
        (runs / "notes.txt").write_text("mine")
        return "notes.txt"
    else:
        shutil.copytree(victim.parent, runs / "backup")
        return "backup"
    return victim.parent.name


def _results(out: Path) -> list[Path]:
    return sorted(out.glob("runs/*/result.json"))


def wild(bench: Testbed, times: int) -> Tally:
    """A learning rate of 1e6 beside the others: diverged, with its step, in the rows
    and the table of rates; every other row as it was, to the last bit.
    """
    outcome = Tally()
    for _ in range(times):
        out = bench.fresh()
        began = time.monotonic()
        rates = f"{bench.grid['learning_rates']},1e6"
        bench.sweep(out, f"--config.learning_rates={rates}")
        calm, rows = (
            (place / "report" / "rows.csv").read_text().splitlines()
            for place in (bench.whole, out)
        )
        more = [row for row in rows if row not in calm]
        shown = (out / "report" / "tables" / "rates.csv").read_text()
        seen = bool(more) and all(
            re.search(r",1000000.0,\d+,False,diverged,\d+,", row) for row in more
        )
        lost = any(row not in rows for row in calm)
        note = f"{len(more)} more rows; {more[:1]}"
        seen = seen and "diverged" in shown
        outcome.add(seen, lost, time.monotonic() - began, note)
        outcome.measured = f"{len(more)} runs diverged, {len(calm) - 1} unchanged"
    return outcome


def _states(bench: Testbed) -> tuple[Path, list[Path]]:
    """A sweep stopped in the middle of a chunk, and its saved states."""
    for patience in range(1, 20):
        out = bench.fresh()
        log = out.with_suffix(".log")
        victim = (str(log), "never", "0")
        process = bench.start(out, "--config.train_steps=3000", victim=victim)
        while process.poll() is None and not any("begun" in x for x in read(log)):
            time.sleep(0.01)
        time.sleep(0.2 * patience)
        process.terminate()
        process.communicate()
        if states := sorted(out.glob("runs/*/state.npz")):
            return out, states
    raise RuntimeError("no sweep could be stopped in the middle of a run")


def flipped_state(bench: Testbed, times: int) -> Tally:
    """One bit of a saved state, and states that end too early."""
    outcome, (_, states) = Tally(), _states(bench)
    harms = (_flip(bench), lambda c: c[: bench.random.randrange(len(c))])
    for index in range(times):
        victim = bench.random.choice(states)
        whole = victim.read_bytes()
        victim.write_bytes(harms[index % 5 == 4](whole))
        try:
            checkpoint.parse(victim.read_bytes(), victim)
            named = False
        except ValueError as error:
            named = str(victim) in str(error)
        outcome.add(named, False, 0.0, f"{victim} not named")
        victim.write_bytes(whole)
    return outcome


def spoiled_cache(bench: Testbed, times: int) -> Tally:
    """Compiled programs in the cache are cut, or are garbage, or cannot be written."""
    outcome = Tally()
    for index in range(times):
        home = bench.fresh()
        cache = home / "lossjax" / "compiled"
        shutil.copytree(
            Path(bench.environment["XDG_CACHE_HOME"]) / "lossjax", cache.parent
        )
        for file in (f for f in cache.rglob("*") if f.is_file()):
            content = file.read_bytes()
            kinds = (content[: len(content) // 2], os.urandom(100), b"", content)
            file.write_bytes(kinds[index % 4])
        if index % 4 == 3:
            cache.chmod(0o555)
        held, bench.environment = (
            bench.environment,
            bench.environment | {"XDG_CACHE_HOME": str(home)},
        )
        began = time.monotonic()
        out = bench.fresh()
        ended = bench.sweep(out, before=without_override)
        bench.environment = held
        quiet = len(ended.stderr.strip().splitlines()) <= 2
        lost = ended.returncode != 0 or bench.differs(out)
        note = last_line(ended.stderr)
        outcome.add(quiet, lost, time.monotonic() - began, note)
        cache.chmod(0o755)
    return outcome


def elsewhere(bench: Testbed, times: int) -> Tally:
    """The report made again under another locale, time zone and hash seed."""
    outcome = Tally()
    places = ("de_DE.UTF-8", "C", "tr_TR.UTF-8"), ("Asia/Kathmandu", "UTC", "EST")
    for index in range(times):
        out = bench.copy()
        shutil.rmtree(out / "report")
        odd = {
            "LC_ALL": places[0][index % 3],
            "TZ": places[1][index % 3],
            "PYTHONHASHSEED": str(index + 1),
        }
        began = time.monotonic()
        ended = subprocess.run(
            [sys.executable, "-m", "lossjax.suite.cli", "report", f"--out={out}"],
            capture_output=True,
            text=True,
            env=bench.environment | odd,
        )
        seconds = time.monotonic() - began
        same = all(
            files(out / "report" / name) == files(bench.whole / "report" / name)
            for name in ("tables", "figures")
        )
        outcome.add(ended.returncode == 0, not same, seconds, last_line(ended.stderr))
    return outcome
