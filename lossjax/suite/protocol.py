"""Which run comes next: the protocol of a comparison as a function of stored results.

A sweep trains what `plan` says is pending until nothing is; a rerun, a resume, a shard
and the report's list of missing runs all ask the same question, so none can disagree.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lossjax.suite.config import Sweep
from lossjax.suite.store.results import Result, Run


@dataclasses.dataclass(frozen=True)
class Cell:
    """All runs that share dataset, model and loss."""

    dataset: str
    model: str
    loss: str
    fixed: Mapping[str, Any]  # what every run of the cell carries; see store.Run

    def run(self, learning_rate: float, seed: int, stage: str) -> Run:
        return Run(
            self.dataset,
            self.model,
            self.loss,
            learning_rate,
            seed,
            stage,
            self.fixed,
        )

    def __str__(self) -> str:
        return f"{self.dataset} / {self.model} / {self.loss}"


@dataclasses.dataclass(frozen=True)
class Plan:
    """Where a cell stands."""

    cell: Cell
    pending: tuple[Run, ...]  # to train now; more may follow from their results
    learning_rates: tuple[float, ...]  # tried so far, the grid's extension included
    learning_rate: float | None  # the chosen one, once tuning is complete
    edge: bool  # the choice is at the edge of what was tried
    tuning: tuple[Run, ...]  # every tuning run the choice rests on
    final: tuple[Run, ...]  # every final run, empty until the rate is chosen


def cells(sweep: Sweep, fixed: Mapping[str, Mapping[str, Any]]) -> Iterator[Cell]:
    """The grid's cells in display order; `fixed` maps a dataset to its fixed values."""
    for dataset in sweep.datasets:
        for model in sweep.models:
            for loss in sweep.losses:
                yield Cell(dataset, model, loss, fixed[dataset])


def fixed_values(
    sweep: Sweep, datasets: Mapping[str, Mapping[str, Any]], numerics: int
) -> dict[str, dict[str, Any]]:
    """What every run of a dataset carries: fixed fields, fingerprint, NUMERICS."""
    return {
        name: sweep.fixed()
        | {"fingerprint": described["fingerprint"], "numerics": numerics}
        for name, described in datasets.items()
    }


def plan(sweep: Sweep, cell: Cell, results: Mapping[str, Result]) -> Plan:
    """What the cell still needs, given the results so far.

    Every rate is tried on the tuning seeds; where the best one is at the edge of the
    grid, the grid is extended once beyond that edge; the chosen rate is then trained on
    the final seeds. With a single rate there is nothing to choose.
    """
    rates = tuple(sorted(sweep.learning_rates))
    if len(rates) == 1:
        return _final(sweep, cell, results, rates, (), rates[0], edge=False)
    tuning = tuple(_tuning(sweep, cell, rates))
    if missing := _missing(tuning, results):
        return Plan(cell, missing, rates, None, False, tuning, ())
    best = choose(rates, tuning, results)
    if best in (rates[0], rates[-1]):
        beyond = (
            rates[0] ** 2 / rates[1] if best == rates[0] else rates[-1] ** 2 / rates[-2]
        )
        beyond = float(f"{beyond:.6g}")
        tuning += tuple(_tuning(sweep, cell, (beyond,)))
        rates = tuple(sorted((*rates, beyond)))
        if missing := _missing(tuning, results):
            return Plan(cell, missing, rates, None, True, tuning, ())
        best = choose(rates, tuning, results)
    edge = best in (rates[0], rates[-1])
    return _final(sweep, cell, results, rates, tuning, best, edge)


def choose(
    rates: Iterable[float], tuning: Iterable[Run], results: Mapping[str, Result]
) -> float:
    """The rate of the smallest mean validation loss; any diverged seed ranks last.

    Where every rate diverged, the smallest rate.
    """
    tuning = tuple(tuning)

    def score(rate: float) -> tuple[int, float, float]:
        tried = [results[r.run_id] for r in tuning if r.learning_rate == rate]
        lost = sum(
            r.status != "ok" or not math.isfinite(r.validation_loss) for r in tried
        )
        if lost:
            return lost, math.inf, rate
        return 0, math.fsum(r.validation_loss for r in tried) / len(tried), rate

    return min(rates, key=score)


def _tuning(sweep: Sweep, cell: Cell, rates: Iterable[float]) -> Iterator[Run]:
    for rate in rates:
        for seed in sweep.tuning_seeds:
            yield cell.run(rate, seed, "tune")


def _missing(runs: Iterable[Run], results: Mapping[str, Result]) -> tuple[Run, ...]:
    return tuple(run for run in runs if run.run_id not in results)


def _final(
    sweep: Sweep,
    cell: Cell,
    results: Mapping[str, Result],
    rates: tuple[float, ...],
    tuning: tuple[Run, ...],
    best: float,
    edge: bool,
) -> Plan:
    final = tuple(cell.run(best, seed, "final") for seed in sweep.seeds)
    return Plan(cell, _missing(final, results), rates, best, edge, tuning, final)
