"""Published evidence is a true copy, and tables in a text are made from it."""

import dataclasses
import filecmp
from pathlib import Path

import numpy as np
import pytest
import stored_sweeps

from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.report import published
from lossjax.suite.report.build import build
from lossjax.suite.store.results import Result

SWEEP = Sweep(
    losses=("bce", "mae"),
    learning_rates=(3e-3,),
    seeds=tuple(range(10)),
)
TEXT = """\
# Title
<!-- table study digits conv_ae mse psnr -->
old
<!-- end -->
tail
"""
# mse: 0.01 + 0.001 place - 0.6e-4; half interval 2.262 * 2.066e-4 / 3.162.
TABLE = """\
# Title
<!-- table study digits conv_ae mse psnr -->
| loss | mse ↓ | psnr ↑ |
| --- | ---: | ---: |
| `bce` | **0.00994 ± 0.00015** | **20.027 ± 0.064** |
| `mae` | 0.01394 ± 0.00015 | 18.558 ± 0.046 |

Bold: tied for best by the paired test, not by overlapping intervals.
<!-- end -->
tail
"""


def test_a_published_study_makes_the_table(tmp_path: Path) -> None:
    out, studies = tmp_path / "out", tmp_path / "published"
    stored_sweeps.write(out, SWEEP)
    build(out)
    published.publish(out, studies / "study", ("ranking-digits-conv_ae",))
    assert sorted(path.name for path in (studies / "study").iterdir()) == [
        "gallery.npz",
        "ranking-digits-conv_ae.svg",
        "reconstructions-digits-conv_ae.svg",
        "rows.csv",
        "summary.json",
    ]
    for name in ("rows.csv", "summary.json"):
        assert filecmp.cmp(out / "report" / name, studies / "study" / name, False)
    with np.load(studies / "study" / "gallery.npz", allow_pickle=False) as pictures:
        assert sorted(pictures) == [
            "digits|conv_ae|bce",
            "digits|conv_ae|mae",
            "digits|original",
        ]
        assert pictures["digits|conv_ae|mae"].shape == (4, 8, 8, 1)
    assert published.refreshed(TEXT, studies) == TABLE
    assert published.refreshed(TABLE, studies) == TABLE
    assert published.refreshed("no tables", studies) == "no tables"


def test_a_dial_by_hand() -> None:
    """Best, the range of those tied with it, and the standing of two values."""

    def row(loss: str, center: float, best_set: bool) -> dict[str, object]:
        low, high = center - 0.01, center + 0.01
        return {"loss": loss, "center": center, "low": low, "high": high} | {
            "best_set": best_set,
            "diverged": 0,
        }

    ranking = [
        row("mse", 0.1, True),
        row("power", 0.2, True),
        row("power(g=-0.5)", 0.3, True),
        row("power(g=1)", 0.4, False),
    ]
    metrics = {"mse": {"direction": "lower", "ranking": ranking}}
    summary = {"datasets": {"digits": {"models": {"conv_ae": {"metrics": metrics}}}}}
    made = published.dial(summary, "digits", "conv_ae", ["power(g=0.5)", "0.5", "1"])
    assert made.splitlines()[2] == (
        "| mse ↓ | 0.5 | -0.5 to 0.5 | **0.200 ± 0.010** | 0.400 ± 0.010 |"
    )


def test_only_a_whole_sweep_is_published(tmp_path: Path) -> None:
    def lose(result: Result) -> Result | None:
        return None if result.run.seed == 3 else result

    stored_sweeps.write(tmp_path, dataclasses.replace(SWEEP), lose)
    build(tmp_path)
    with pytest.raises(UserError, match="2 runs missing; only a whole sweep"):
        published.publish(tmp_path, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_a_figure_that_is_not_there_is_named(tmp_path: Path) -> None:
    stored_sweeps.write(tmp_path, SWEEP)
    build(tmp_path)
    with pytest.raises(UserError, match="holds no report/figures/pie.svg"):
        published.publish(tmp_path, tmp_path / "study", ("pie",))
