"""What an object store costs, measured; `python tests/store_figures.py` publishes it.

Real results of digits, each taken for those of many seeds, go through what a sweep
stores them with, to a local S3 server; then they are fetched and reported.
"""

import dataclasses
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from object_store import served
from typed_commands import environment

from lossjax.suite.launch import actions
from lossjax.suite.shipped import PUBLISHED, ROOT
from lossjax.suite.store import destination, packs, places, results, sealing

SEEDS = 512
WIDTHS = 64, 1024  # runs of a pack: those of a program on two cores, and a modest GPU
CLI = [sys.executable, "-m", "lossjax.suite.cli"]
TRAIN = (
    *("--config.seeds=0,1", "--config.learning_rates=1e-3,1e-2"),
    "--config.train_steps=20",
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "log") as keys:
        os.environ |= keys
        figures = measure(Path(folder))
    target = PUBLISHED / "bench" / "store.json"
    sealing.publish(target, json.dumps(figures, indent=1, sort_keys=True) + "\n")
    print(json.dumps(figures, indent=1, sort_keys=True))


def measure(folder: Path) -> dict[str, Any]:
    log, plain = folder / "log", folder / "plain"
    command = [*CLI, "sweep", "--config=configs/digits.py", *TRAIN, f"--out={plain}"]
    subprocess.run(command, check=True, cwd=ROOT, env=environment())
    runs = grid_of(plain)

    def timed(work: Callable[[], object]) -> dict[str, float]:
        log.write_text("")
        began = time.monotonic()
        work()
        seconds = time.monotonic() - began
        return {
            "seconds": round(seconds, 3),
            "requests": len(log.read_text().splitlines()),
        }

    figures: dict[str, Any] = {
        "runs": len(runs),
        "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}",
        "packs": {},
    }
    for width in WIDTHS:
        out = places.parse(f"s3://bucket/{width}")
        results.write_sweep(out, described(plain))
        place = destination.of(out, [one.run for one in runs])

        def store(place: destination.Destination = place, width: int = width) -> None:
            for start in range(0, len(runs), width):
                pack = runs[start:][:width]
                place.news([one.run for one in pack])
                with place.writer() as write:
                    for one in pack:
                        write(one)

        def resume(out: Path = out) -> None:
            again = destination.of(out, [one.run for one in runs])
            assert len(again.stored().results) == len(runs)

        to = folder / f"to-{width}"
        figures["packs"][str(width)] = {
            "store": timed(store),
            "resume": timed(resume),
            "fetch": timed(lambda out=out, to=to: actions.bring(out, to)),
            "fetch again": timed(lambda out=out, to=to: actions.bring(out, to)),
            "bytes": sum(
                len(places.read(out / packs.RESULTS / key))
                for key in places.keys(out / packs.RESULTS)
            ),
        }
    process = subprocess.Popen([*CLI, "report", f"--out={to}"], env=environment())
    _, code, used = os.wait4(process.pid, 0)
    assert code == 0, code
    figures["report"] = {
        "cpu seconds": round(used.ru_utime + used.ru_stime, 1),
        "bytes": used.ru_maxrss * 1024,
    }
    return figures


def grid_of(plain: Path) -> list[results.Result]:
    """The stored runs as those of all seeds, seed by seed."""
    stored = list(results.load(plain).results.values())
    return [
        dataclasses.replace(one, run=dataclasses.replace(one.run, seed=seed))
        for seed in range(SEEDS)
        for one in stored
        if one.run.seed == min(seed, 1)
    ]


def described(plain: Path) -> dict[str, Any]:
    description = results.read_sweep(plain)
    description["config"]["seeds"] = list(range(SEEDS))
    return description


if __name__ == "__main__":
    main()
