"""The table of the answer by training steps: from rows, paired by the seed."""

import dataclasses
import re
from pathlib import Path

import pandas as pd
import stored_sweeps

from lossjax.suite.config import Sweep
from lossjax.suite.docs import steps_table
from lossjax.suite.report import published
from lossjax.suite.report.build import build
from lossjax.suite.store.results import Result

SWEEP = Sweep(
    losses=("bce", "mse", "mae"), learning_rates=(3e-3,), seeds=tuple(range(10))
)
METRICS = ("mae", "excess_bce", "sharpness_error")


def scored(result: Result) -> Result:
    """Every metric of the table; mae's absolute error 5 % above bce's on each seed."""
    better = 1000 / result.run.train_steps
    own = {f"test_{name}": 0.1 + result.run.seed / 1000 for name in METRICS}
    own["test_mse"] = better * result.metrics["test_mse"]
    if result.run.loss == "mae":
        own["test_mae"] *= 1.05
    return dataclasses.replace(result, metrics={**result.metrics, **own}, kept=None)


def test_columns_are_budgets_and_differences_are_paired(tmp_path: Path) -> None:
    facts = dict(stored_sweeps.METRICS)
    facts |= {name: facts["mse"] for name in METRICS}
    for name, budgets in (("digits", ()), ("digits_budgets", (2500, 5000))):
        out, sweep = tmp_path / name, dataclasses.replace(SWEEP, budgets=budgets)
        described = stored_sweeps.describe(sweep) | {"metrics": facts}
        stored_sweeps.write(out, sweep, scored, described)
        build(out)
        published.publish(out, tmp_path / "published" / name)
    place = tmp_path / "published"
    lines = steps_table.steps_table(place).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == ["", "1,000 steps", "2,500 steps", "5,000 steps"]
    table = {line[0]: line[1:] for line in cells[2:]}
    assert table["squared error of bce, of mse"][0] == "0.00994, 0.00995"
    # Seeds differ by more than the losses do, and the interval has no width but this.
    assert table["`mae` against `bce` by mae"] == ["+5.0 % [+4.9, +5.1]"] * 3
    assert table["`mse` against `bce` by excess_bce"] == ["+0.0 % [+0.0, +0.0]"] * 3
    assert table["tied for best by mse"][2] == "`bce`, `mse`"
    assert table["are so many steps enough?"] == ["not known", "not known", "settled"]
    # The seeds of one loss dealt to others: the differences move.
    rows = pd.read_csv(place / "digits" / "rows.csv")
    mine = (rows["loss"] == "mae") & rows["chosen"]
    rows.loc[mine, "test_mae"] = rows.loc[mine, "test_mae"].to_numpy()[::-1]
    rows.to_csv(place / "digits" / "rows.csv", index=False)
    (crossed,) = (
        line
        for line in steps_table.steps_table(place).splitlines()
        if "`mae` against `bce` by mae" in line
    )
    low, high = map(float, re.findall(r"\[(\S+), (\S+)\]", crossed)[0])
    assert low < 2 and high > 8
