"""Faults of files: results, saved states, compiled programs; other surroundings."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from experiments import checkpoint, store
from experiments.soak.bench import Bench, Outcome, files, last_line, without_override


def _damage(bench: Bench, times: int, harm: Callable[[bytes], bytes]) -> Outcome:
    """Harm one result after the other; then one sweep must mend them all."""
    outcome, out = Outcome(), bench.copy()
    results = sorted(out.glob("runs/*/result.json"))
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


def _flip(bench: Bench) -> Callable[[bytes], bytes]:
    def flip(content: bytes) -> bytes:
        place = bench.random.randrange(len(content) * 8)
        bad = bytearray(content)
        bad[place // 8] ^= 1 << (place % 8)
        return bytes(bad)

    return flip


def flipped(bench: Bench, times: int) -> Outcome:
    """One bit of a stored result."""
    return _damage(bench, times, _flip(bench))


def cut(bench: Bench, times: int) -> Outcome:
    """A stored result that ends too early."""
    return _damage(bench, times, lambda c: c[: bench.random.randrange(len(c))])


def _states(bench: Bench) -> tuple[Path, list[Path]]:
    """A sweep stopped in the middle of a chunk, and its saved states."""
    for patience in range(1, 20):
        out = bench.fresh()
        process = bench.start(out, "--config.train_steps=3000")
        while process.poll() is None and not list(out.glob("runs")):
            time.sleep(0.01)
        time.sleep(0.5 * patience * bench.seconds)
        process.terminate()
        process.communicate()
        if states := sorted(out.glob("runs/*/state.npz")):
            return out, states
    raise RuntimeError("no sweep could be stopped in the middle of a run")


def flipped_state(bench: Bench, times: int) -> Outcome:
    """One bit of a saved state, and states that end too early."""
    outcome, (_, states) = Outcome(), _states(bench)
    harms = (_flip(bench), lambda c: c[: bench.random.randrange(len(c))])
    for index in range(times):
        victim = bench.random.choice(states)
        whole = victim.read_bytes()
        victim.write_bytes(harms[index % 5 == 4](whole))
        try:
            checkpoint.opened(victim)
            named = False
        except ValueError as error:
            named = str(victim) in str(error)
        outcome.add(named, False, 0.0, f"{victim} not named")
        victim.write_bytes(whole)
    return outcome


def spoiled_cache(bench: Bench, times: int) -> Outcome:
    """Compiled programs in the cache are cut, or are garbage, or cannot be written."""
    outcome = Outcome()
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


def elsewhere(bench: Bench, times: int) -> Outcome:
    """The report made again under another locale, time zone and hash seed."""
    outcome = Outcome()
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
            [sys.executable, "-m", "experiments.report", f"--out={out}"],
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
