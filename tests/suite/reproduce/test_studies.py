"""Studies: stored rows say again what is published, and a wrong harness is seen."""

import dataclasses
import gzip
import json
import math
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pages
import pandas as pd
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from lossjax import NUMERICS
from lossjax.suite import data, loader, protocol, shipped, statistics
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.reproduce import __main__ as reproduce
from lossjax.suite.reproduce import finding, folder, page, rows
from lossjax.suite.reproduce.catalogue import STUDIES, Catalogue
from lossjax.suite.reproduce.finding import Finding, Published, Tag, Verdict
from lossjax.suite.reproduce.study import (
    Conclusion,
    Drawing,
    Judge,
    Record,
    Size,
    Study,
    Task,
    Trial,
)
from lossjax.suite.shipped import ROOT
from lossjax.suite.statistics import Scores
from lossjax.suite.store import results as store
from lossjax.suite.store.results import Result, Run
from lossjax.suite.verify import agreement

aa, planted_noise, planted_variance = (
    loader.load(STUDIES[name].file)
    for name in ("aa", "planted_noise", "planted_variance")
)
JUDGE = Judge("mse", "lower", 0.01, True)
every_study = pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)


@every_study
def test_published_rows_give_what_is_published_and_a_reason_for_what_differs(
    study,
) -> None:
    outcome, made = folder.conclude(study, folder.PUBLISHED / study.name)
    published = folder.summary_of(study)
    assert published is not None and not made["quick"]
    findings = [f.to_json() for f in outcome.findings]
    again = json.loads(json.dumps({"counts": outcome.counts, "findings": findings}))
    said = {part: published[part] for part in again}
    assert agreement.values(again, said) is None
    assert [f.what for f in outcome.findings if f.decides]
    for found in outcome.findings:
        if found.verdict in (Verdict.DIFFERS, Verdict.CANNOT, Verdict.INCONCLUSIVE):
            assert found.reason, found.what
        if found.verdict == Verdict.REPRODUCED:
            assert found.published is not None, found.what


@every_study
def test_published_rows_are_small(study) -> None:
    """Those of a study in parts have a folder each, and a tenth of the room."""
    place = folder.PUBLISHED / study.name
    parts = [f for f in place.iterdir() if f.is_dir()] if study.parts else []
    own = place.iterdir() if parts else place.rglob("*")
    assert sum(f.stat().st_size for f in own) < 1_000_000
    for part in parts:
        assert sum(f.stat().st_size for f in part.rglob("*")) < 100_000


