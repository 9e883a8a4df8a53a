"""A whole digits sweep against the same runs as a plain PyTorch script.

`python -m lossjax.suite.bench.whole` takes the arguments of `sweep` and says last, in
one JSON line, how long it compiled: that overlaps with training, so its seconds are
those of all threads together.
"""

import csv
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lossjax.suite.bench.pairs import INSTALLED, spread, timed
from lossjax.suite.cli.signals import run

_STAGES = {
    "/jax/core/compile/jaxpr_trace_duration": "compile",
    "/jax/core/compile/jaxpr_to_mlir_module_duration": "compile",
    "/jax/core/compile/backend_compile_duration": "compile",
    "/jax/compilation_cache/cache_retrieval_time_sec": "retrieve",
}
STEPS = 200  # of a run; the thousand of configs/digits.py take PyTorch a quarter hour


def sweeps(rounds: int, seeds: int) -> dict[str, Any]:
    """Seconds from process start to the end: cold, with a warm cache, and the twin.

    `compile_share` is tracing and compiling, added up over threads, of the time that
    all cores had; `compile_spared` what a warm cache spares of the wall clock.
    """
    seconds: dict[str, list[float]] = {"cold": [], "warm": [], "twin": []}
    compiled: dict[str, list[float]] = {"cold": [], "warm": []}
    cores = len(os.sched_getaffinity(0))
    options = [f"--config.train_steps={STEPS}", _seeds(seeds)]
    with tempfile.TemporaryDirectory(prefix="lossjax-bench-") as folder:
        for index in range(rounds):
            # A cache of its own each time: a sweep that nobody has run here before.
            environment = {"XDG_CACHE_HOME": f"{folder}/cache{index}"}
            for kind in ("cold", "warm"):
                out = Path(folder) / f"{kind}{index}"
                took, said = timed("whole", [f"--out={out}", *options], environment)
                seconds[kind].append(took)
                compiled[kind].append(said.get("compile", 0.0))
            rows = out / "report" / "rows.csv"
            took, said = timed("whole_twin", [str(rows)], INSTALLED)
            seconds["twin"].append(took)
    return {
        "runs": said["runs"],
        "steps": STEPS,
        "seconds": {kind: spread(values) for kind, values in seconds.items()},
        "against_twin": {
            kind: spread(np.divide(seconds["twin"], seconds[kind]).tolist())
            for kind in ("cold", "warm")
        },
        "compile_seconds": {kind: spread(v) for kind, v in compiled.items()},
        "compile_share": spread(
            (np.divide(compiled["cold"], seconds["cold"]) / cores).tolist()
        ),
        "compile_spared": spread(
            (1 - np.divide(seconds["warm"], seconds["cold"])).tolist()
        ),
        "warm_of_cold_compile": spread(
            np.divide(compiled["warm"], compiled["cold"]).tolist()
        ),
    }


def effect_of(precisions: Sequence[str], seeds: int, steps: int) -> dict[str, Any]:
    """Every metric of digits runs in each precision against the same in float32.

    Returns:
      seeds and steps, and "metrics": precision -> metric -> mean difference, and that
      over the spread of float32 runs over seeds (their standard deviation), the larger
      of bce's and mse's.
    """
    with tempfile.TemporaryDirectory(prefix="lossjax-bench-") as folder:
        scores = {}
        for precision in ("float32", *precisions):
            out = Path(folder) / precision
            options = [
                f"--out={out}",
                "--config.losses=bce,mse",
                "--config.learning_rates=0.01",
                _seeds(seeds),
                f"--config.train_steps={steps}",
                f"--config.precision={precision}",
            ]
            timed("whole", options, {})
            scores[precision] = _scores(out / "report" / "rows.csv")
    whole = scores.pop("float32")
    metrics = {name: _change(whole, other) for name, other in scores.items()}
    return {"seeds": seeds, "steps": steps, "metrics": metrics}


def _seeds(count: int) -> str:
    return f"--config.seeds={','.join(map(str, range(count)))}"


def _change(
    whole: Mapping[Any, np.ndarray], other: Mapping[Any, np.ndarray]
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for key, plain in whole.items():
        _, metric = key
        change = other[key] - plain
        deviation = float(plain.std(ddof=1))
        ratio = abs(float(change.mean())) / deviation if deviation else float("nan")
        held = found.get(metric)
        if held is None or not ratio <= held["of_spread"]:
            found[metric] = {"change": float(change.mean()), "of_spread": ratio}
    return found


def _scores(path: Path) -> dict[tuple[str, str], np.ndarray]:
    """(loss, metric) -> test scores in the order of seeds."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["chosen"] == "True"]
    metrics = [name for name in rows[0] if name.startswith("test_")]
    return {
        (loss, metric.removeprefix("test_")): np.array(
            [float(row[metric]) for row in rows if row["loss"] == loss]
        )
        for loss in {row["loss"] for row in rows}
        for metric in metrics
    }


def main(arguments: list[str]) -> int:
    from jax import monitoring

    from lossjax.suite.sweep import __main__ as sweep

    seconds: dict[str, float] = defaultdict(float)

    def listen(event: str, duration_secs: float, **_: str | int) -> None:
        if event in _STAGES:
            seconds[_STAGES[event]] += duration_secs

    monitoring.register_event_duration_secs_listener(listen)
    code = sweep.main(arguments)
    print(json.dumps(dict(seconds)))
    return code


if __name__ == "__main__":
    run(main, sys.argv[1:])
