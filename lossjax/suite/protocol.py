"""The protocol of a comparison: which runs there are, who trains them, which count.

Each seed is a whole experiment: every learning rate is trained at equal budget, the
run of smallest own loss on validation images is the seed's result, and only its test
scores are read. So every run is known before the first one is trained.
"""

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lossjax.suite.config import Sweep
from lossjax.suite.store.results import Result, Run

# Of an arm's seeds at an edge of the rates, from which it is flagged.
EDGE_SHARE = 1 / 3


@dataclasses.dataclass(frozen=True)
class Arm:
    """What is compared: a loss on a dataset, with a model, at a budget."""

    dataset: str
    model: str
    latent_dim: int
    train_steps: int
    loss: str
    fixed: Mapping[str, Any]  # what every run of the arm carries; see Run

    def run(self, learning_rate: float, seed: int) -> Run:
        """One run of the arm."""
        return Run(
            self.dataset,
            self.model,
            self.loss,
            learning_rate,
            seed,
            self.latent_dim,
            self.train_steps,
            self.fixed,
        )

    def label(self, sweep: Sweep) -> str:
        """The arm in words, with the values of those axes that have several."""
        return f"{self.dataset} / {model_label(sweep, self.setting)} / {self.loss}"

    @property
    def setting(self) -> tuple[str, str, int, int]:
        """What the losses that are compared with each other share."""
        return self.dataset, self.model, self.latent_dim, self.train_steps


@dataclasses.dataclass(frozen=True)
class Block:
    """All learning rates of one seed of an arm: what belongs together in a shard."""

    arm: Arm
    seed: int
    runs: tuple[Run, ...]


def model_label(sweep: Sweep, setting: tuple[str, str, int, int]) -> str:
    """The model of a setting, with the values of those axes that have several."""
    _, model, latent_dim, train_steps = setting
    axes = [
        f"latent_dim={latent_dim}" if len(sweep.code_sizes) > 1 else "",
        f"train_steps={train_steps}" if len(sweep.step_counts) > 1 else "",
    ]
    named = ",".join(filter(None, axes))
    return f"{model}[{named}]" if named else model


def fixed_values(
    sweep: Sweep, datasets: Mapping[str, Mapping[str, Any]], numerics: int
) -> dict[str, dict[str, Any]]:
    """What every run of a dataset carries: fixed fields, fingerprint, NUMERICS."""
    return {
        name: sweep.fixed()
        | {"fingerprint": described["fingerprint"], "numerics": numerics}
        for name, described in datasets.items()
    }


def arms(sweep: Sweep, fixed: Mapping[str, Mapping[str, Any]]) -> Iterator[Arm]:
    """The arms in display order; `fixed` maps a dataset to its fixed values."""
    for dataset in sweep.datasets:
        for model in sweep.models:
            for latent_dim in sweep.code_sizes:
                for train_steps in sweep.step_counts:
                    for loss in sweep.losses:
                        yield Arm(
                            dataset,
                            model,
                            latent_dim,
                            train_steps,
                            loss,
                            {**fixed[dataset], **sweep.source_of(loss, model)},
                        )


def blocks(sweep: Sweep, fixed: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """The whole grid, sorted by what shapes a program, then seed, then arm."""
    rates = sorted(sweep.learning_rates)
    grid: dict[tuple[str, str, int, int], list[Arm]] = {}
    for arm in arms(sweep, fixed):
        grid.setdefault(arm.setting, []).append(arm)
    return [
        Block(arm, seed, tuple(arm.run(rate, seed) for rate in rates))
        for alike in grid.values()
        for seed in sweep.seeds
        for arm in alike
    ]


def shard(whole: Sequence[Block], index: int, count: int) -> Sequence[Block]:
    """The part of a grid that shard `index` of `count` trains: one stretch of it."""
    start, stop = (len(whole) * i // count for i in (index, index + 1))
    return whole[start:stop]


def pending(grid: Iterable[Block], results: Mapping[str, Result]) -> Iterator[Run]:
    """The runs that are not stored, in the order of the grid."""
    for block in grid:
        yield from (run for run in block.runs if run.run_id not in results)


def choose(results: Iterable[Result]) -> Result | None:
    """A seed's result: the surviving run of smallest own loss on validation images.

    Of equal ones that of the smaller rate; None where no rate survived.
    """
    alive = [
        result
        for result in results
        if result.status == "ok" and math.isfinite(result.validation_loss)
    ]
    return min(
        alive,
        key=lambda result: (result.validation_loss, result.run.learning_rate),
        default=None,
    )


def edge_of(rates: Sequence[float], chosen: Sequence[float]) -> float | None:
    """The edge of the rates that at least a third of the seeds chose; None for none."""
    if len(set(rates)) < 2 or not chosen:
        return None
    for edge in (max(rates), min(rates)):
        if sum(rate == edge for rate in chosen) >= EDGE_SHARE * len(chosen):
            return edge
    return None


def wider(rates: Sequence[float], edges: Iterable[float]) -> tuple[float, ...]:
    """The rates with one more beyond each of these edges, in the grid's own steps."""
    ordered = sorted(set(rates))
    more = set(ordered)
    for edge in edges:
        inner = ordered[1] if edge == ordered[0] else ordered[-2]
        more.add(float(f"{edge**2 / inner:.2g}"))
    return tuple(sorted(more))