@pytest.mark.slow
def test_from_stored_needs_no_jax(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "absent = {'jax', 'jaxlib', 'flax', 'optax'}\n"
        "class Absent:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name.split('.')[0] in absent:\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from lossjax.suite.reproduce import __main__ as reproduce\n"
        "sys.exit(reproduce.main(sys.argv[1:]))\n"
    )
    # The two that take seconds to count import nothing that the others do not.
    names = [name for name in STUDIES if name not in ("aa", "planted_noise")]
    ended = subprocess.run(
        [sys.executable, "-c", code, *names, "--from-stored", f"--out={tmp_path}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert ended.returncode == 0, ended.stderr
    name = "planted_variance"
    place = tmp_path / name
    found = {str(f.relative_to(place)) for f in place.rglob("*.*")}
    assert found == {
        "summary.json",
        *(f"figures/{name}.{kind}" for kind in ("svg", "png", "pdf")),
        *(f"tables/{name}.{kind}" for kind in ("md", "tex", "csv")),
        *(f"tables/{name}-findings.{kind}" for kind in ("md", "tex", "csv")),
    }
    assert (tmp_path / "index.html").is_file()
    for name in names:
        for published in (folder.PUBLISHED / name).iterdir():
            if published.suffix == ".svg" or published.name == "summary.json":
                part = "figures" if published.suffix == ".svg" else ""
                made = tmp_path / name / part / published.name
                assert agreement.files(made, published) is None, made


@pytest.mark.parametrize(("by", "code"), [(1e-14, 0), (1e-8, 1)])
def test_a_published_number_that_the_rows_do_not_give_is_named(
    by: float, code: int, tmp_path: Path, monkeypatch, capsys
) -> None:
    name, place = "planted_variance", tmp_path / "published"
    shutil.copytree(folder.PUBLISHED / name, place / name)
    path = place / name / folder.SUMMARY
    summary = json.loads(path.read_text())
    center = summary["counts"]["laws"]["a = 0"]["center"]
    summary["counts"]["laws"]["a = 0"]["center"] = center * (1 + by)
    path.write_text(json.dumps(summary))
    monkeypatch.setattr(folder, "PUBLISHED", place)
    arguments = [name, "--from-stored", f"--out={tmp_path / 'out'}"]
    assert reproduce.main(arguments) == code
    printed = capsys.readouterr().out
    place = "/counts/laws/a = 0/center"
    named = f"{name}: what is published differs: {place} is {str(center)[:5]}"
    assert (named in printed) == bool(code)


def test_what_is_said_of_stored_rows_is_published_anew(
    tmp_path: Path, monkeypatch
) -> None:
    name, place = "pixel_accuracy", tmp_path / "published"
    shutil.copytree(folder.PUBLISHED / name, place / name)
    right = json.loads((place / name / folder.SUMMARY).read_text())
    wrong = right | {"findings": right["findings"][:1], "counts": {}}
    (place / name / folder.SUMMARY).write_text(json.dumps(wrong))
    (place / name / folder.MADE).unlink()  # rows are left alone: it stays away
    monkeypatch.setattr(folder, "PUBLISHED", place)
    out = f"--out={tmp_path / 'out'}"
    assert reproduce.main([name, "--from-stored", "--publish", out]) == 0
    again = json.loads((place / name / folder.SUMMARY).read_text())
    assert agreement.values(again["findings"], right["findings"]) is None
    assert not (place / name / folder.MADE).exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["planted_nose"], "did you mean 'planted_noise'?"),
        ([], "no study named"),
        (["aa", "--all"], "name studies or take them all"),
        (["aa", "--quick", "--from-stored"], "are those of the usual size"),
        (["cb_warp", "--full", "--from-stored"], "--full: stored and published"),
        (["cb_warp", "--full", "--publish"], "--full: stored and published"),
        (["cb_warp", "--full", "--quick"], "a study has one size at a time"),
        (["cb_warp", "aa", "--full"], "study aa has no larger size; valid: cb_warp"),
        (["aa", "claims"], "name claims alone"),
        (["aa", "--data=mnist"], "must be NAME=DATASET"),
        (["aa", "--data=mnist=idx:D"], "unknown name in --data 'mnist'"),
    ],
)
def test_bad_usage_is_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message.replace("?", r"\?")):
        reproduce.main(arguments)


def test_list_names_every_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert reproduce.main(["--list"]) == 0
    printed = capsys.readouterr().out
    for name in STUDIES:
        assert name in printed


def test_rows_that_are_not_there_are_named(tmp_path: Path) -> None:
    study = STUDIES["aa"]
    with pytest.raises(UserError, match="no stored rows"):
        folder.conclude(study, tmp_path)
    for name in (folder.ROWS, folder.MADE):
        (tmp_path / name).write_bytes((folder.PUBLISHED / "aa" / name).read_bytes())
    content = (tmp_path / folder.ROWS).read_bytes()
    (tmp_path / folder.ROWS).write_bytes(content[:-100])
    with pytest.raises(UserError, match="is damaged"):
        folder.conclude(study, tmp_path)
    found, columns = rows.unpacked(content)
    assert columns == ("test_mse",)
    fewer = [row for row in found if row.result.run.seed != 3]
    (tmp_path / folder.ROWS).write_bytes(rows.packed(fewer, columns))
    with pytest.raises(UserError, match="rows lack 1 runs of one rate: .*bce"):
        folder.conclude(study, tmp_path)


def published_trials(name: str, quick: bool = False):
    content = (folder.PUBLISHED / name / folder.ROWS).read_bytes()
    grids = STUDIES[name].sweeps(Size.QUICK if quick else Size.USUAL)
    return rows.trials(grids, *rows.unpacked(content), "mse")


def evidence(trials, judge: Judge) -> Record:
    return Record(trials, {}, judge, {"quick": False})


