"""What the answer on digits rests on: the same comparison after more training steps."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from lossjax.suite import statistics
from lossjax.suite.shipped import PUBLISHED
from lossjax.suite.statistics import Interval

SWEEPS = ("digits", "digits_budgets")  # their rows make the columns
# One loss against bce by a metric; in per cent where True.
AGAINST = (
    ("mse", "mse", True),
    ("mse", "ssim", False),
    ("mse", "excess_bce", True),
    ("mae", "mae", True),
)
TIED = ("mse", "excess_bce", "sharpness_error", "ssim")


def steps_table(place: Path = PUBLISHED) -> str:
    """Losses against bce, and those tied for best, by the number of training steps."""
    columns = dict(sorted(_columns(place)))
    lines = [
        [name, *(column[name] for column in columns.values())]
        for name in next(iter(columns.values()))
    ]
    head = ("", *(f"{steps:,} steps" for steps in columns))
    return tabulate(lines, head, tablefmt="pipe", disable_numparse=True)


def _columns(place: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for name in SWEEPS:
        folder = place / name
        rows = pd.read_csv(folder / "rows.csv")
        stated = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        (models,) = (one["models"] for one in stated["datasets"].values())
        for label, facts in models.items():
            axis = re.search(r"train_steps=(\d+)", label)
            steps = int(axis[1]) if axis else int(rows["train_steps"].iloc[0])
            mine = rows[rows["chosen"] & rows["train_steps"].eq(steps)]
            yield steps, _column(mine, facts)


def _column(rows: pd.DataFrame, facts: Mapping[str, Any]) -> dict[str, str]:
    """One budget's cells by their line's name; `rows` are those that count."""

    def scores(loss: str, metric: str) -> pd.Series:
        own = rows[rows["loss"] == loss].set_index("seed")
        return own[f"test_{metric}"].sort_index()

    cells = {"losses compared": str(rows["loss"].nunique())}
    errors = (f"{scores(loss, 'mse').mean():.5f}" for loss in ("bce", "mse"))
    cells["squared error of bce, of mse"] = ", ".join(errors)
    for loss, metric, in_percent in AGAINST:
        base = scores("bce", metric)
        gap = statistics.interval((scores(loss, metric) - base).to_numpy())
        scale = 100 / base.mean() if in_percent else 1
        name = f"`{loss}` against `bce` by {metric}"
        cells[name] = _signed(gap, scale, in_percent)
    for metric in TIED:
        ranking = facts["metrics"][metric]["ranking"]
        tied = ", ".join(f"`{line['loss']}`" for line in ranking if line["best_set"])
        cells[f"tied for best by {metric}"] = tied
    cells["are so many steps enough?"] = facts["settled"]
    return cells


def _signed(gap: Interval, scale: float, in_percent: bool) -> str:
    places, unit = (1, " %") if in_percent else (4, "")
    center, low, high = (scale * end for end in (gap.center, gap.low, gap.high))
    limits = f"{low:+z.{places}f}, {high:+z.{places}f}"
    return f"{center:+z.{places}f}{unit} [{limits}]"
