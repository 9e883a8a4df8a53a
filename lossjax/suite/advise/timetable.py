"""How much of a comparison fits a time: seeds, learning rates, training steps."""

import dataclasses
from collections.abc import Iterator

from lossjax.suite import statistics
from lossjax.suite.sweep.timing import LADDER

RATES = (1e-3, 3e-3, 1e-2, 3e-2)
# From what is wished for down to what can decide nothing: seeds (None: as few as can
# decide), learning rates, and the training steps from which it is worth having.
_WISHES: tuple[tuple[int | None, tuple[float, ...], int], ...] = (
    (10, RATES, 1000),
    (None, RATES, 200),
    (None, RATES[1:], LADDER[0]),
    (3, RATES[1:3], LADDER[0]),
    (1, RATES[1:3], LADDER[0]),
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """A comparison, and the seconds that it is expected to train."""

    seeds: tuple[int, ...]
    learning_rates: tuple[float, ...]
    train_steps: int
    seconds: float


def plans(losses: int, each: float) -> Iterator[Plan]:
    """Every comparison that is worth having, the best first.

    Args:
      losses: how many take part.
      each: seconds of one training step of one run.
    """
    for seeds, rates, fewest in _WISHES:
        count = seeds or statistics.seeds_needed(losses - 1)
        for steps in sorted(LADDER, reverse=True):
            if steps >= fewest:
                seconds = each * losses * len(rates) * count * steps
                yield Plan(tuple(range(count)), rates, steps, seconds)


def best_within(losses: int, each: float, seconds: float) -> tuple[Plan, bool]:
    """The best that fits, and True; the shortest of all, and False, where none does."""
    every = list(plans(losses, each))
    for one in every:
        if one.seconds <= seconds:
            return one, True
    return min(every, key=lambda one: one.seconds), False
