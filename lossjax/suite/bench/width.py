"""How long a run takes among many side by side: a sweep's own programs of the digits.

`python -m lossjax.suite.bench.width [KEY=VALUE ...]` ends with one JSON line. Options:
widths, lowering, steps (of a call), rounds.
"""

import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
from absl import flags

from lossjax import NUMERICS, platform
from lossjax.suite import data, protocol
from lossjax.suite.bench.pairs import spread
from lossjax.suite.bench.works import WORKS
from lossjax.suite.cli.commandline import parse_sweep
from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.cli.signals import run
from lossjax.suite.sweep import backend
from lossjax.suite.sweep.packing import slots_of
from lossjax.suite.sweep.programs import kinds
from lossjax.suite.sweep.resident import Resident
from lossjax.training.replicas import Layout, make_mesh, put

_WIDTHS = "1,10,50,250,1000,4000"
_OPTIONS = ("widths", "lowering", "steps", "rounds")
_DATASET = "digits"


def main(options: list[str]) -> int:
    given = dict(option.partition("=")[::2] for option in options)
    if unknown := given.keys() - _OPTIONS:
        raise UserError(
            f"width: {sorted(unknown)[0]!r}: valid are {', '.join(_OPTIONS)}"
        )
    backend.devices()
    rows = measure(
        [int(width) for width in given.get("widths", _WIDTHS).split(",")],
        given.get("lowering", "taps"),
        int(given.get("steps", 100)),
        int(given.get("rounds", 3)),
    )
    print(json.dumps({"rows": rows, **platform.describe()}))
    return Exit.DONE


def measure(
    widths: Sequence[int], lowering: str, steps: int, rounds: int
) -> list[dict[str, Any]]:
    """A row for each width: what a step takes all runs together, and one of them."""
    _, sweep = parse_sweep(flags.FlagValues(), [], "")
    dataset = data.load(_DATASET)
    trials = [_Trial(sweep, dataset, width, lowering, steps) for width in widths]
    with ThreadPoolExecutor() as pool:
        list(pool.map(_Trial.compile, trials))
    return [trial.row(rounds) for trial in trials]


class _Trial:
    """Some of the grid's losses, then of its rates, then seeds: as many runs as fit."""

    def __init__(
        self, sweep: Any, dataset: data.Dataset, width: int, lowering: str, steps: int
    ) -> None:
        losses = sweep.losses[:width]
        rates = sweep.learning_rates[: width // len(losses)]
        seeds = tuple(range(width // (len(losses) * len(rates))))
        sweep = dataclasses.replace(
            sweep,
            losses=losses,
            learning_rates=rates,
            seeds=seeds,
            curve_points=sweep.train_steps // steps,
        )
        ((kind, *_),) = kinds(sweep, {_DATASET: data.Outline.of(dataset)}, "vmap")
        runs = len(losses) * len(rates) * len(seeds)
        slots = slots_of(sweep, kind, Layout(1, runs, "vmap", lowering))
        self._layout, self._steps = slots.layout, steps
        mesh = make_mesh(self._layout)
        facts = {_DATASET: {"fingerprint": dataset.fingerprint}}
        blocks = protocol.blocks(sweep, protocol.fixed_values(sweep, facts, NUMERICS))
        packed = slots.pack(protocol.pending(blocks, {}))
        self._data = Resident(dataset, mesh, "vmap")
        replicas = slots.stack(sweep, kind, packed, self._data.mean)
        self._replicas = put(replicas, mesh)
        self._program = kind.program(sweep, slots.layout, mesh, slots.segments)

    def compile(self) -> None:
        began = time.monotonic()
        self._trainer = self._program.compile(
            self._replicas, self._data.train, self._data.validation
        )
        self._compiled = time.monotonic() - began

    def row(self, rounds: int) -> dict[str, Any]:
        state, taken = self._program.init(self._replicas), []
        for turn in range(1 + rounds):  # the first one loads the program
            first = turn * self._steps
            began = time.monotonic()
            state, progress = self._trainer.advance(
                self._replicas,
                state,
                self._data.train,
                self._data.validation,
                first,
                first + self._steps,
                0,
            )
            jax.block_until_ready((state, progress))
            taken.append(1e3 * (time.monotonic() - began) / self._steps)
        step, runs = spread(taken[1:]), self._layout.replicas
        work = WORKS["32 digits"]
        images = work.batch * runs / step["median"]
        return {
            "runs": runs,
            "step_ms": step,
            "run_step_us": 1e3 * step["median"] / runs,
            "images_per_second": 1e3 * images,
            "teraflops": images * work.flops / 1e9,
            "bytes": self._trainer.bytes,
            "compile_seconds": self._compiled,
            "layout": self._layout.record,
        }


if __name__ == "__main__":
    run(main, sys.argv[1:])
