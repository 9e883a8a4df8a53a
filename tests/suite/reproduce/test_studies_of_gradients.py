"""Studies of gradients and starts: planted faults in their rows are findings."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pandas as pd

from lossjax.suite.reproduce import folder
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.reproduce.finding import Verdict
from lossjax.suite.reproduce.study import Conclusion, Record
from lossjax.suite.statistics import Scores


def evidence(name: str) -> Record:
    """What is published of a study."""
    return folder.record_of(STUDIES[name], folder.PUBLISHED / name)


def concluded(
    name: str, step: str, change: Callable[[pd.DataFrame], None]
) -> Conclusion:
    """The study's outcome once a step's table is changed."""
    own = evidence(name)
    table = own.tables[step].copy()
    change(table)
    tables = dict(own.tables) | {step: table}
    return STUDIES[name].conclude(dataclasses.replace(own, tables=tables))


def differs(outcome: Conclusion) -> set[str]:
    return {f.what for f in outcome.findings if f.verdict == Verdict.DIFFERS}


def test_a_gradient_a_thousandth_off_is_seen() -> None:
    def change(table: pd.DataFrame) -> None:
        table.loc[table.loss == "gce", "slope"] *= 1.001

    found = differs(concluded("gradients", "curves", change))
    assert found == {"gce: dL/dz against algebra"}


def test_a_loss_that_saturates_where_it_should_not_is_seen() -> None:
    def change(table: pd.DataFrame) -> None:
        far = (table.loss == "bce") & (table.z > 8)
        table.loc[far, "slope"] *= np.exp(-0.5 * table.loc[far, "z"])

    found = differs(concluded("gradients", "curves", change))
    assert found == {"bce: exponent of decay at a wrong answer"}


def test_a_neuron_that_learns_faster_than_the_book_is_seen() -> None:
    def change(table: pd.DataFrame) -> None:
        table.loc[(table.cost == "quadratic") & (table.epoch == 300), "output"] *= 0.9

    outcome = concluded("saturated_neuron", "descents", change)
    assert len(differs(outcome)) == 2


def test_an_arm_that_does_not_get_there_has_no_ratio() -> None:
    """One seed of bce that never comes: counted, and no price of that start."""
    own = evidence("surgery")
    grid = "adam, white 8, tuned"
    (trial,) = own.trials[grid]
    times = trial.columns["diag_steps_to_quarter"]
    late = np.where(np.arange(len(times["bce"].values)), times["bce"].values, np.nan)
    columns = dict(trial.columns) | {
        "diag_steps_to_quarter": dict(times) | {"bce": Scores(late)}
    }
    changed = dataclasses.replace(trial, columns=columns)
    trials = dict(own.trials) | {grid: (changed,)}
    study = STUDIES["surgery"]
    assert not any("get there" in x for x in differs(study.conclude(own)))
    outcome = study.conclude(dataclasses.replace(own, trials=trials))
    assert f"{grid}: `bce` gets there and `mse` does not on every seed" in differs(
        outcome
    )
    line = next(x for x in outcome.table.to_dict("records") if x["condition"] == grid)
    assert line["steps, `bce`"] == "5 of 6 get there"
    assert line["price of the start, `bce`"] == "5 of 6 get there"
    assert "on 23 of 24" in study.answer(outcome.counts)  # type: ignore[misc]


def test_losses_whose_names_are_swapped_are_seen() -> None:
    """mse's scores as bce's: the sigmoid's plateau is then on the wrong side."""
    own = evidence("link_and_start")
    assert not any("behind a sigmoid" in x for x in bad_starts(own.trials, "white"))
    swapped = {"bce": "mse", "mse": "bce"}
    trials = {
        start: [
            dataclasses.replace(
                trial,
                arms={swapped.get(loss, loss): arm for loss, arm in trial.arms.items()},
            )
            for trial in found
        ]
        for start, found in own.trials.items()
    }
    assert any("behind a sigmoid" in x for x in bad_starts(trials, "white"))


def bad_starts(trials, start: str) -> set[str]:
    own = dataclasses.replace(evidence("link_and_start"), trials=trials)
    found = differs(STUDIES["link_and_start"].conclude(own))
    return {what for what in found if what.startswith(start)}
