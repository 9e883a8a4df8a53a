"""The atlas on scores whose answer is planted."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lossjax.suite import loader
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.reproduce.study import Judge, Record, Trial
from lossjax.suite.statistics import Scores

atlas = loader.load(STUDIES["atlas"].file)
BEST = dict(zip(atlas.PLAN.SETS, (-0.1, 0, 0.2, 0.4, 0.6, 0.8, 1, 1.4), strict=True))
JUDGES = {
    m: Judge(m, "higher" if "acc" in m or m == "ssim" else "lower", 0.01, True)
    for m in atlas.METRICS
}


def trial(name: str, best: float) -> Trial:
    """Every metric is a parabola over g around `best`; other losses are far behind."""
    luck = np.random.default_rng(0).normal(0, 0.002, 10)
    columns = {}
    for metric, judge in JUDGES.items():
        sign = 1 if judge.direction == "lower" else -1
        columns[f"test_{metric}"] = {
            loss: Scores(0.5 + sign * (0.3 * (atlas.G.get(loss, 3) - best) ** 2) + luck)
            for loss in atlas.PLAN.LOSSES
        }
    return Trial(name, columns["test_mse"], {}, "conv_ae", columns)


def record(exponents: dict[str, float], names=tuple(BEST)) -> Record:
    facts = dict.fromkeys(atlas.PILOT, 1.0)
    lines = []
    for name in names:
        a = exponents[name]
        own = {"exponent": a, "low": a - 0.1, "high": a + 0.1, "by_s": 1 - BEST[name]}
        noise = len(name) % 3  # candidates that say nothing
        own |= {"grey": noise, "black": noise, "coin": -noise, "tail": 1 + noise}
        lines.append(facts | own | {"dataset": name, "sweep": name})
    pictures = pd.DataFrame(columns=["loss", "place", "shape", "pixels", "sweep"])
    trials = {name: (trial(name, BEST[name]),) for name in names}
    trials["digits-half"] = (trial("digits", BEST["digits"]),)
    trials["mnist-half"] = (trial("mnist", 1.4),)
    trials["glyphs-mlp"] = (trial("glyphs", 1.4),)
    tables = {"pilot": pd.DataFrame(lines), "pictures": pictures}
    return Record(trials, tables, JUDGES["mse"], {"quick": False}, JUDGES)


def findings(exponents: dict[str, float], names=tuple(BEST)):
    outcome = atlas.conclude(record(exponents, names))
    return outcome, {f.key: f for f in outcome.findings}


def test_a_pilot_that_is_right_holds_and_is_useful() -> None:
    outcome, found = findings({name: 1 - g for name, g in BEST.items()})
    assert found["prediction"].ours.startswith("holds and is useful: 8 of 8 sets")
    assert outcome.counts["verdict"]["word"] == "holds and is useful"
    for name, best in BEST.items():
        own = outcome.counts["predictions"][name]
        inside = best < 1.25  # above, the end of the scan is lowest
        assert own["optimum"]["center"] == pytest.approx(
            best if inside else 1.5, abs=0.05
        )
        assert own["edge"] == (not inside)
        assert own["followed"] in own["tied"]
    assert found["kendall"].number.center == pytest.approx(1)
    assert not any("another statistic" in f.what for f in outcome.findings)
    assert len(outcome.table) == len(BEST) * len(atlas.METRICS)
    words = outcome.counts["elsewhere"]
    assert [w for k, w in words.items() if k.startswith("digits")] == ["settled"]
    assert [w for k, w in words.items() if k.startswith("mnist")] == ["not settled"]
    assert found["pair_mlp"].ours == "MSE on 1 (glyphs), BCE on 0 of 1 sets"
    assert found["pair_mse"].ours.startswith("BCE on 4 (digits, glyphs, mnist, fashion")
    assert outcome.counts["bce_or_mse"]["word"] == "matters on most sets"
    assert found["half"].ours.startswith("settled on 1 of 2 sets (digits, mnist);")


def test_a_pilot_that_is_wrong_is_refuted_and_another_statistic_found() -> None:
    outcome, found = findings({name: 2 * (g > 0.5) for name, g in BEST.items()})
    assert found["prediction"].ours.startswith("refuted")
    assert not found["prediction"].holds and found["prediction"].reason
    others = [f.ours for f in outcome.findings if "another statistic" in f.what]
    assert len(others) == 2
    for words in others:
        assert words.startswith("a, pixels weighted by s: right on 4 of 4")


def test_what_a_wider_code_removes_is_said_where_the_prediction_fails() -> None:
    wrong = record({name: 2 * (g > 0.5) for name, g in BEST.items()})
    whole = wrong.trials["digits"][0]
    wide = {loss: Scores(one.values / 4) for loss, one in whole.arms.items()}
    model = f"conv_ae[latent_dim={4 * atlas.PLAN.SETS['digits']}]"
    trials = {"digits-codes": (dataclasses.replace(whole, arms=wide, model=model),)}
    found = dataclasses.replace(wrong, trials={**wrong.trials, **trials})
    counts = atlas.conclude(found).counts
    assert counts["left"]["digits"]["center"] == pytest.approx(0.25)
    assert "squared residuals 75% (digits) are gone" in atlas.answer(counts)
    assert "code four times as wide" not in atlas.answer(atlas.conclude(wrong).counts)


def test_sets_that_are_not_there_are_named() -> None:
    there = ("digits", "mnist")
    outcome, found = findings({name: 1 - g for name, g in BEST.items()}, there)
    assert outcome.counts["missing"] == [n for n in BEST if n not in there]
    assert "2 of 8; not: glyphs" in found["sets"].ours
    assert (
        found["prediction"].ours.startswith("open") and not found["prediction"].verdict
    )
    ranks = outcome.counts["ranks"]["mse"]
    assert ranks["bce"]["low"] <= ranks["bce"]["center"] <= ranks["bce"]["high"]


def test_lowest_point_and_chance() -> None:
    at = np.array([-0.25, 0, 0.25, 0.5, 0.75, 1, 1.5])
    tops = np.array([0.1, 0.6, 1.1, -1, 3])
    found = atlas.lowest(at, (at[:, None] - tops) ** 2)
    np.testing.assert_allclose(found, [0.1, 0.6, 1.1, -0.25, 1.5], atol=1e-12)
    assert atlas.at_least(3, [0.4] * 5) == pytest.approx(stats.binom.sf(2, 5, 0.4))


def test_made_sets_without_a_difference_are_counted_apart_from_tied_ones() -> None:
    whole = record({name: 1 - g for name, g in BEST.items()})
    luck = np.random.default_rng(0).normal(0, 0.002, 10)
    wide = np.random.default_rng(1).normal(0, 0.03, 10)
    made = []
    for (_, dataset), ahead in zip(
        atlas.PLAN.MADE.items(), (0, wide, -0.1), strict=False
    ):
        arms = {loss: Scores(0.5 + luck) for loss in atlas.PLAN.THREE}
        arms["mse"] = Scores(0.5 + luck + ahead)
        made.append(Trial(dataset, arms, {}, "conv_ae"))
    trials = {**whole.trials, "made": made}
    outcome = atlas.conclude(dataclasses.replace(whole, trials=trials))
    found = {f.key: f for f in outcome.findings}
    said = "all tied for best on 2 of 3, no difference that matters on 1"
    assert found["made"].ours == said
    assert outcome.counts["made"]["cells"][2]["tied"] == ["mse"]
    assert outcome.counts["made"]["most"]["center"] == pytest.approx(25, abs=1)
    assert "tied for best on 2, with no difference that matters on 1" in atlas.answer(
        outcome.counts
    )


def test_the_headline_is_of_bce_and_mse_and_not_of_the_best_between_them() -> None:
    """Halfway between the two both are far behind the best, and neither is ahead."""
    whole = record({name: 1 - g for name, g in BEST.items()})
    half = {name: (trial(name, 0.5),) for name in BEST}
    outcome = atlas.conclude(dataclasses.replace(whole, trials=whole.trials | half))
    assert outcome.counts["bce_or_mse"]["word"] == "hardly matters"
    assert outcome.counts["costs"]["digits"]["mse"]["bce"]["word"] == "worse"


def test_rates_at_an_end_of_the_grid_are_told() -> None:
    whole = record({name: 1 - g for name, g in BEST.items()})
    (one,) = whole.trials["photos"]
    lowest, middle = atlas.PLAN.RATES[:2]
    rates = {"bce": np.array([lowest] * 4 + [middle] * 6), "mse": np.full(10, middle)}
    trials = {**whole.trials, "photos": (dataclasses.replace(one, rates=rates),)}
    outcome = atlas.conclude(dataclasses.replace(whole, trials=trials))
    assert outcome.counts["edges"]["photos"] == ["bce 0.001"]
    assert "rates: photos 1." in " ".join(atlas.answer(outcome.counts).split())