SHIPPED = ("digits", "patches")
analytic = [
    study
    for study in STUDIES.values()
    if study.steps
    and set(study.needs) <= set(SHIPPED)
    and not study.parts
    # What takes longer ends a search or a training, not at the same digit twice.
    and (folder.summary_of(study) or {"made": {"minutes": 1}})["made"]["minutes"] < 0.25
]


@pytest.mark.slow
@pytest.mark.parametrize("study", analytic, ids=[s.name for s in analytic])
def test_steps_without_data_give_the_stored_tables_again(study) -> None:
    """Computed anew by the library of today; what is wished for is left out."""
    given = Task(False, {name: data.load(name) for name in study.needs})
    for name, step in study.steps.items():
        stored = folder.read_step(folder.PUBLISHED / study.name, name)
        table = step(given).reset_index(drop=True)
        if "dataset" in stored:
            stored = stored[stored["dataset"].isin(study.needs)]
        pd.testing.assert_frame_equal(
            table,
            stored.reset_index(drop=True),
            check_dtype=False,
            rtol=1e-6,
            atol=1e-9,
        )


def test_a_harness_that_reads_the_metric_the_wrong_way_finds_the_foil() -> None:
    trials = published_trials("planted_noise")
    wrong = Judge("mse", "higher", 0.01, True)
    outcome = planted_noise.conclude(evidence(trials, wrong))
    decided = [f for f in outcome.findings if f.decides]
    assert not any(f.holds for f in decided)


def test_seeds_that_are_not_paired_lose_the_power(monkeypatch) -> None:
    """Pairing is a part of the harness: the study sees when it is gone."""
    trials = published_trials("planted_noise")
    law = planted_noise.PLAN.LAWS["cauchy"]
    random = np.random.default_rng(0)

    def shuffled(trial: Trial) -> Trial:
        arms = {k: Scores(random.permutation(a.values)) for k, a in trial.arms.items()}
        return Trial(trial.dataset, arms, trial.rates)

    def told(found) -> int:
        pairs = [{k: t.arms[k] for k in (law.matched, "mae")} for t in found]
        return sum(len(JUDGE.rank(pair).best_set) == 1 for pair in pairs)

    paired = told(trials["cauchy"])
    assert told([shuffled(t) for t in trials["cauchy"]]) < paired


def test_the_careless_harness_without_its_faults_is_the_ranking() -> None:
    random = np.random.default_rng(1)
    means = 0.3 * np.arange(aa.PLAN.ARMS)[:, None]
    trials = random.normal(means, 1, (50, aa.PLAN.ARMS, aa.PLAN.SEEDS))
    by_rank = np.array([aa._ranked(JUDGE, arms) for arms in trials])
    assert by_rank.any()
    p = aa.p_values(trials)
    np.testing.assert_array_equal(aa.worse(p), by_rank)
    for how in aa.MUTANTS.values():
        assert aa.worse(p, **how).sum() > by_rank.sum()


def test_arms_of_a_trial_share_no_seed_and_use_the_whole_pool() -> None:
    places = aa.draw(100, 7, np.random.default_rng(0))
    assert places.shape == (7, aa.PLAN.ARMS, aa.PLAN.SEEDS)
    for trial in places:
        assert len(np.unique(trial)) == trial.size
    # Two trials are dealt out of one shuffle.
    assert len(np.unique(places[:2])) == places[:2].size


@pytest.mark.slow
def test_a_fault_in_the_statistics_breaks_the_limit(monkeypatch) -> None:
    """The same rows, counted by a damaged `statistics.rank` itself."""
    exact = statistics.sign_flip
    monkeypatch.setattr(statistics, "sign_flip", lambda gaps: exact(gaps) / 2)
    monkeypatch.setattr(statistics, "holm", np.asarray)
    outcome = aa.conclude(evidence(published_trials("aa"), JUDGE))
    broken = [f.what for f in outcome.findings if f.decides and not f.holds]
    assert "factor 3: a given arm of 4 is not tied for best" in broken
    assert "trials that the count of the intervals judges otherwise than" in str(broken)


