"""The rows as Parquet are those of rows.csv, with types."""

import csv
from pathlib import Path

import pandas as pd
import pytest
import stored_sweeps

from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.report.__main__ import main

SWEEP = Sweep(losses=("bce", "mae"), learning_rates=(3e-3, 1e-2), seeds=(0, 1))


def test_parquet_holds_the_rows(tmp_path: Path) -> None:
    stored_sweeps.write(tmp_path / "out", SWEEP)
    file = tmp_path / "rows.parquet"
    assert main([f"--out={tmp_path / 'out'}", f"--export={file}"]) == 0
    frame = pd.read_parquet(file)
    with open(tmp_path / "out/report/rows.csv", newline="") as text:
        rows = list(csv.DictReader(text))
    assert list(frame) == list(rows[0]) and len(frame) == len(rows) == 8
    assert frame["chosen"].dtype == bool
    for name in ("val_mse", "learning_rate"):
        assert frame[name].tolist() == [float(row[name]) for row in rows]
    held = [row["test_mse"] != "" for row in rows]
    assert frame["test_mse"].notna().tolist() == held and not all(held)


@pytest.mark.parametrize("name", ["rows.xlsx", "mine.parquet", "no/rows.parquet"])
def test_what_cannot_be_written_is_refused_first(tmp_path: Path, name: str) -> None:
    (tmp_path / "mine.parquet").write_text("my own")
    with pytest.raises(UserError, match="--export"):
        main([f"--out={tmp_path}", f"--export={tmp_path / name}"])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.parquet"]
