"""How much of a comparison fits a time: seeds, learning rates, training steps."""

import dataclasses
from collections.abc import Iterator

from lossjax.suite import statistics
from lossjax.suite.sweep.timing import LADDER, Cost

RATES = (1e-3, 3e-3, 1e-2, 3e-2)
# Steps of bce that one of power(g) costs, whose value is no closed form: 2.9 times as
# long on colour images of 32x32, less where a network is large beside its images.
DIALLED = 3
# From what is wished for down to what can decide nothing: seeds (None: as few as can
# decide), learning rates, and the training steps from which it is worth having.
_WISHES: tuple[tuple[int | None, tuple[float, ...], int], ...] = (
    (10, RATES, 1000),
    (None, RATES, 500),
    (None, RATES[1:], LADDER[0]),
    (None, RATES[1:3], LADDER[0]),
    (3, RATES[1:3], LADDER[0]),
    (1, RATES[1:3], LADDER[0]),
)


@dataclasses.dataclass(frozen=True)
class Plan:
    """A comparison, and the seconds that it is expected to train.

    `step_counts`: all training steps and, where the seeds can decide, half of them,
    with which it is seen what more of them would give. `dial`: whether a loss that a
    pilot may add is counted in the seconds; `added`: what that one takes.
    """

    seeds: tuple[int, ...]
    learning_rates: tuple[float, ...]
    step_counts: tuple[int, ...]
    seconds: float
    dial: bool
    added: float


def plans(losses: int, cost: Cost, dial: bool) -> Iterator[Plan]:
    """Every comparison that is worth having, the best first.

    Args:
      losses: how many take part beside the one that a pilot may add.
      cost: of one run.
      dial: whether a pilot may add one.
    """
    enough = statistics.seeds_needed(losses + dial - 1)
    for seeds, rates, fewest in _WISHES:
        count = seeds or enough
        for steps in sorted(LADDER, reverse=True):
            if steps >= fewest and (count >= enough or not dial):
                runs = len(rates) * count
                lengths = (steps, steps // 2) if count >= enough else (steps,)
                added = runs * sum(cost.of(DIALLED * length) for length in lengths)
                seconds = runs * losses * sum(map(cost.of, lengths)) + dial * added
                yield Plan(tuple(range(count)), rates, lengths, seconds, dial, added)


def best_within(
    losses: int, cost: Cost, seconds: float, dial: bool = False
) -> tuple[Plan, bool]:
    """The best that fits, and True; the shortest of all, and False, where none does.

    A loss that a pilot may add is given up before seeds that can decide.
    """
    every = list(plans(losses, cost, False))
    added = plans(losses, cost, True) if dial else ()
    for one in (*added, *every):
        if one.seconds <= seconds:
            return one, True
    return min(every, key=lambda one: one.seconds), False
