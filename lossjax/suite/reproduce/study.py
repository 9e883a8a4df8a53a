"""What a study is, what it is given, and what it hands back."""

import dataclasses
import enum
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lossjax.suite import statistics
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.reproduce import configs
from lossjax.suite.reproduce.finding import Finding
from lossjax.suite.statistics import Interval, Ranking, Scores
from lossjax.syntax import TUNE

if TYPE_CHECKING:
    from lossjax.suite.data import Dataset

_LINKS = "Links:"
_DIAL = re.compile(rf"=\s*{TUNE}\s*\(")  # as it is written, not canonical


@dataclasses.dataclass(frozen=True)
class Judge:
    """The metric that decides, as sweep.json describes it."""

    metric: str
    direction: str
    margin: float
    relative: bool

    def rank(self, arms: Mapping[str, Scores], margin: float | None = None) -> Ranking:
        """The ranking of a sweep's report, by default with the metric's own margin."""
        return statistics.rank(
            arms,
            direction=self.direction,
            margin=self.margin if margin is None else margin,
            relative=self.relative,
        )


@dataclasses.dataclass(frozen=True)
class Trial:
    """One setting of a grid: every loss's scores by seed, and the rates chosen.

    `arms` are the judge's; `rates` has a learning rate per seed, NaN where it was lost.
    `model` bears the values of axes that have several, as in a report. `columns` holds
    an arm a loss for every column that the study names, `validation_loss` and the
    judge's included; `curves` every seed's curve of a column that names one.
    """

    dataset: str
    arms: Mapping[str, Scores]
    rates: Mapping[str, np.ndarray]
    model: str = ""
    columns: Mapping[str, Mapping[str, Scores]] = dataclasses.field(
        default_factory=dict
    )
    curves: Mapping[str, Mapping[str, Sequence[Sequence[float]]]] = dataclasses.field(
        default_factory=dict
    )

    def mean(self, loss: str, column: str) -> Interval:
        """Mean over seeds with its interval; NaN where a seed was lost."""
        return statistics.interval(self.columns[column][loss].values)


Trials = Mapping[str, Sequence[Trial]]  # by grid


@dataclasses.dataclass(frozen=True)
class Record:
    """All that a study concludes from: what was stored, and nothing else."""

    trials: Trials
    tables: Mapping[str, pd.DataFrame]  # by step
    judge: Judge | None  # None where there are no grids
    made: Mapping[str, Any]  # how the rows were made; see `folder`
    judges: Mapping[str, Judge] = dataclasses.field(default_factory=dict)  # of columns

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
class Conclusion:
    """What a study concludes; everything in it is computed from rows."""

    findings: Sequence[Finding]
    table: pd.DataFrame
    drawings: Sequence[Drawing]
    counts: Mapping[str, Any]  # JSON-ready, for summary.json


@dataclasses.dataclass(frozen=True)
class Task:
    """What a step is given: the datasets that the study needs, by its names for them.

    `quick` asks for a small version. Of a study in parts a step is called for each,
    with its name, the data of its sweep, the `sweep` under the study's names and the
    folder of its `runs`; what the step trains itself it may keep beside that folder.
    """

    quick: bool
    data: Mapping[str, "Dataset"]
    part: str = ""
    sweep: Sweep | None = None
    runs: Path | None = None


class Size(enum.StrEnum):
    """How much of a study is trained."""

    QUICK = "quick"  # shows that it runs
    USUAL = "usual"  # what is published
    FULL = "full"  # as the source did it, where the usual size is smaller


# What is computed beside the grids: a table of one fact a line. Only in here may a
# study import jax or lossjax, inside the function, so that stored rows need neither.
Step = Callable[[Task], pd.DataFrame]


@dataclasses.dataclass(frozen=True)
class Study:
    """What the file of a study ends in: `STUDY = Study(conclude, ...)`.

    The file's name is the study's. Its docstring is its text: the question in the first
    line, then paragraphs, of which one begins with "Source: "; its addresses, one a
    line, below "Links:"; protocol, deviations.

    Attributes:
      conclude: counts and draws from the stored rows.
      config: what it trains, as `./run.sh sweep --config=` takes it; empty: nothing. A
        dataset of `needs` goes by that name, wherever it lies.
      columns: what is kept of every run beside its own validation loss and the
        judge's test score: `val_METRIC`, `test_METRIC`, or a whole curve
        `curve_step`, `curve_train_loss`, `curve_validation_loss`,
        `curve_validation_mse`.
      steps: what is computed beside the sweeps, by name.
      needs: datasets that must be there, by name; steps are given them.
      wishes: datasets that steps are given where they are there; usual-size rows are
        published with all of them, those of a study in parts without.
      answer: the study's counts in words, for a page of the docs.
      parts: each sweep is stored by itself, in a folder of its name, and published when
        it is whole; those without their data are left out. Tables of steps have the
        name of the sweep as their first column, `sweep`.
      file, text: where it stands, and its docstring; the catalogue sets them.
    """

    conclude: Callable[[Record], Conclusion]
    config: str = ""
    columns: tuple[str, ...] = ()
    steps: Mapping[str, Step] = dataclasses.field(default_factory=dict)
    needs: tuple[str, ...] = ()
    wishes: tuple[str, ...] = ()
    answer: Callable[[Mapping[str, Any]], str] | None = None
    parts: bool = False
    file: Path = Path()
    text: str = ""

    @property
    def name(self) -> str:
        """As `reproduce` takes it; also the folder of its rows."""
        return self.file.stem

    @property
    def what(self) -> str:
        """The question, in a line."""
        return self.text.partition("\n")[0]

    @property
    def source(self) -> str:
        """Who published what is rebuilt."""
        mark = "Source: "
        for paragraph in self.paragraphs:
            if paragraph.startswith(mark):
                return " ".join(paragraph.removeprefix(mark).split())
        return ""

    @property
    def links(self) -> Sequence[str]:
        """Addresses of the sources."""
        every = self.text.split("\n\n")
        found = (words for words in every if words.startswith(_LINKS))
        return next(found, _LINKS).split()[1:]

    @property
    def paragraphs(self) -> Sequence[str]:
        """All but the question and the links."""
        every = self.text.split("\n\n")[1:]
        return [words for words in every if not words.startswith(_LINKS)]

    def sweeps(self, size: Size) -> Mapping[str, Sweep]:
        """The sweeps to train at a size, by name.

        Raises:
          UserError: as `configs.sweeps`; also a loss with a dial.
        """
        sweeps = configs.sweeps(self.config, size) if self.config else {}
        for loss in (loss for sweep in sweeps.values() for loss in sweep.losses):
            if _DIAL.search(loss):
                raise UserError(
                    f"study {self.name}: config {self.config}: {loss}: rows of a study "
                    "are of single losses; name each value as a loss of its own"
                )
        return sweeps

    @property
    def larger(self) -> bool:
        """Whether the source's own size is more than the usual one."""
        return self.sweeps(Size.FULL) != self.sweeps(Size.USUAL)
