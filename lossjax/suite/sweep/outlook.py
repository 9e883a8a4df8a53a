"""What is ahead of a sweep, in a line: how many runs of what, and how long."""

import math
import statistics as stdlib
import time
from collections.abc import Callable, Iterable

from lossjax.suite.config import Sweep
from lossjax.suite.store.results import Result
from lossjax.suite.wording import count

_SOON_S, _ENOUGH = 3.0, 0.02  # when the pace of what trains is known


def grid(sweep: Sweep, runs: int) -> str:
    """500 runs: 10 losses x 5 learning rates x 10 seeds."""
    axes = {
        "dataset": len(sweep.datasets),
        "model": len(sweep.models),
        "latent size": len(sweep.code_sizes),
        "budget": len(sweep.step_counts),
    }
    parts = [count(n, noun) for noun, n in axes.items() if n > 1]
    parts.append(count(len(sweep.losses), "loss"))
    parts.append(
        f"{count(sweep.tries, 'value')} of dial and learning rate"
        if sweep.tuned
        else count(len(sweep.learning_rates), "learning rate")
    )
    parts.append(count(len(sweep.seeds), "seed"))
    return f"{count(runs, 'run')}: {' x '.join(parts)}"


def by_stored(stored: Iterable[Result], left: int) -> str:
    """How long the rest takes, by what is stored; empty where nothing is."""
    took = [r.provenance.get("seconds") for r in stored if r.status == "ok"]
    known = [seconds for seconds in took if isinstance(seconds, int | float)]
    return f"about {stdlib.median(known) * left:.0f} s" if known else ""


class Pace:
    """Says once how long the rest takes, as soon as what trains shows it."""

    def __init__(self, total: int, say: Callable[[str], None]) -> None:
        self._total, self._say = total, say
        self._began, self._first, self._done = math.nan, 0, 0
        self._said = False

    def tick(self, steps: int) -> None:
        """So many steps more are done; the first ones hold a wait for compilation."""
        self._done += steps
        if self._said:
            return
        if not self._first:
            self._began, self._first = time.monotonic(), self._done
            return
        took, steps = time.monotonic() - self._began, self._done - self._first
        if took >= _SOON_S and steps >= _ENOUGH * self._total:
            left = (self._total - self._done) * took / steps
            self._said = True
            self._say(f"about {left:.0f} s remain")
