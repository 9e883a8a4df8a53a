"""Untuned beside tuned, the second interval, the commands and the worst images."""

import csv
import dataclasses
import math
import re
import shlex
import shutil
from html import unescape
from pathlib import Path

import numpy as np
import pytest
import stored_sweeps
from absl import flags
from scipy import stats

from lossjax.suite.cli.commandline import parse_sweep
from lossjax.suite.config import Sweep
from lossjax.suite.report import imagewise, recipes, untuned
from lossjax.suite.report.build import build
from lossjax.suite.report.evidence import Evidence, Group, named, read
from lossjax.suite.shipped import ROOT
from lossjax.suite.store.results import Result
from lossjax.suite.verify.verification import problems

SWEEP = Sweep(
    losses=("bce", "mse", "mae"),
    learning_rates=(1e-3, 3e-3, 1e-2),
    seeds=tuple(range(10)),
    primary_metric="ssim",
)
# The loss's own value at each rate: mae alone likes 1e-3, so 3e-3 is the common one.
OWN = {
    "bce": {1e-3: 3.0, 3e-3: 1.0, 1e-2: 2.0},
    "mse": {1e-3: 3.0, 3e-3: 1.0, 1e-2: 2.0},
    "mae": {1e-3: 1.0, 3e-3: 2.0, 1e-2: 3.0},
}


def shape(result: Result) -> Result:
    run = result.run
    if (run.loss, run.learning_rate) == ("bce", 1e-2):
        return dataclasses.replace(
            result, status="diverged", diverged_step=7, validation_loss=math.nan
        )
    own = OWN[run.loss][run.learning_rate]
    # On validation: 0.1 lower a unit of the own value, 0.001 higher with each seed.
    ssim = 0.9 - 0.1 * own + 0.001 * run.seed
    return dataclasses.replace(
        result, validation_loss=own, metrics={**result.metrics, "val_ssim": ssim}
    )


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("tuned")
    stored_sweeps.write(place, SWEEP, shape)
    build(place)
    return place


@pytest.fixture(scope="module")
def evidence(out: Path) -> Evidence:
    return read(out)


@pytest.fixture
def group(evidence: Evidence) -> Group:
    return evidence.groups[0]


