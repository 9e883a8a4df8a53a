"""Two sweeps beside each other: what was asked, what flipped, what moved."""

import dataclasses
import re
from pathlib import Path

import pytest
import stored_sweeps

from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.report.__main__ import main
from lossjax.suite.store.results import Result

OLD = Sweep(
    losses=("bce", "mse", "mae"), learning_rates=(3e-3,), seeds=tuple(range(10))
)
NEW = dataclasses.replace(
    OLD, losses=("bce", "mae"), train_steps=200, seeds=tuple(range(4, 16))
)


def mae_wins(result: Result) -> Result:
    """mae is better by 0.005 on every seed, and a little more on every second one."""
    if result.run.loss != "mae":
        return result
    less = 0.005 + 1e-5 * (result.run.seed % 2)
    error = result.metrics["test_mse"] - less
    return dataclasses.replace(result, metrics=result.metrics | {"test_mse": error})


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    new, old = tmp_path / "new", tmp_path / "old"
    stored_sweeps.write(old, OLD)
    stored_sweeps.write(new, NEW, mae_wins)
    return new, old


def test_what_changed_is_said_and_shown(
    both: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    new, old = both
    assert main([f"--out={new}", f"--against={old}"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"train_steps: \d+ before, 200 now", said)
    assert (
        "digits / conv_ae, mse: mae is now tied for best; "
        "bce is no longer tied for best." in said  # mse is not in both
    )
    page = (new / "against.html").read_text()
    assert "over 6 shared seeds" in page  # 4 to 9, not all that either has
    # Half of the shared seeds are odd: 0.005005, with an interval far from 0.
    assert re.search(r'num best"[^>]*>-0.00500500? <span class="half">\[', page)
    assert re.search(r">bce</code></th>|<code>bce</code>", page)
    assert {path.name for path in new.iterdir()} == {
        *("against.html", "runs", "sweep.json")
    }


def test_nothing_in_common_is_bad_usage(
    tmp_path: Path, both: tuple[Path, Path]
) -> None:
    other = tmp_path / "other"
    sweep = dataclasses.replace(OLD, datasets=("patches",))
    stored_sweeps.write(other, sweep)
    with pytest.raises(UserError, match="in common"):
        main([f"--out={both[0]}", f"--against={other}"])
    (both[0] / "against.html").write_text("mine")
    with pytest.raises(UserError, match="not written by this suite"):
        main([f"--out={both[0]}", f"--against={both[1]}"])
