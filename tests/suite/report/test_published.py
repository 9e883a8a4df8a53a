"""Published evidence is a true copy, and tables in a text are made from it."""

import dataclasses
import filecmp
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import stored_sweeps

from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.report import published
from lossjax.suite.report.build import build
from lossjax.suite.shipped import PUBLISHED
from lossjax.suite.store.results import Result
from lossjax.suite.verify import agreement
from lossjax.suite.verify.standings import rank

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


def derived(rows: pd.DataFrame, stated: dict[str, Any]) -> Iterator[str]:
    """Where summary.json is not what its rows give, by code of verify's own."""
    for dataset, models in stated["datasets"].items():
        for model, facts in models["models"].items():
            steps = re.search(r"train_steps=(\d+)", model)
            mine = rows[rows["dataset"].eq(dataset)]
            mine = mine[mine["train_steps"].eq(int(steps[1]))] if steps else mine
            chosen = mine[mine["chosen"]]
            for metric, column in facts["metrics"].items():
                losses = [line["loss"] for line in column["ranking"]]
                scores = chosen.pivot(
                    index="seed", columns="loss", values=f"test_{metric}"
                )
                scores = scores.reindex(sorted(set(mine["seed"])), columns=losses)
                counts = {
                    loss: {
                        "lost": len(scores) - int((chosen["loss"] == loss).sum()),
                        **{s: int((own["status"] == s).sum()) for s in STATUSES},
                    }
                    for loss in losses
                    for own in [mine[mine["loss"] == loss]]
                }
                margin = {"value": column["margin"], "relative": False}
                ranked = rank(scores, counts, column["direction"], margin)
                if list(ranked.lines) != losses:
                    yield f"{model} {metric}: the order is {losses}"
                for line in column["ranking"]:
                    right = ranked.lines[line["loss"]]
                    for name in LINE:
                        if not agreement.cell(right[name], line[name]):
                            yield f"{model} {metric} {line['loss']}: {name}"


STATUSES = ("diverged", "failed")
LINE = ("center", "low", "high", "n", "lost", *STATUSES, "best_set", "word")
# Of losses that are metrics, so that rows.csv says by what their seeds chose.
OWN = {"mse": "mse", "mae": "mae", "bce": "bce", "mse_linear": "mse"}


def of_this_protocol(folder: Path) -> bool:
    return json.loads((folder / "summary.json").read_text()).get("schema") == 2


@pytest.mark.parametrize(
    "folder",
    [p.parent for p in PUBLISHED.glob("*/rows.csv") if of_this_protocol(p.parent)],
    ids=lambda folder: folder.name,
)
def test_a_published_summary_follows_from_its_rows(folder: Path) -> None:
    rows = pd.read_csv(folder / "rows.csv")
    stated = json.loads((folder / "summary.json").read_text())
    assert list(derived(rows, stated)) == []
    seeds = rows.groupby(["dataset", "model", "train_steps", "loss", "seed"])
    for (_, _, steps, loss, seed), runs in seeds:
        chosen = runs[runs["chosen"]]
        assert len(chosen) <= 1
        if loss in OWN and len(chosen):
            own = runs[runs["status"] == "ok"][f"val_{OWN[loss]}"]
            # Of an output image, which is clipped where the loss sees raw values.
            assert own[chosen.index[0]] <= 1.002 * own.min(), (steps, loss, seed)
    # Another score of one seed is noticed, and so is another word.
    (one, *_) = rows[rows["chosen"]].index
    moved = rows.assign(test_mse=rows["test_mse"].where(rows.index != one, 0.02))
    assert any(" mse " in line for line in derived(moved, stated))
    for model in next(iter(stated["datasets"].values()))["models"].values():
        model["metrics"]["mse"]["ranking"][-1]["word"] = "undecided"
    assert any(line.endswith(": word") for line in derived(rows, stated))


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
