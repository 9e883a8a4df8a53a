"""Pixels that count: the report's table of them, recomputed and tampered with."""

import copy
from pathlib import Path
from typing import Any

import pytest
import stored_sweeps

from lossjax.suite.config import Sweep
from lossjax.suite.report import build
from lossjax.suite.verify.verification import problems

SWEEP = Sweep(losses=("bce", "mse"), seeds=(0, 1))
FACTS = {
    "levels": 0,
    "black": -1.0,
    "white": 1.0,
    "masked": True,
    "counted": {"train": 40_000, "validation": 9_600, "test": 19_200},
    "balance": [{"mean": 0.25, "dark": 0.6, "bright": 3.0}],
}


def stored(out: Path, **changed: Any) -> Path:
    described = copy.deepcopy(stored_sweeps.describe(SWEEP))
    described["datasets"]["digits"]["pixels"] = FACTS | changed
    stored_sweeps.write(out, SWEEP, description=described)
    build.build(out)
    return out / "report"


def test_a_report_says_how_many_pixels_count(tmp_path: Path) -> None:
    report = stored(tmp_path)
    page = (report / "index.html").read_text(encoding="utf-8")
    for words in (
        "floats, from -1 (black) to 1 (white)",
        "bits per dimension are not defined",
        "a mask says which count",
        "above the mean 0.25 weighs 3, another 0.6",
        "52.21%",
    ):
        assert words in page
    assert not list(problems(tmp_path))
    table = report / "tables" / "pixels.csv"
    table.write_text(table.read_text().replace(",9600,", ",9601,"))
    assert any(
        "pixels.csv: digits / validation" in line and "counted is '9601'" in line
        for line in problems(tmp_path)
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"counted": {"train": 40_000, "validation": 0, "test": 19_200}},
        {"counted": {"train": 80_000, "validation": 9_600, "test": 19_200}},
        {"counted": {"train": 40_000, "test": 19_200}},
        {"masked": False},
    ],
)
def test_verify_knows_how_many_pixels_can_count(tmp_path: Path, changed: Any) -> None:
    stored(tmp_path, **changed)
    assert any("pixels count" in line for line in problems(tmp_path))
