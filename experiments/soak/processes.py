"""Faults of processes: killed, stopped, several at once."""

import signal
import subprocess
import time

from experiments import store
from experiments.commandline import Exit
from experiments.soak.bench import GRID, Bench, Outcome, last_line, one_line


def killed(bench: Bench, times: int) -> Outcome:
    """kill -9 at seeded moments of a sweep, from its first to its last second."""
    outcome = Outcome()
    for _ in range(times):
        out = bench.fresh()
        process = bench.start(out)
        time.sleep(bench.random.uniform(0.3, 1.0) * bench.seconds)
        process.kill()
        process.communicate()
        lost, seconds, note = bench.recover(out)
        outcome.add(True, lost, seconds, note)
    return outcome


def stopped(bench: Bench, times: int) -> Outcome:
    """SIGTERM and SIGINT in turn: exit code 75 within 10 seconds, one line."""
    outcome = Outcome()
    for index in range(times):
        out = bench.fresh()
        process = bench.start(out)
        while process.poll() is None and not list(out.glob("runs/*")):
            time.sleep(0.01)
        time.sleep(bench.random.uniform(0, 0.4) * bench.seconds)
        process.send_signal((signal.SIGTERM, signal.SIGINT)[index % 2])
        began = time.monotonic()
        stdout, stderr = process.communicate()
        took = time.monotonic() - began
        ended = subprocess.CompletedProcess(GRID, process.returncode, stdout, stderr)
        # One that was done before the signal came has nothing to say.
        said = one_line(ended, Exit.INTERRUPTED) and took < 10
        done = ended.returncode == Exit.DONE
        lost, seconds, note = bench.recover(out)
        outcome.add(
            said or done, lost, seconds, f"{took:.1f} s; {last_line(stderr)}; {note}"
        )
    return outcome


def sharded(bench: Bench, times: int) -> Outcome:
    """Shards 0/3, 1/3 and 2/3 at once into one directory."""
    outcome = Outcome()
    for _ in range(times):
        out = bench.fresh()
        shards = [bench.start(out, f"--shard={i}/3") for i in range(3)]
        said = [process.communicate()[1] for process in shards]
        fine = all(process.returncode == Exit.DONE for process in shards)
        lost, seconds, note = bench.recover(out)
        outcome.add(
            fine, lost, seconds, f"{[last_line(text) for text in said]}; {note}"
        )
    return outcome


def raced(bench: Bench, times: int) -> Outcome:
    """Eight processes at once on the same grid in one directory."""
    outcome = Outcome()
    for _ in range(times):
        out = bench.fresh()
        racers = [bench.start(out) for _ in range(8)]
        said = [process.communicate()[1] for process in racers]
        fine = all(process.returncode == Exit.DONE for process in racers)
        fine = fine and not store.load(out).damaged
        lost, seconds, note = bench.recover(out)
        outcome.add(
            fine, lost, seconds, f"{[last_line(text) for text in said]}; {note}"
        )
    return outcome
