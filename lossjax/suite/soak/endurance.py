"""Much of it: thousands of stored runs, hundreds of runs in one process."""

import dataclasses
import math
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from lossjax.suite import protocol
from lossjax.suite.config import Sweep
from lossjax.suite.soak.testbed import Tally, Testbed, last_line
from lossjax.suite.soak.victim import read
from lossjax.suite.store import results

_THOUSAND = 1_000  # stored runs to one that is damaged
_RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


def crowded(bench: Testbed, times: int) -> Tally:
    """A report over so many thousand stored runs, one damaged in each thousand.

    If quick, hundreds.
    """
    outcome, out = Tally(), bench.fresh()
    files = _crowd(bench, out, times)
    damaged = bench.random.sample(files, times)
    for file in damaged:
        file.write_bytes(file.read_bytes()[:-40])
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "lossjax.suite.cli", "report", f"--out={out}"],
        stdout=subprocess.DEVNULL,
        env=bench.environment,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.monotonic() - began
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    for file in damaged:
        listed = f"{file.parent.name}/result.json" in page
        outcome.add(listed, process.returncode != 0, seconds, f"{file} not listed")
    outcome.measured = (
        f"{len(files):,} runs to a report in {seconds:.1f} s "
        f"({usage.ru_utime + usage.ru_stime:.1f} s of a core), "
        f"{usage.ru_maxrss / 1024:.0f} MB"
    )
    return outcome


def _crowd(bench: Testbed, out: Path, thousands: int) -> list[Path]:
    """Stored runs of a made-up grid, each a real result under another name."""
    kept = results.load(bench.whole).results.values()
    model = next(r for r in kept if r.run.loss == "bce" and r.status == "ok")
    described = results.read_sweep(bench.whole)
    names = [f"digits {i}" for i in range(thousands)]
    losses = [f"power(g={i / 20:g})" for i in range(20)]
    runs = _THOUSAND // 5 if bench.quick else _THOUSAND
    config = described["config"] | {
        "datasets": names,
        "losses": losses,
        "learning_rates": list(_RATES),
        "seeds": list(range(runs // len(losses) // len(_RATES))),
    }
    described |= {
        "config": config,
        "losses": losses,
        "hypers": {loss: {"g": i / 20} for i, loss in enumerate(losses)},
        "datasets": {name: described["datasets"]["digits"] for name in names},
    }
    results.write_sweep(out, described)
    sweep = Sweep.from_json(config)
    fixed = protocol.fixed_values(
        sweep, described["datasets"], described["provenance"]["numerics"]
    )
    chance = random.Random(0)
    for block in protocol.blocks(sweep, fixed):
        for run in block.runs:
            made = dataclasses.replace(
                model,
                run=run,
                validation_loss=abs(math.log10(run.learning_rate) + 2),
                metrics={
                    name: value * chance.uniform(0.9, 1.1)
                    for name, value in model.metrics.items()
                },
            )
            results.write_result(out, made)
    return sorted(out.glob("runs/*/result.json"))


def endless(bench: Testbed, times: int) -> Tally:
    """So many tens of short runs of each loss in one process: memory and open files."""
    outcome, out = Tally(), bench.fresh()
    losses = ["bce", "mse", "mae", "huber", "log_cosh", "charbonnier", "poisson"]
    losses = losses[:4] if bench.quick else [*losses, "mse_linear", "brier", "focal"]
    seeds = ",".join(str(seed) for seed in range(10 * times))
    log = out.with_suffix(".log")
    began = time.monotonic()
    process = bench.start(
        out,
        f"--config.losses={','.join(losses)}",
        "--config.learning_rates=1e-2",
        f"--config.seeds={seeds}",
        "--config.train_steps=20",
        victim=(str(log), "never", "0"),
    )
    _, stderr = process.communicate()
    seconds = time.monotonic() - began
    seen = [line for line in read(log) if "megabytes" in line]
    after = seen[30 * times :]  # three losses to warm up
    slope = float(np.polyfit(range(len(after)), [x["megabytes"] for x in after], 1)[0])
    files = [int(line["files"]) for line in after]
    # Each of those who store at a time has some open; what leaks stays open for good.
    half = len(files) // 2
    leaked = min(files[half:]) - min(files[:half])
    steady = len(seen) == 10 * times * len(losses) and slope < 1 and leaked <= 1
    note = f"{len(seen)} runs, {slope:.2f} MB a run, {files} files; {last_line(stderr)}"
    outcome.add(steady, process.returncode != 0, seconds, note)
    outcome.measured = (
        f"{len(seen)} runs in one process: {slope:.2f} MB a run, "
        f"{min(files)} to {max(files)} open files"
    )
    return outcome
