"""A loss with a dial among others: what counts, what is said, what verify finds."""

import dataclasses
import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import stored_sweeps
from rich.console import Console

from lossjax.suite import protocol
from lossjax.suite.config import Sweep
from lossjax.suite.report import build, console
from lossjax.suite.report.display import Comparison
from lossjax.suite.report.evidence import ArmEvidence, read
from lossjax.suite.store.results import Result
from lossjax.suite.verify import archive, comparison, rebuild

DIAL = "huber(delta=tune(0.05, 0.3))"
# mae stands for the second value of the dial; as an arm of its own it shares its runs.
SWEEP = Sweep(
    losses=("bce", DIAL, "mae"),
    tuned=("huber(delta=0.05)", "mae"),
    learning_rates=(3e-3, 1e-2),
    seeds=tuple(range(8)),
)


def luck(result: Result) -> Result:
    """The own value likes the second value of the dial and the small rate.

    Test scores like what neither it nor validation does.
    """
    run = result.run
    own = run.learning_rate * (0.1 if run.loss == "mae" else 1.0)
    turn = 1 if run.seed < 5 else -1
    better = turn * (0.5 if run.loss == "mae" else 0.0)
    metrics = dict(result.metrics)
    metrics["val_mse"] = 1 + better + run.learning_rate
    metrics["test_mse"] = (1 - better / 5 - run.learning_rate) * (1 + 0.01 * run.seed)
    return dataclasses.replace(result, validation_loss=own, metrics=metrics, kept=None)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tuned")
    stored_sweeps.write(place, SWEEP, luck)
    build.build(place)
    return place


def problems(out: Path) -> list[str]:
    return list(comparison.problems(archive.read(out), out / "report"))


def test_each_seed_chooses_its_value_on_validation_images(out: Path) -> None:
    """The rate by the own value; the value by neither that nor the test score."""
    arm = read(out).groups[0].arms[DIAL]
    assert [r.run.loss for r in arm.chosen] == ["huber(delta=0.05)"] * 5 + ["mae"] * 3
    assert {r.run.learning_rate for r in arm.chosen} == {3e-3}
    assert dict(arm.dial) == {"huber(delta=0.05)": 5, "mae": 3}
    assert len(arm.results) == 2 * 2 * 8


def test_every_loss_has_as_many_runs(out: Path) -> None:
    evidence = read(out)
    counts = {loss: len(a.results) for loss, a in evidence.groups[0].arms.items()}
    assert set(counts.values()) == {SWEEP.tries * 8} == {32}
    rates = pd.read_csv(out / "report/tables/rates.csv")
    assert set(rates["runs"]) == {32}


def test_verify_agrees(out: Path) -> None:
    assert problems(out) == [] == list(rebuild.problems(out))


def on_test(results: Sequence[Result], judge: protocol.DialJudge) -> Result:
    return min(results, key=lambda result: result.metrics["test_mse"])


def by_own_value(results: Sequence[Result], judge: protocol.DialJudge) -> Result:
    return min(results, key=lambda result: result.validation_loss)


def upside_down(results: Sequence[Result], judge: protocol.DialJudge) -> Result | None:
    return CHOOSE(results, dataclasses.replace(judge, direction="higher"))


CHOOSE, SPACED = protocol.choose, protocol.spaced


@pytest.mark.parametrize("wrong", [on_test, by_own_value, upside_down])
def test_verify_names_a_wrong_choice(
    out: Path,
    wrong: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(protocol, "choose", wrong)
    build.write(read(out), tmp_path)
    found = list(comparison.problems(archive.read(out), tmp_path))
    assert any("rates.csv" in line and DIAL in line for line in found)
    assert any("rows.csv" in line for line in found)


def test_verify_names_runs_that_are_not_in_an_equal_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "spaced", lambda rates, count: tuple(sorted(rates)))
    sweep = dataclasses.replace(SWEEP, seeds=(0, 1))
    stored_sweeps.write(tmp_path, sweep, luck)
    monkeypatch.undo()
    # bce and mae need the two rates between.
    assert len(archive.read(tmp_path).missing) == 2 * 2 * 2


def test_a_tuned_loss_is_marked_wherever_it_stands(out: Path) -> None:
    note = "dial chosen by mse on validation"
    tables = out / "report/tables"
    for name in ("ranking", "rates", "rate-response", "verdicts"):
        assert note in (tables / f"{name}.csv").read_text(), name
    for ending in ("md", "tex", "csv"):
        assert note in (tables / f"comparison-digits-conv_ae.{ending}").read_text()
        assert note in (tables / f"behind-digits-conv_ae.{ending}").read_text()
    page = (out / "report/index.html").read_text()
    rows = page.count(f"<code>{DIAL}</code>")
    assert page.count(f'<code>{DIAL}</code> <span class="half">({note})</span>') > 3
    assert rows
    buffer = io.StringIO()
    console.render(build.build(out), Console(file=buffer, width=100))
    assert f"{DIAL} †" in buffer.getvalue() and f"† {note}" in buffer.getvalue()
    narrow = io.StringIO()
    console.render(build.build(out), Console(file=narrow, width=72))
    assert "…" not in narrow.getvalue()  # a long name costs no number
    compared = Comparison.of(out).table()
    assert compared.loc[DIAL, "dial"] == note and compared.loc["bce", "dial"] == ""
    assert "huber(delta=0.05) (5), mae (3)" in Comparison.of(out).verdict
    # What it is, in a command, is what the user wrote.
    assert "config.tuned" not in Comparison.of(out).command
    assert f"'--config.losses=bce,{DIAL},mae'" in Comparison.of(out).command


def test_a_sweep_without_a_dial_says_nothing_of_dials(tmp_path: Path) -> None:
    sweep = Sweep(losses=("bce", "mae"), seeds=(0, 1))
    stored_sweeps.write(tmp_path, sweep)
    build.build(tmp_path)
    for path in [tmp_path / "sweep.json", *(tmp_path / "report").rglob("*.csv")]:
        head = path.read_text().partition("\n")[0].split(",")
        assert not {"dial", "arm", "tuned"} & set(head), path
    assert "tuned" not in (tmp_path / "sweep.json").read_text()


def test_a_diverged_value_is_not_chosen(out: Path) -> None:
    arm: ArmEvidence = read(out).groups[0].arms[DIAL]
    runs = list(arm.seeds[0].results)
    judge = protocol.DialJudge("mse", "lower")
    gone = [
        dataclasses.replace(r, status="diverged", validation_loss=math.nan)
        if r.run.loss == "huber(delta=0.05)"
        else r
        for r in runs
    ]
    chosen = protocol.choose(gone, judge)
    assert chosen is not None and chosen.run.loss == "mae"
