"""The protocol of a comparison: which runs there are, who trains them, which count.

Each seed is a whole experiment: every learning rate is trained at equal budget, the
run of smallest own loss on validation images is the seed's result, and only its test
scores are read. So every run is known before the first one is trained.

A loss with a dial, huber(delta=tune(0.03, 0.1)), is one arm of several losses. Of each
value a seed chooses the rate as above; among the values it chooses by the primary
metric on validation images, because own values cannot be compared. Every arm has as
many runs: one with fewer values tries as many more rates between those of the config.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from lossjax.suite.cli.errors import UserError
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
    rates: Mapping[str, tuple[float, ...]]  # by the loss that is trained

    def run(self, learning_rate: float, seed: int, loss: str | None = None) -> Run:
        """One run of the arm; of one with a dial that of the loss at a value."""
        return Run(
            self.dataset,
            self.model,
            loss or self.loss,
            learning_rate,
            seed,
            self.latent_dim,
            self.train_steps,
            self.fixed,
        )

    def runs(self, seed: int) -> tuple[Run, ...]:
        """What one seed trains, by value of the dial, then learning rate."""
        return tuple(
            self.run(rate, seed, loss)
            for loss, rates in self.rates.items()
            for rate in rates
        )

    @property
    def tuned(self) -> bool:
        """Whether it has a dial."""
        return len(self.rates) > 1

    def label(self, sweep: Sweep) -> str:
        """The arm in words, with the values of those axes that have several."""
        return f"{self.dataset} / {model_label(sweep, self.setting)} / {self.loss}"

    @property
    def setting(self) -> tuple[str, str, int, int]:
        """What the losses that are compared with each other share."""
        return self.dataset, self.model, self.latent_dim, self.train_steps


@dataclasses.dataclass(frozen=True)
class Block:
    """All runs of one seed of an arm: what belongs together in a shard."""

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
    rates = rates_of(sweep)
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
                            rates[loss],
                        )


def rates_of(sweep: Sweep) -> dict[str, dict[str, tuple[float, ...]]]:
    """The learning rates of every loss that is trained, by arm, at equal budgets.

    Where runs do not divide by the values of a dial, the first values have one more.
    """
    tries = sweep.tries
    return {
        arm: {
            loss: spaced(sweep.learning_rates, -(-(tries - index) // len(losses)))
            for index, loss in enumerate(losses)
        }
        for arm, losses in sweep.members.items()
    }


def tried(sweep: Sweep) -> dict[str, tuple[float, ...]]:
    """The learning rates of every loss that is trained, all arms together."""
    found: dict[str, dict[float, None]] = {}
    for arm in rates_of(sweep).values():
        for loss, rates in arm.items():
            found.setdefault(loss, {}).update(dict.fromkeys(rates))
    return {loss: tuple(rates) for loss, rates in found.items()}


@functools.lru_cache(maxsize=64)
def spaced(rates: tuple[float, ...], count: int) -> tuple[float, ...]:
    """So many rates: these, and others evenly between them, on the scale of logarithms.

    Each goes where the gap is widest, so that the largest step of all is as small as
    can be; three digits of each are kept.

    Raises:
      UserError: there is no room between them.
    """
    ordered = sorted(rates)
    gaps = list(itertools.pairwise(ordered))
    inside = [0] * len(gaps)
    for _ in range(count - len(ordered)):
        if not gaps:
            break
        # Rounded: equal gaps must not be told apart by a processor's last bits.
        steps = [
            round(math.log(b / a) / (n + 1), 9)
            for (a, b), n in zip(gaps, inside, strict=True)
        ]
        inside[steps.index(max(steps))] += 1
    filled = {*ordered}
    for (low, high), n in zip(gaps, inside, strict=True):
        steps = [(high / low) ** (i / (n + 1)) for i in range(1, n + 1)]
        filled |= {float(f"{low * step:.3g}") for step in steps}
    if len(filled) != count:
        raise UserError(
            f"config.learning_rates = {rates}: no room for {count} rates from the "
            "smallest to the largest, which a loss without a dial needs beside one "
            "with tune(...); name two or more, further apart"
        )
    return tuple(sorted(filled))


def blocks(sweep: Sweep, fixed: Mapping[str, Mapping[str, Any]]) -> list[Block]:
    """The whole grid, sorted by what shapes a program, then seed, then arm."""
    grid: dict[tuple[str, str, int, int], list[Arm]] = {}
    for arm in arms(sweep, fixed):
        grid.setdefault(arm.setting, []).append(arm)
    return [
        Block(arm, seed, arm.runs(seed))
        for alike in grid.values()
        for seed in sweep.seeds
        for arm in alike
    ]


def shard(whole: Sequence[Block], index: int, count: int) -> Sequence[Block]:
    """The part of a grid that shard `index` of `count` trains: one stretch of it."""
    start, stop = (len(whole) * i // count for i in (index, index + 1))
    return whole[start:stop]


def pending(grid: Iterable[Block], results: Mapping[str, Result]) -> Iterator[Run]:
    """The runs that are not stored, in the order of the grid.

    Each once: a loss may be an arm and a value of another arm's dial.
    """
    shared: set[tuple[Any, ...]] = set()
    for block in grid:
        for run in block.runs:
            if run.run_id in results:
                continue
            key = (*block.arm.setting, run.loss, run.learning_rate, run.seed)
            if key not in shared:
                shared.add(key)
                yield run


@dataclasses.dataclass(frozen=True)
class DialJudge:
    """What compares the values of a dial: the primary metric, on validation images."""

    metric: str
    direction: str  # lower or higher, whichever is better

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> "DialJudge":
        """That of a sweep.json."""
        metric = description["config"]["primary_metric"]
        row = description["metrics"].get(metric, {"direction": "lower"})
        return cls(metric, row["direction"])

    def badness(self, result: Result) -> float:
        """Smaller is better; infinite without a score."""
        score = result.metrics.get(f"val_{self.metric}", math.nan)
        if not math.isfinite(score):
            return math.inf
        return score if self.direction == "lower" else -score


def chosen_by(metric: str) -> str:
    """What is said of a loss with a dial in every table."""
    return f"dial chosen by {metric} on validation"


def choose(results: Iterable[Result], judge: DialJudge | None = None) -> Result | None:
    """A seed's result among an arm's runs; None where none survived.

    Of each loss that was trained the surviving run of smallest own loss on validation
    images, of equal ones that of the smaller rate; of several losses, the values of a
    dial, the one that the judge finds best, of equal ones the first. Test scores have
    no part in it.
    """
    best: dict[str, Result] = {}
    for result in results:
        loss = result.run.loss
        if result.status == "ok" and math.isfinite(result.validation_loss):
            best[loss] = min(best.get(loss, result), result, key=_own)
    if len(best) < 2:
        return next(iter(best.values()), None)
    assert judge is not None, "own values of several losses cannot be compared"
    return min(best.values(), key=judge.badness)


def _own(result: Result) -> tuple[float, float]:
    return result.validation_loss, result.run.learning_rate


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
