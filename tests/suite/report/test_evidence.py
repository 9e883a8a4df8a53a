"""What a report may count: chosen runs, test images, paired seeds, no metric twice."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stored_sweeps
from stored_sweeps import Change

from lossjax.suite.config import Sweep
from lossjax.suite.report import verdict
from lossjax.suite.report.album import Album
from lossjax.suite.report.build import build, content
from lossjax.suite.report.evidence import read
from lossjax.suite.report.sections import budgets
from lossjax.suite.report.tables.matrices import behind
from lossjax.suite.store.results import Result

SWEEP = Sweep(losses=("bce", "mse", "mae"), learning_rates=(1e-3, 3e-3, 1e-2))
Model = dict[str, Any]


@pytest.fixture
def told(tmp_path: Path) -> Callable[..., tuple[Model, str]]:
    """summary.json of a sweep, its last model, and its verdict."""

    def summarised(change: Change, sweep: Sweep = SWEEP) -> tuple[Model, str]:
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        stored_sweeps.write(out, sweep, change)
        summary = content(read(out))
        models = summary["datasets"]["digits"]["models"]
        return list(models.values())[-1], summary["verdict"]

    return summarised


def rescored(result: Result, split: str, **scores: float) -> Result:
    own = {f"{split}_{name}": value for name, value in scores.items()}
    return dataclasses.replace(result, metrics={**result.metrics, **own})


def diverged(result: Result) -> Result:
    return dataclasses.replace(
        result, status="diverged", diverged_step=9, validation_loss=math.nan
    )


def standing(model: Model, metric: str, loss: str) -> Model:
    ranking = model["metrics"][metric]["ranking"]
    return next(row for row in ranking if row["loss"] == loss)


def test_what_no_seed_chose_moves_nothing(tmp_path: Path) -> None:
    """Every seed chooses 3e-3; test scores at other rates are poisoned."""

    def poison(result: Result) -> Result:
        if result.run.learning_rate == 3e-3:
            return result
        wrong = rescored(result, "test", mse=-1e9, psnr=1e9, ssim=math.nan)
        return dataclasses.replace(wrong, kept=None, gallery=None)

    shown = []
    for name, change in (("clean", lambda result: result), ("poison", poison)):
        stored_sweeps.write(tmp_path / name, SWEEP, change)
        report = build(tmp_path / name).page.parent
        shown.append(
            {
                path.relative_to(report): path.read_bytes().replace(
                    str(tmp_path / name).encode(), b"DIR"
                )
                for path in report.rglob("*.*")
                if path.name != "files.json"
            }
        )
    assert [path for path in shown[0] if shown[0][path] != shown[1].get(path)] == []


def test_test_images_rank_and_validation_images_choose(told: Any) -> None:
    def reverse(result: Result) -> Result:
        """On validation images, mae looks best; by its own loss 1e-2 does."""
        wrong = 1e-6 if result.run.loss == "mae" else 1.0
        best = result.run.learning_rate == 1e-2
        return dataclasses.replace(
            rescored(result, "val", mse=wrong, ssim=1 - wrong),
            validation_loss=0.1 if best else 0.2,
        )

    model, _ = told(reverse)
    ranking = model["metrics"]["mse"]["ranking"]
    assert [row["loss"] for row in ranking] == ["bce", "mse", "mae"]
    chosen = 0.010 + 0.004 * math.log10(1e-2 / 3e-3) - 0.6e-4
    assert ranking[0]["center"] == pytest.approx(chosen)


def test_seeds_are_paired(told: Any) -> None:
    """The same scores of one arm dealt to other seeds: every difference moves."""

    def permute(result: Result) -> Result:
        if result.run.loss != "mae":
            return result
        other = dataclasses.replace(result.run, seed=(result.run.seed + 3) % 10)
        return rescored(result, "test", **stored_sweeps.score(other))

    before, after = (
        standing(told(change)[0], "mse", "mae")
        for change in (lambda result: result, permute)
    )
    assert after["center"] == pytest.approx(before["center"])
    assert after["behind"]["center"] == pytest.approx(before["behind"]["center"])
    width = [row["behind"]["high"] - row["behind"]["low"] for row in (before, after)]
    assert width[0] < 1e-9 and width[1] > 1e-4


def test_each_seed_counts_at_the_rate_it_chose(told: Any, tmp_path: Path) -> None:
    """Mae: even seeds choose 1e-3, odd ones 1e-2; each brings its own test score."""

    def split(result: Result) -> Result:
        run = result.run
        if run.loss != "mae":
            return result
        mine = 1e-3 if run.seed % 2 == 0 else 1e-2
        own = 0.1 if run.learning_rate == mine else 0.2
        return dataclasses.replace(
            rescored(result, "test", mse=run.learning_rate), validation_loss=own
        )

    model, said = told(split)
    assert standing(model, "mse", "mae")["center"] == pytest.approx(5.5e-3)
    arm = read(tmp_path / "0").groups[0].arms["mae"]
    assert verdict.chosen(arm) == "0.001 (5), 0.01 (5)"
    assert "at the edge: mae (0.01); --config.learning_rates=0.001,0.003,0.01," in said


@pytest.mark.parametrize(("seeds", "flagged"), [(3, False), (4, True)])
def test_a_third_of_the_seeds_at_an_edge_is_flagged(
    told: Any, seeds: int, flagged: bool
) -> None:
    def lean(result: Result) -> Result:
        run = result.run
        leans = run.seed < seeds and (run.loss, run.learning_rate) == ("bce", 1e-3)
        return dataclasses.replace(result, validation_loss=0.0) if leans else result

    _, said = told(lean)
    line = "--config.learning_rates=0.00033,0.001,0.003,0.01"
    assert (line in said) == flagged == ("bce (0.001)" in said)


def test_a_lost_seed_is_never_tied_and_a_lost_run_is_no_lost_seed(told: Any) -> None:
    def lose(result: Result) -> Result:
        run = result.run
        if (run.loss, run.seed) == ("mse", 4):
            return diverged(result)
        if (run.loss, run.seed, run.learning_rate) == ("bce", 2, 1e-2):
            return diverged(result)
        return result

    assert standing(told(lambda r: r)[0], "mse", "mse")["word"] == "equivalent"
    model, said = told(lose)
    for metric in ("mse", "psnr", "ssim"):
        mse, bce = (standing(model, metric, loss) for loss in ("mse", "bce"))
        assert (mse["word"], mse["best_set"], mse["center"]) == ("worse", False, None)
        assert (mse["lost"], mse["n"], mse["diverged"]) == (1, 9, 3)
        assert (bce["word"], bce["lost"], bce["diverged"]) == ("best", 0, 1)
    assert "mse" not in model["pareto"]
    assert "Lowest mse: bce." in said
    assert "mse has no surviving run on 1 of 10 seeds" in said
    assert "bce diverged in 1 of 30 runs." in said


def test_a_derived_metric_is_shown_and_never_counted(told: Any, tmp_path: Path) -> None:
    """Mae wins by psnr alone, which is derived from mse."""

    def favour(result: Result) -> Result:
        wins = result.run.loss == "mae"
        return rescored(result, "test", psnr=99.0) if wins else result

    model, said = told(favour)
    psnr = model["metrics"]["psnr"]
    assert psnr["derived_from"] == "mse" and psnr["ranking"][0]["loss"] == "mae"
    assert "psnr" not in said and model["pareto"] == ["bce"]
    evidence = read(tmp_path / "0")
    table = behind(evidence, evidence.groups[0])
    assert table is not None
    assert list(table[0].columns) == [
        *("trained with", "mse ↓ (%)", "psnr ↑ (dB), from mse", "ssim ↑"),
    ]


def test_behind_by_hand(told: Any, tmp_path: Path) -> None:
    """Per cent where the margin is relative, units where it is absolute."""
    told(lambda result: result)
    evidence = read(tmp_path / "0")
    table = behind(evidence, evidence.groups[0])
    assert table is not None
    shown, exact = table
    rows = {(r["trained_with"], r["scored_by"]): r for r in exact.to_dict("records")}
    mae = rows["mae", "mse"]  # 0.01394 against 0.00994
    assert mae["behind"] == pytest.approx(100 * 0.004 / 0.00994)
    assert (mae["unit"], mae["word"], mae["trained_on_it"]) == ("%", "worse", False)
    assert rows["mae", "ssim"]["behind"] == pytest.approx(0.02)
    assert rows["bce", "ssim"]["behind"] == 0
    assert list(shown["mse ↓ (%)"]) == ["**0.0**", "**0.1** (trained on it)", "40.2"]


@pytest.mark.parametrize(
    ("loss", "metrics"),
    [
        ("bce", {"excess_bce"}),
        ("mse_linear", {"mse"}),
        ("huber(delta=0.1)", {"huber"}),
        ("ms_ssim_l1", {"ssim", "mae"}),
        ("mix(mae, ssim, weight=0.2)", {"mae", "ssim"}),
        ("mix(bce, huber(delta=0.1), weight=tune(0.2, 0.8))", {"excess_bce", "huber"}),
    ],
)
def test_a_sum_is_judged_by_itself_where_a_part_of_it_is(
    loss: str, metrics: set[str]
) -> None:
    assert set(verdict.trained_on(loss)) == metrics


def test_a_loss_that_wins_its_own_metric_alone_pays_for_it_in_words(told: Any) -> None:
    sweep = dataclasses.replace(SWEEP, losses=("bce", "mae", "ssim"))

    def win(result: Result) -> Result:
        if result.run.loss != "ssim":
            return result
        wiggle = result.run.seed * 1e-6
        return rescored(result, "test", mse=0.0119 + wiggle, ssim=0.99 - wiggle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_sweeps, "LOSSES", stored_sweeps.LOSSES | {"ssim": 3})
        _, said = told(win, sweep)
    assert "Lowest mse: bce." in said
    assert "Highest ssim: ssim (trained on it), at 1.2 times the lowest mse." in said


BUDGETS = dataclasses.replace(SWEEP, budgets=(100, 200), learning_rates=(3e-3,))


def test_equal_answers_at_half_of_the_steps_are_settled(
    told: Any, tmp_path: Path
) -> None:
    def learn(result: Result) -> Result:
        if result.run.train_steps == 200:
            return result
        score = {name: result.metrics[f"test_{name}"] for name in ("mse", "ssim")}
        return rescored(result, "test", mse=2 * score["mse"], ssim=score["ssim"] - 0.1)

    model, said = told(learn, BUDGETS)
    assert model["settled"] == "settled"
    assert model["change"]["mse"] == pytest.approx(-0.5)
    assert (
        "digits / conv_ae[train_steps=200]: Settled: with 100 steps the same losses "
        "are tied for best. From there the best means move: mse -50.0 %, ssim +12.5 %."
    ) in said
    assert "[train_steps=100]: Not known whether 100 steps are enough" in said
    shown = budgets.build(read(tmp_path / "0"), Album(tmp_path / "figures"))
    assert "mse of digits / conv_ae after 100, 200 steps: bce 0.01988" in shown
    assert ">settled" in shown and ">-50.0 %" in shown
    assert (tmp_path / "figures/budgets-digits_conv_ae.svg").is_file()


def test_another_answer_at_half_of_the_steps_is_not_settled(told: Any) -> None:
    def overtake(result: Result) -> Result:
        early = result.run.train_steps == 100 and result.run.loss == "mae"
        return rescored(result, "test", mse=1e-4) if early else result

    model, said = told(overtake, BUDGETS)
    assert model["settled"] == "not settled"
    assert "Not settled by mse: with 100 steps the answer is another." in said


def test_seeds_that_decide_nothing_settle_nothing(told: Any) -> None:
    few = dataclasses.replace(BUDGETS, seeds=(0, 1, 2))
    model, said = told(lambda result: result, few)
    assert model["settled"] == "not known"
    assert "[train_steps=200]: Not known whether 200 steps are enough: at" in said
    assert "Settled" not in said


def test_a_derived_metric_unsettles_nothing(told: Any) -> None:
    def overtake(result: Result) -> Result:
        early = result.run.train_steps == 100 and result.run.loss == "mae"
        return rescored(result, "test", psnr=99.0) if early else result

    assert told(overtake, BUDGETS)[0]["settled"] == "settled"


def test_several_codes_are_compared_apart(tmp_path: Path) -> None:
    sweep = dataclasses.replace(SWEEP, latent_dims=(4, 8), seeds=(0, 1))
    stored_sweeps.write(tmp_path, sweep)
    summary = content(read(tmp_path))
    models = summary["datasets"]["digits"]["models"]
    assert list(models) == ["conv_ae[latent_dim=4]", "conv_ae[latent_dim=8]"]
