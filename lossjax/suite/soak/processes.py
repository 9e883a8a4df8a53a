"""Faults of processes: killed, stopped, several at once."""

import signal
import subprocess
import time

from lossjax.suite.cli.errors import Exit
from lossjax.suite.soak.testbed import Tally, Testbed, last_line, one_line
from lossjax.suite.soak.testbed import files as files_of
from lossjax.suite.soak.victim import MOMENTS, read
from lossjax.suite.store import results


def killed(bench: Testbed, times: int) -> Tally:
    """kill -9 at seeded moments: by the clock, from a sweep's first to its last second,
    and by turns around the rename of a file. At most one chunk may be lost each time.
    """
    outcome, most = Tally(), 0
    for index in range(times):
        out = bench.fresh()
        log = out.with_suffix(".log")
        publishing = index % 2 == 0
        moment = MOMENTS[index // 2 % len(MOMENTS)] if publishing else "never"
        count = bench.random.randint(1, bench.renames)
        process = bench.start(out, victim=(str(log), moment, str(count)))
        if not publishing:
            time.sleep(bench.random.uniform(0.3, 1.0) * bench.seconds)
            process.kill()
        process.communicate()
        died = process.returncode == -signal.SIGKILL or not publishing
        begun = [int(line["begun"]) for line in read(log) if "begun" in line]
        stored = results.load(out)
        gone = sum(begun) - len(stored.results)
        most = max(most, gone)
        whole = gone <= max(begun[-1:], default=0) and not stored.damaged
        lost, seconds, note = bench.recover(out)
        note = f"{moment} {count}: {gone} runs of chunks {begun} to train again; {note}"
        outcome.add(died, lost or not whole, seconds, note)
    outcome.measured = f"at most {most} runs to train again, those of one chunk"
    return outcome


def killed_long(bench: Testbed, times: int) -> Tally:
    """kill -9 in a run of more than a minute, once a state of it is saved."""
    outcome = Tally()
    for _ in range(times):
        long = [
            "--config.losses=bce",
            "--config.learning_rates=1e-2",
            "--config.train_steps=100000",
        ]
        whole, out = bench.fresh(), bench.fresh()
        began = time.monotonic()
        bench.sweep(whole, *long)
        lasted = time.monotonic() - began
        process = bench.start(out, *long)
        while process.poll() is None and not list(out.glob("runs/*/state.npz")):
            time.sleep(0.05)
        time.sleep(bench.random.uniform(0, 5))
        process.kill()
        process.communicate()
        began = time.monotonic()
        ended = bench.sweep(out, *long)
        seconds = time.monotonic() - began
        went_on = "go on at step" in ended.stdout
        tables = (files_of(place / "report" / "tables") for place in (whole, out))
        outcome.add(went_on, len({str(t) for t in tables}) != 1, seconds, ended.stderr)
        outcome.measured = f"of a sweep of {lasted:.0f} s"
    return outcome


def stopped(bench: Testbed, times: int) -> Tally:
    """SIGTERM and SIGINT in turn: exit code 75 within 10 seconds, one line."""
    outcome = Tally()
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
        ended = subprocess.CompletedProcess((), process.returncode, stdout, stderr)
        # One that was done before the signal came has nothing to say.
        said = one_line(ended, Exit.INTERRUPTED) and took < 10
        done = ended.returncode == Exit.DONE
        lost, seconds, note = bench.recover(out)
        outcome.add(
            said or done, lost, seconds, f"{took:.1f} s; {last_line(stderr)}; {note}"
        )
    return outcome


def sharded(bench: Testbed, times: int) -> Tally:
    """Shards of a sweep into one directory at once, or one after the other; the last
    one to end writes the whole report, the others name what is missing.
    """
    outcome = Tally()
    for index in range(times):
        out, began = bench.fresh(), time.monotonic()
        order = bench.random.sample(range(3), 3)
        if index % 2 == 0:
            shards = [bench.start(out, f"--shard={i}/3") for i in order]
            said = [process.communicate()[1] for process in shards]
        else:
            shards, said = [], []
            for i in order:
                shards.append(bench.start(out, f"--shard={i}/3"))
                stdout, stderr = shards[-1].communicate()
                said.append(stderr)
        fine = all(process.returncode == Exit.DONE for process in shards)
        note = f"{[last_line(text) for text in said]}"
        outcome.add(fine, bench.differs(out), time.monotonic() - began, note)
    return outcome


def raced(bench: Testbed, times: int) -> Tally:
    """Eight processes at once on the same grid in one directory; two if quick."""
    outcome = Tally()
    for _ in range(times):
        out, began = bench.fresh(), time.monotonic()
        racers = [bench.start(out) for _ in range(2 if bench.quick else 8)]
        said = [process.communicate()[1] for process in racers]
        fine = all(process.returncode == Exit.DONE for process in racers)
        lost = bool(results.load(out).damaged) or bench.differs(out)
        note = f"{[last_line(text) for text in said]}"
        outcome.add(fine, lost, time.monotonic() - began, note)
    return outcome