def test_the_parabola_finds_a_planted_optimum() -> None:
    values = np.array(planted_variance.PLAN.VALUES)
    for planted in (-0.1, 0.0, 0.47, 1.3):
        found = planted_variance.optimum((values - planted) ** 2)
        assert found == pytest.approx(planted, abs=1e-9)


SMALL = """
import sys
from lossjax.suite.cli.signals import run
from lossjax.suite.reproduce import __main__ as reproduce
from lossjax.suite.reproduce.configs import config
config("aa").QUICK = 40
plan = config("planted_noise")
plan.LAWS, plan.QUICK = {k: plan.LAWS[k] for k in ("gaussian", "bernoulli")}, 1
plan = config("planted_variance")
plan.LAWS, plan.VALUES = {k: plan.LAWS[k] for k in ("a = 0", "a = 1")}, plan.VALUES[::2]
plan.KNOB = {loss: g for loss, g in plan.KNOB.items() if g in plan.VALUES}
run(reproduce.main, sys.argv[1:])
"""


SMALL_STUDIES = ("aa", "planted_noise", "planted_variance")


def small(out: Path) -> subprocess.Popen:
    """The small version of the studies on known truth, smaller yet: two laws each."""
    return subprocess.Popen(
        [sys.executable, "-c", SMALL, *SMALL_STUDIES, "--quick", f"--out={out}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.slow
def test_the_small_version_is_stopped_goes_on_and_trains_nothing_twice(
    tmp_path: Path,
) -> None:
    place = tmp_path / "quick"
    process = small(tmp_path)
    while not list((place / "planted_noise").glob("grids/*/runs/*/result.json")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 75, said
    assert "to go on: ./run.sh reproduce aa planted_noise planted" in said
    before = {f: f.stat().st_mtime_ns for f in place.rglob("result.json")}
    assert before and not (place / "planted_variance").exists()

    process = small(tmp_path)
    _, said = process.communicate(timeout=600)
    assert process.returncode == 0, said
    assert before == {f: f.stat().st_mtime_ns for f in before}

    def summary(name: str) -> dict:
        return json.loads((place / name / "summary.json").read_text())["counts"]

    for law in summary("planted_noise")["laws"].values():
        assert law["best_set"] == law["strictly"] == 1
    found = summary("planted_variance")["laws"]
    assert found["a = 0"]["center"] > found["a = 1"]["center"] + 0.3
    twins = summary("aa")["twins"]
    assert twins["identical"] == twins["trials"] and twins["largest"] <= 1e-3


def test_a_published_number_is_set_beside_ours_and_judged() -> None:
    source = "Science 313, 2006, figure 2B"
    published = Published("13.87", source, Tag.SEEN)
    near = finding.compared("An error, of 30", published, 13.874, digits=4)
    assert near.verdict == Verdict.REPRODUCED and near.key == "an_error_of_30"
    assert near.expected == "13.87 within 0.69: 5 % of the value"
    stored = near.to_json()
    assert stored["difference"] == 0.004 and stored["words"] == "reproduced"
    assert stored["published"] | {"delta": 0.6935} == stored["published"]
    seeds = statistics.interval([8.0, 8.2, 8.4])
    far = finding.compared("row", published, seeds, reason="why")
    assert far.verdict == Verdict.DIFFERS and far.reason == "why"
    assert far.words == "differs by -5.67 (-41 %)" and far.ours == "8.2 [7.7, 8.7]"
    assert finding.cannot("FID", "59.9", "no network for it").verdict == Verdict.CANNOT
    epochs = finding.measured("epochs", 1234.0)
    assert epochs.ours == "1234" and epochs.verdict is None
    assert "verdict" not in epochs.to_json()
    with pytest.raises(ValueError, match="always judged"):
        Finding("error", "", "", True, published=published, decides=False)


@pytest.mark.parametrize(
    ("text", "given", "delta", "why"),
    [
        ("0.11", {"floor": 0.0583}, 0.005, "half its last digit"),
        ("0.110", {"floor": 0.0583}, 0.002585, "5 % of what is above the floor"),
        ("0.110", {"floor": 0.11}, 0.0005, "half its last digit"),
        ("0.35", {"spread": 0.025}, 0.025, "its published spread"),
        ("1470", {"floor": 1740.0}, 13.5, "5 % of the way to the ceiling"),
        ("1470", {"tag": Tag.COMPUTED}, 0.5, "half its last digit"),
    ],
)
def test_how_near_is_the_largest_of_digit_spread_and_share(
    text: str, given: dict, delta: float, why: str
) -> None:
    made = Published(text, "source", **{"tag": Tag.SEEN} | given)
    assert made.margin[0] == pytest.approx(delta)
    assert made.margin[1].startswith(why)


@pytest.mark.parametrize(
    ("limits", "tag", "verdict"),
    [
        ((0.96, 1.04), Tag.SEEN, "reproduced"),
        ((0.96, 1.06), Tag.SEEN, "inconclusive"),
        ((0.90, 1.10), Tag.VECTOR, "inconclusive"),
        ((math.nan, math.nan), Tag.SEEN, "inconclusive"),
        ((1.06, 1.10), Tag.SEEN, "differs"),
        ((0.80, 0.94), Tag.VECTOR, "differs"),
        ((1.0, 1.0), Tag.COMPUTED, "as expected"),
        ((1.0, 1.0), Tag.RECALLED, "as expected"),
        ((1.04, 1.04), Tag.COMPUTED, "differs"),
    ],
)
def test_the_whole_interval_is_judged(
    limits: tuple[float, float], tag: Tag, verdict: str
) -> None:
    low, high = limits
    center = 1.0 if math.isnan(low) else (low + high) / 2
    ours = statistics.Interval(center, low, high)
    assert Published("1.00", "source", tag).judge(ours) == verdict


def test_rows_keep_every_column_and_curve_of_every_model() -> None:
    grids = {
        "small": Sweep(
            datasets=("mnist",),
            models=("mlp_ae", "linear_ae"),
            losses=("bce",),
            learning_rates=(1e-3,),
            seeds=(0, 1),
        )
    }

    def lost(model: str, seed: int) -> bool:
        return model == "linear_ae" and seed == 1

    def result(model: str, seed: int) -> Result:
        score = seed + (0.5 if model == "mlp_ae" else 0.25)
        return Result(
            Run("idx:somewhere", model, "bce", 1e-3, seed, 8, 1000, {}),
            "diverged" if lost(model, seed) else "ok",
            validation_loss=score / 3,
            metrics={"test_ssim": score, "val_mse": 2 * score},
            curve={"step": [0.0, 5.0], "train_loss": [math.nan, score]},
        )

    models = ("mlp_ae", "linear_ae")
    names = {"idx:somewhere": "mnist"}
    made = [
        rows.Row(
            "small", rows.renamed(result(model, seed), names), not lost(model, seed)
        )
        for model in models
        for seed in (0, 1)
    ]
    columns = ("test_ssim", "val_mse", "curve_train_loss")
    found, kept = rows.unpacked(rows.packed(made, columns))
    assert kept == columns
    assert b"somewhere" not in gzip.decompress(rows.packed(made, columns))
    trials = rows.trials(grids, found, kept, "ssim")
    book = Record(trials, {}, None, {"quick": False})
    dense = book.trial("small", "mlp_ae")
    assert dense.arms["bce"].values.tolist() == [0.5, 1.5]
    assert dense.mean("bce", "val_mse").center == 2.0
    assert dense.columns["validation_loss"]["bce"].values[1] == pytest.approx(0.5)
    assert [curve[1] for curve in dense.curves["curve_train_loss"]["bce"]] == [0.5, 1.5]
    linear = book.trial("small", "linear_ae")
    assert linear.arms["bce"].diverged == linear.arms["bce"].lost == 1
    assert dense.rates["bce"].tolist() == [1e-3, 1e-3]
    assert math.isnan(linear.rates["bce"][1])
    assert math.isnan(linear.mean("bce", "test_ssim").center)
    with pytest.raises(ValueError, match="no run has the column 'test_sim'"):
        rows.packed(made, ("test_sim",))


def trained(seed: int, rate: float, value: float, **metrics: float) -> Result:
    """A stored run of `SMALL_SWEEP`."""
    fixed = protocol.fixed_values(SMALL_SWEEP, {"digits": {"fingerprint": "f"}}, 3)
    (arm,) = protocol.arms(SMALL_SWEEP, fixed)
    status = "ok" if math.isfinite(value) else "diverged"
    return Result(arm.run(rate, seed), status, validation_loss=value, metrics=metrics)


SMALL_SWEEP = Sweep(
    models=("linear_ae",), losses=("bce",), learning_rates=(1e-3, 1e-2), seeds=(0, 1, 2)
)


def test_a_seed_counts_with_what_it_chose_on_validation_images(tmp_path: Path) -> None:
    """Of an incomplete seed nothing counts; no test score but of the chosen is kept."""
    store.write_sweep(
        tmp_path,
        {
            "config": SMALL_SWEEP.to_json(),
            "losses": list(SMALL_SWEEP.losses),
            "metrics": {},
            "datasets": {
                "digits": {
                    "fingerprint": "f",
                    "shape": [8, 8, 1],
                    "train": 1,
                    "validation": 1,
                    "test": 1,
                }
            },
            "provenance": {"numerics": 3},
        },
    )
    for result in (
        trained(0, 1e-3, 0.1, test_mse=0.9, val_mse=0.7),
        trained(0, 1e-2, 0.2, test_mse=0.3, val_mse=0.6),  # better on test images
        trained(1, 1e-3, math.nan),
        trained(1, 1e-2, math.nan),
        trained(2, 1e-2, 0.2, test_mse=0.4, val_mse=0.5),
    ):
        store.write_result(tmp_path, result)
    packed = rows.packed(rows.of_sweep("own", tmp_path), ("test_mse", "val_mse"))
    text = gzip.decompress(packed).decode()
    assert "0.9" in text and "0.3" not in text and "0.6" in text
    found, columns = rows.unpacked(packed)
    assert [row.chosen for row in found] == [True, False, False, False, False]
    grids = {"own": SMALL_SWEEP}
    with pytest.raises(UserError, match="rows lack 1 runs of own"):
        rows.trials(grids, found, columns, "mse")
    store.write_result(tmp_path, trained(2, 1e-3, 0.1, test_mse=0.5))
    found = list(rows.of_sweep("own", tmp_path))
    (trial,) = rows.trials(grids, found, columns, "mse")["own"]
    arm = trial.arms["bce"]
    np.testing.assert_array_equal(arm.values, [0.9, math.nan, 0.5])
    assert (arm.lost, arm.diverged) == (1, 2)


def test_settings_of_an_axis_are_trials_of_their_own() -> None:
    both = dataclasses.replace(SMALL_SWEEP, budgets=(50, 100), seeds=(0,))
    fixed: dict[str, dict] = {"digits": {}}
    found = [
        rows.Row(
            "own",
            Result(run, "ok", metrics={"test_mse": run.train_steps + rate}),
            rate == 1e-2,
        )
        for arm in protocol.arms(both, fixed)
        for rate in both.learning_rates
        for run in (arm.run(rate, 0),)
    ]
    trials = rows.trials({"own": both}, found, ("test_mse",), "mse")
    record = Record(trials, {}, None, {"quick": False})
    for steps in (50, 100):
        trial = record.trial("own", f"linear_ae[train_steps={steps}]")
        assert trial.arms["bce"].values.tolist() == [steps + 1e-2]


@pytest.mark.parametrize("numerics", [NUMERICS - 1, NUMERICS])
def test_rows_of_an_old_version_say_so(
    numerics: int, tmp_path: Path, monkeypatch, capsys
) -> None:
    name, place = "improper", tmp_path / "published"
    shutil.copytree(folder.PUBLISHED / name, place / name)
    for file in (folder.MADE, folder.SUMMARY):
        values = json.loads((place / name / file).read_text())
        values.get("made", values)["provenance"]["numerics"] = numerics
        (place / name / file).write_text(json.dumps(values))
    for module in (folder, shipped):
        monkeypatch.setattr(module, "PUBLISHED", place)
    words = f"made with NUMERICS {NUMERICS - 1}"
    expected = numerics < NUMERICS
    assert reproduce.main([name, "--from-stored", f"--out={tmp_path / 'out'}"]) == 0
    assert (words in capsys.readouterr().out) == expected
    whole = page.page({name: STUDIES[name]}, tmp_path / "out")
    links = STUDIES[name].links
    assert len(links) == 3
    pages.obeys_nothing(whole, links)
    text = whole.partition('id="overview"')
    assert text[2].count(words) == (2 if expected else 0)
    assert reproduce.main(["--list"]) == 0
    assert (words in " ".join(capsys.readouterr().out.split())) == expected


def test_a_full_size_is_trained_and_read_back_as_such(tmp_path: Path) -> None:
    """What is asked for, what the rows say that they are, and what they must hold."""
    from lossjax.suite.reproduce import maker as making

    config = tmp_path / "sized.py"
    config.write_text(
        "from lossjax.suite.config import Sweep\n"
        "def sweeps(size):\n"
        "    fixed = dict(models=('linear_ae',), losses=('bce',))\n"
        "    fixed |= dict(learning_rates=(1e-3,), train_steps=1, curve_points=1)\n"
        "    seeds = (0, 1, 2) if size == 'full' else (0,)\n"
        "    return {'own': Sweep(seeds=seeds, **fixed)}\n"
    )

    def seeds(book: Record) -> Conclusion:
        count = len(book.trial("own").arms["bce"].values)
        table = pd.DataFrame({"seeds": [count]})
        return Conclusion([], table, [], {"seeds": count})

    study = Study(seeds, config=str(config), file=Path("sized.py"), text="?")
    assert study.larger and not STUDIES["aa"].larger
    for size, count in ((Size.FULL, 3), (Size.USUAL, 1)):
        out = tmp_path / size
        maker = making.Maker([study], out, {}, size, Console(quiet=True))
        assert list(maker.make(study)) == [0]
        outcome, made = folder.conclude(study, out / "sized")
        assert outcome.counts["seeds"] == made["runs"] == count
        assert folder.size_of(made) == size
    # Rows of one size are none of another.
    path = tmp_path / "usual" / "sized" / folder.MADE
    path.write_text(json.dumps(json.loads(path.read_text()) | {"full": True}))
    with pytest.raises(UserError, match="rows lack 2 runs of own"):
        folder.conclude(study, tmp_path / "usual" / "sized")


def test_the_command_for_data_that_is_not_there_comes_first(tmp_path: Path) -> None:
    from lossjax.suite.reproduce import maker as making

    study = dataclasses.replace(STUDIES["aa"], needs=("mnist",))
    with pytest.raises(UserError, match=r"data prepare mnist.*--data=mnist"):
        making.check_data([study], {})
    with pytest.raises(UserError, match=r"no IDX files|does not exist|no such folder"):
        making.check_data([study], {"mnist": f"idx:{tmp_path / 'none'}"})
    making.check_data([study], {"mnist": "digits"})


def computed(task: Task) -> pd.DataFrame:
    """A step: what it was given, and when."""
    images = task.data["mnist"].train.images
    return pd.DataFrame({"images": [len(images)], "third": 1 / 3, "at": time.time()})


def concluded(book: Record) -> Conclusion:
    (line,) = book.tables["count"].to_dict("records")
    findings = [finding.measured("images", line["images"])]
    figures = [Drawing(Figure(), "empty"), Drawing(Figure(), "too", "second")]
    return Conclusion(findings, book.tables["count"], figures, {"at": line["at"]})


def test_a_step_is_stored_as_rows_and_not_run_twice(tmp_path: Path) -> None:
    from lossjax.suite.reproduce import maker as making

    file = tmp_path / "stepped.py"
    file.touch()
    study = Study(
        concluded, steps={"count": computed}, needs=("mnist",), file=file, text="?"
    )
    counts = []
    for size in (Size.QUICK, Size.QUICK, Size.USUAL):
        places = {"mnist": "digits"}
        maker = making.Maker([study], tmp_path, places, size, Console(quiet=True))
        assert list(maker.make(study)) == [0]
        outcome, made = folder.conclude(study, tmp_path / "stepped")
        folder.write(study, outcome, made, tmp_path / "stepped")
        counts.append(outcome.counts["at"])
        assert made["data"]["mnist"]["train"] == outcome.table["images"][0] == 1197
        assert outcome.table["third"][0] == pytest.approx(1 / 3, abs=1e-12)
    assert counts[0] == counts[1] < counts[2]
    figures = {f.name for f in (tmp_path / "stepped" / "figures").glob("*.svg")}
    assert figures == {"stepped.svg", "stepped-second.svg"}


PARTS = """\"\"\"Which parts are there?

Source: none.
\"\"\"
import pandas as pd
from lossjax.suite.reproduce.study import Conclusion, Study

def first(task):
    names = [task.part, *task.data, *task.sweep.datasets]
    return pd.DataFrame({"names": [" ".join(names)], "there": [task.runs.is_dir()]})

def conclude(record):
    table, parts = record.tables["first"], list(record.trials)
    names = dict(zip(table["sweep"], table["names"], strict=True))
    margin = record.judges["mse"].margin
    counts = {"parts": parts, "names": names, "margin": margin}
    return Conclusion([], table, [], counts)

STUDY = Study(
    conclude, config=CONFIG, columns=("test_mse", "test_knn_accuracy"),
    steps={"first": first}, wishes=("glyphs",), parts=True,
)
"""
PARTS_CONFIG = """
from lossjax.suite.config import Sweep
def sweeps(size):
    fixed = dict(models=("linear_ae",), losses=("bce",), learning_rates=(1e-2,))
    fixed |= dict(seeds=(0, 1), train_steps=1, curve_points=1, batch_size=16)
    names = {"plain": "textures(count=60)", "more": "glyphs"}
    return {name: Sweep(datasets=(own,), **fixed) for name, own in names.items()}
"""


@pytest.mark.slow
def test_a_study_in_parts_is_published_part_by_part(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    """Parts without data are named; those that are published already stay."""
    place, out = tmp_path / "published", tmp_path / "out"
    for module in (folder, shipped):
        monkeypatch.setattr(module, "PUBLISHED", place)
    config, experiments = tmp_path / "own.py", tmp_path / "experiments"
    config.write_text(PARTS_CONFIG)
    experiments.mkdir()
    file = experiments / "in_parts.py"
    file.write_text(PARTS.replace("CONFIG", repr(str(config)), 1))
    monkeypatch.setattr(reproduce, "STUDIES", Catalogue(experiments))
    glyphs = tmp_path / "glyphs"
    glyphs.mkdir()
    for part, count in (("train", 60), ("t10k", 9)):
        head = bytes([0, 0, 8, 3]) + np.array([count, 8, 8], ">i4").tobytes()
        pixels = np.random.default_rng(count).integers(0, 256, count * 64, np.uint8)
        (glyphs / f"{part}-images-idx3-ubyte").write_bytes(head + pixels.tobytes())
    said = []
    for given in ([f"--data=glyphs=idx:{glyphs}"], []):
        arguments = [str(file), "--publish", f"--out={out}", *given]
        assert reproduce.main(arguments) == 0
        left_out = "left out of study in_parts: glyphs" in capsys.readouterr().out
        assert left_out == (not given)
        said.append(json.loads((place / "in_parts" / folder.SUMMARY).read_text()))
        shutil.rmtree(out)  # a fresh clone: only what is published is left
    for summary in said:
        assert summary["counts"] == {
            "parts": ["plain", "more"],
            "names": {
                "plain": "plain textures(count=60) textures(count=60)",
                "more": "more glyphs glyphs",
            },
            "margin": 0.01,
        }
        assert summary["made"]["runs"] == 4
        assert list(summary["made"]["parts"]) == ["plain", "more"]
    published = {str(f.relative_to(place)) for f in place.rglob("*.*")}
    assert published == {
        f"in_parts/{part}{name}"
        for part in ("plain/", "more/")
        for name in (folder.ROWS, folder.MADE, "first.csv.gz")
    } | {f"in_parts/{folder.SUMMARY}"}
    # One part less is another answer.
    shutil.rmtree(place / "in_parts" / "plain")
    assert reproduce.main([str(file), "--from-stored", f"--out={out}"]) == 1
    assert "/counts/parts" in capsys.readouterr().out