def table(out: Path, name: str) -> list[dict[str, str]]:
    with open(out / "report/tables" / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_the_common_rate_has_the_best_mean_rank(group: Group) -> None:
    """Ranks by hand: bce 2 1 3 (lost), mse 3 1 2, mae 1 2 3: means 2, 4/3, 8/3."""
    assert untuned.common_rate(group) == 3e-3


def test_untuned_beside_tuned_by_hand(evidence: Evidence, group: Group) -> None:
    rows = {row.loss: row for row in untuned.rows(evidence, group, "ssim")}
    mae = rows["mae"]
    assert mae.untuned.rate == 3e-3 and group.arms["mae"].rates == {1e-3: 10}
    assert mae.untuned.value.center == pytest.approx(0.7045)
    assert mae.tuned.center == pytest.approx(0.8045)
    assert mae.gain.center == pytest.approx(0.1)
    assert mae.places == (3, 1)  # untuned behind two equals; tuned equal to them
    assert rows["bce"].gain.center == 0 and rows["bce"].places == (1, 1)
    # t of nine degrees of freedom, 2.26216, times 3.02765e-3 (of 0 to 9) / 3.16228.
    assert mae.tuned.high - 0.8045 == pytest.approx(2.165852e-3, rel=1e-4)


def test_lower_is_better_turns_places_and_gain_round(
    evidence: Evidence, group: Group
) -> None:
    metrics = {"ssim": dict(evidence.metrics["ssim"]) | {"direction": "lower"}}
    turned = dataclasses.replace(
        evidence, description=dict(evidence.description) | {"metrics": metrics}
    )
    mae = next(r for r in untuned.rows(turned, group, "ssim") if r.loss == "mae")
    assert mae.gain.center == pytest.approx(-0.1) and mae.places == (1, 1)


def test_every_rate_is_shown_lost_ones_too(out: Path) -> None:
    lines = [r for r in table(out, "rate-response") if r["metric"] == "val_ssim"]
    mae = {float(r["learning_rate"]): r for r in lines if r["loss"] == "mae"}
    assert sorted(mae) == [1e-3, 3e-3, 1e-2]
    assert [mae[rate]["seeds_that_chose"] for rate in sorted(mae)] == ["10", "0", "0"]
    assert float(mae[1e-3]["minimum"]) == pytest.approx(0.8)
    assert float(mae[1e-3]["maximum"]) == pytest.approx(0.809)
    lost = next(r for r in lines if (r["loss"], r["learning_rate"]) == ("bce", "0.01"))
    assert (lost["diverged"], lost["lost"], lost["center"]) == ("10", "10", "")
    page = (out / "report/index.html").read_text()
    assert "10 of 10 without" in page and "chosen: 0.001 (10)" in page
    told = re.sub(r"<[^>]*>", "", page)
    assert "--config.learning_rates=0.00033,0.001,0.003,0.01" in told
    assert "0.003 is the rate of the grid that the losses rank best" in page


def test_interval_over_images_is_students() -> None:
    scores = np.random.default_rng(0).normal(size=40)
    half = imagewise.half_width(scores, np.ones(40))
    low, high = stats.t.interval(0.95, 39, scores.mean(), stats.sem(scores))
    assert half == pytest.approx((high - low) / 2)


def test_groups_of_unequal_size_weigh_by_their_images() -> None:
    """Two groups by hand: shares 1/4 and 3/4, means 0 and 4, mean 3."""
    half = imagewise.half_width(np.array([0.0, 4.0]), np.array([1, 3]))
    error = math.sqrt(2 * ((0.25 * -3) ** 2 + (0.75 * 1) ** 2))
    assert half == pytest.approx(12.7062047 * error)


def test_interval_over_images_covers() -> None:
    """1,456 images in 50 groups: the mean is covered in 95 of 100 draws."""
    from lossjax.suite.store.test_images import group_means, sizes

    random = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        scores = random.exponential(size=1456)
        half = imagewise.half_width(group_means(scores).astype(float), sizes(1456))
        covered += abs(scores.mean() - 1) <= half
    assert 367 <= covered <= 392  # 99 % binomial limits of 380


def test_image_intervals_stand_beside_those_of_seeds(out: Path) -> None:
    rows = {
        (r["loss"], r["metric"]): r
        for r in table(out, "ranking")
        if r["metric"] in ("mse", "ssim")
    }
    mae = rows["mae", "mse"]
    assert float(mae["images_low"]) < float(mae["center"]) < float(mae["images_high"])
    # Groups of mae reach 5 % to each side of its mean, those of bce 1 %.
    ones = np.linspace(-1, 1, 50)
    best = float(rows["bce", "mse"]["center"])
    gap = float(mae["center"]) * 0.05 * ones - best * 0.01 * ones
    half = stats.t.ppf(0.975, 49) * stats.sem(gap)
    width = float(mae["behind_images_high"]) - float(mae["behind_images_low"])
    assert width / 2 == pytest.approx(half, rel=1e-4)
    assert "95 % over images" in (out / "report/index.html").read_text()


def test_worse_that_other_images_might_not_show_is_said(tmp_path: Path) -> None:
    def spread(result: Result) -> Result:
        if result.run.loss != "mae" or result.kept is None:
            return result
        wide = result.kept.groups * (1 + np.linspace(-2, 2, 50, dtype=np.float32))
        return dataclasses.replace(
            result, kept=dataclasses.replace(result.kept, groups=wide)
        )

    stored_sweeps.write(tmp_path, SWEEP, lambda r: spread(shape(r)))
    verdict = build(tmp_path).verdict
    assert (
        "worse by ssim on these test images, but another draw of images might not "
        "show it: mae." in verdict
    )


def test_results_of_before_have_no_second_interval(tmp_path: Path) -> None:
    def forget(result: Result) -> Result:
        return dataclasses.replace(shape(result), kept=None)

    stored_sweeps.write(tmp_path, SWEEP, forget)
    build(tmp_path)
    page = (tmp_path / "report/index.html").read_text()
    assert "95 % over images" not in page and 'id="worst"' not in page
    assert not any(row["images_low"] for row in table(tmp_path, "ranking"))


def test_the_worst_images_are_named_and_shown(out: Path) -> None:
    page = (out / "report/index.html").read_text()
    assert "worst ssim of seed 0, #9 (0.1), #7 (0.1), #5 (0.1), #3 (0.1)" in page
    assert "the same 4 test images through mae" in page


def parsed(line: str) -> tuple[Sweep, str]:
    words = shlex.split(line)
    assert words[:2] == ["./run.sh", "sweep"]
    values = flags.FlagValues()
    flags.DEFINE_string("out", None, "", flag_values=values)
    flags.DEFINE_string("platform", None, "", flag_values=values)
    _, sweep = parse_sweep(values, words[2:], "")
    return sweep, values.out


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"losses": ("barron(alpha=1.5, scale=0.1)",), "datasets": ("images:a b",)},
        {"datasets": ("idx:a,b", "digits"), "seeds": (3,), "width": (4,)},
        {"max_examples": 100, "channels": 1, "learning_rates": (0.003,)},
        {"budgets": (50, 100), "latent_dims": (4,), "learning_rates": (0.1,)},
    ],
)
def test_the_command_is_the_sweep(
    evidence: Evidence, fields: dict[str, object]
) -> None:
    sweep = dataclasses.replace(SWEEP, **fields)  # type: ignore[arg-type]
    line = recipes.sweep(dataclasses.replace(evidence, sweep=sweep, out="some dir"))
    assert "\n" not in line
    assert parsed(line) == (sweep, "some dir-again")


