"""What a study is, and what it hands back; the table of studies is in `table`."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from experiments import statistics
from experiments.config import Sweep
from experiments.statistics import Arm, Ranking


@dataclasses.dataclass(frozen=True)
class Judge:
    """The metric that decides, as sweep.json describes it."""

    metric: str
    direction: str
    margin: float
    relative: bool

    def rank(self, arms: Mapping[str, Arm], margin: float | None = None) -> Ranking:
        """The ranking of a sweep's report, by default with the metric's own margin."""
        return statistics.rank(
            arms,
            direction=self.direction,
            margin=self.margin if margin is None else margin,
            relative=self.relative,
        )


@dataclasses.dataclass(frozen=True)
class Trial:
    """One dataset of a grid: every loss's scores by seed, and the rate it was given."""

    dataset: str
    arms: Mapping[str, Arm]
    rates: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One line of a study: what was expected, what was found, and whether they agree.

    `decides` is False where a number is told for the reader and nothing was expected.
    """

    what: str
    expected: str
    ours: str
    holds: bool
    reason: str = ""
    decides: bool = True

    @property
    def verdict(self) -> str:
        if not self.decides:
            return "told"
        return "holds" if self.holds else "differs"


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure and its words for those who do not see it."""

    figure: Figure
    alt: str


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a study concludes; everything in it is computed from rows."""

    findings: Sequence[Finding]
    table: pd.DataFrame
    drawing: Drawing
    counts: Mapping[str, Any]  # JSON-ready, for summary.json

    @property
    def holds(self) -> bool:
        return all(finding.holds for finding in self.findings if finding.decides)


Trials = Mapping[str, Sequence[Trial]]  # by grid


@dataclasses.dataclass(frozen=True)
class Study:
    """One row of the table of studies.

    `grids` gives the sweeps to train, by name, small ones where it is told True;
    `conclude` counts and draws from their trials.
    """

    name: str
    what: str
    source: str
    data: str
    grids: Callable[[bool], Mapping[str, Sweep]]
    conclude: Callable[[Trials, Judge], Outcome]
