"""What a study is, and what it hands back; the table of studies is in `table`."""

import dataclasses
import enum
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite import statistics
from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.finding import Finding, Verdict
from lossjax.suite.statistics import Arm, Interval, Ranking

if TYPE_CHECKING:
    from lossjax.suite.data import Dataset


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
    """One dataset and model of a grid: every loss's scores by seed, and its rate.

    `arms` are the judge's. `columns` holds an arm a loss for every column that the
    study names, `validation_loss` and the judge's included; `curves` every seed's
    curve of a column that names one.
    """

    dataset: str
    arms: Mapping[str, Arm]
    rates: Mapping[str, float]
    model: str = ""
    columns: Mapping[str, Mapping[str, Arm]] = dataclasses.field(default_factory=dict)
    curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]] = dataclasses.field(
        default_factory=dict
    )

    def mean(self, loss: str, column: str) -> Interval:
        """Mean over seeds with its interval; NaN where a seed was lost."""
        return statistics.interval(self.columns[column][loss].values)


Trials = Mapping[str, Sequence[Trial]]  # by grid


@dataclasses.dataclass(frozen=True)
class Evidence:
    """All that a study concludes from: what was stored, and nothing else."""

    trials: Trials
    tables: Mapping[str, pd.DataFrame]  # by step
    judge: Judge | None  # None where there are no grids
    made: Mapping[str, Any]  # how the rows were made; see `folder`

    @property
    def quick(self) -> bool:
        return bool(self.made["quick"])

    def trial(self, grid: str, model: str | None = None) -> Trial:
        """The one trial of a grid, or of a model of it."""
        (found,) = (t for t in self.trials[grid] if model in (None, t.model))
        return found


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A figure and its words for those who do not see it.

    `name` is empty for a study's first figure, whose file has the study's name; that
    of a further one is added to it.
    """

    figure: Figure
    alt: str
    name: str = ""


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What a study concludes; everything in it is computed from rows."""

    findings: Sequence[Finding]
    table: pd.DataFrame
    drawings: Sequence[Drawing]
    counts: Mapping[str, Any]  # JSON-ready, for summary.json

    @property
    def holds(self) -> bool:
        return all(f.verdict != Verdict.DIFFERS for f in self.findings)


@dataclasses.dataclass(frozen=True)
class Task:
    """What a step is given: the datasets that the study needs, by its names for them.

    `quick` asks for a small version.
    """

    quick: bool
    data: Mapping[str, "Dataset"]


class Size(enum.StrEnum):
    """How much of a study is trained."""

    QUICK = "quick"  # shows that it runs
    USUAL = "usual"  # what is published
    FULL = "full"  # as the source did it, where the usual size is smaller


# What is computed beside the grids: a table of one fact a line. Only in here may a
# study import jax or lossjax, inside the function, so that stored rows need neither.
Step = Callable[[Task], pd.DataFrame]


def no_grids(quick: bool) -> Mapping[str, Sweep]:
    """Of a study that trains nothing."""
    return {}


@dataclasses.dataclass(frozen=True)
class Study:
    """One row of the table of studies; its file's docstring is its text.

    Attributes:
      name: as `reproduce` takes it; also the folder of its rows.
      what: the question, in a line.
      source: who published what is rebuilt.
      conclude: counts and draws from the stored rows.
      grids: the sweeps to train, by name, small ones where it is told True. A dataset
        of `needs` goes by that name, wherever it lies.
      full: the sweeps at the source's own size, where `grids` are smaller.
      columns: what is kept of every run beside its own validation loss and the
        judge's test score: `val_METRIC`, `test_METRIC`, or a whole curve
        `curve_step`, `curve_train_loss`, `curve_validation_loss`,
        `curve_validation_mse`.
      steps: what is computed beside the grids, by name.
      needs: datasets that must be there, by name; steps are given them.
      wishes: datasets that steps are given where they are there; usual-size rows are
        published with all of them.
    """

    name: str
    what: str
    source: str
    conclude: Callable[[Evidence], Outcome]
    grids: Callable[[bool], Mapping[str, Sweep]] = no_grids
    columns: tuple[str, ...] = ()
    steps: Mapping[str, Step] = dataclasses.field(default_factory=dict)
    needs: tuple[str, ...] = ()
    wishes: tuple[str, ...] = ()
    full: Callable[[], Mapping[str, Sweep]] | None = None

    def sweeps(self, size: Size) -> Mapping[str, Sweep]:
        """The sweeps to train at a size, by name."""
        if size == Size.FULL and self.full is not None:
            return self.full()
        return self.grids(size == Size.QUICK)

    @property
    def module(self) -> types.ModuleType:
        """The study's file."""
        return sys.modules[self.conclude.__module__]

    @property
    def text(self) -> str:
        """The docstring of its file: question, source, protocol, every deviation."""
        return self.module.__doc__ or ""