def test_every_command_of_the_page_is_true(out: Path, evidence: Evidence) -> None:
    page = (out / "report/index.html").read_text()
    lines = [unescape(x) for x in re.findall(r"<pre[^>]*>(\./run[^<]*)</pre>", page)]
    assert f"./run.sh report --out={out}" in lines
    assert f"./run.sh verify --out={out}" in lines
    sweeps = [parsed(line)[0] for line in lines if "run.sh sweep" in line]
    assert SWEEP in sweeps
    mae = dataclasses.replace(SWEEP, losses=("mae",))
    assert mae in sweeps
    bce = dataclasses.replace(
        SWEEP, losses=("bce",), learning_rates=(3e-3,), seeds=(0,)
    )
    assert bce in sweeps


def test_a_directory_in_the_clone_is_named_from_there() -> None:
    assert named(ROOT / "results" / "local" / "x") == "results/local/x"
    assert named(Path("/elsewhere/x")) == "/elsewhere/x"


def test_a_moved_directory_still_verifies(out: Path, tmp_path: Path) -> None:
    moved = tmp_path / "a & b"
    shutil.copytree(out, moved)
    assert list(problems(moved)) == []
    build(moved)
    assert list(problems(moved)) == []


def test_verdicts_as_a_table(out: Path) -> None:
    rows = {row["metric"]: row for row in table(out, "verdicts")}
    assert rows["mse"]["best"] == "bce" and rows["mse"]["equivalent"] == "mse"
    assert rows["psnr"]["derived_from"] == "mse" and not rows["mse"]["derived_from"]
    assert re.fullmatch(r"mae \(\d+\.\d\)|mae \(nan\)", rows["mse"]["worse"])
    assert (rows["mse"]["n"], rows["mse"]["primary"]) == ("10", "False")
