"""What verify recomputes by itself: every planted error of logic is named.

The errors are planted in the protocol, the statistics or the report while a report is
written, so that the report's own code would give the same numbers again.
"""

import dataclasses
import itertools
import json
import math
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import stored_sweeps

from lossjax.suite import protocol, statistics
from lossjax.suite.config import Sweep
from lossjax.suite.report import build, convergence, evidence, tables
from lossjax.suite.report.tables import listings, matrices
from lossjax.suite.statistics import Interval, Scores
from lossjax.suite.store.results import Result
from lossjax.suite.verify import (
    archive,
    arithmetic,
    comparison,
    recomputation,
    standings,
)

SWEEP = Sweep(
    losses=("bce", "mse", "mae"),
    learning_rates=(3e-3, 1e-2),
    seeds=tuple(range(8)),
    budgets=(100, 200),
)


def noisy(result: Result) -> Result:
    """Scores of a sweep that was trained: of every run and split its own luck."""
    run = result.run
    name = f"{run.loss} {run.seed} {run.learning_rate} {run.train_steps}"
    random = np.random.default_rng(zlib.crc32(name.encode()))
    metrics = {
        metric: value * (1 + 0.02 * float(random.normal()))
        for metric, value in result.metrics.items()
    }
    metrics |= {
        f"{s}_knn_accuracy": 0.9 + 0.02 * random.normal() for s in ("val", "test")
    }
    own = result.validation_loss * (1 + 0.3 * random.random())
    if run.loss == "mae" and run.seed == 3 and run.learning_rate > 5e-3:
        own = math.nan
    return dataclasses.replace(
        result,
        status="ok" if math.isfinite(own) else "diverged",
        validation_loss=own,
        metrics=metrics,
        kept=None,
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stored")
    stored_sweeps.write(out, SWEEP, noisy)
    return out


def recomputed(out: Path, report: Path) -> list[str]:
    """What verify's own computation says of the numbers that the report writes now."""
    found = evidence.read(out)
    tables.write(found, report / "tables")
    (report / "rows.csv").write_text(listings.rows(found), encoding="utf-8")
    summary = json.dumps(build.content(found), ensure_ascii=False)
    (report / "summary.json").write_text(summary, encoding="utf-8")
    return list(comparison.problems(archive.read(out), report))


def test_a_right_report_is_what_is_recomputed(stored: Path, tmp_path: Path) -> None:
    assert recomputed(stored, tmp_path) == []


def on_test(results: Sequence[Result], _: object) -> Result:
    return min(results, key=lambda result: result.metrics["test_mse"])


def first_rate(results: Sequence[Result], _: object) -> Result:
    return results[0]


def worst(results: Sequence[Result], _: object) -> Result:
    return max(results, key=lambda result: result.validation_loss)


def other_scores(score: Callable[[Any, str], Sequence[float]]) -> Callable[..., Scores]:
    """Scores of an arm made in another way."""

    def scores_of(arm: evidence.ArmEvidence, metric: str) -> Scores:
        right = arm.scores(lambda r: r.metrics.get(f"test_{metric}", math.nan))
        return dataclasses.replace(right, values=np.array(score(arm, metric)))

    return scores_of


def on_validation(arm: evidence.ArmEvidence, metric: str) -> list[float]:
    return [r.metrics[f"val_{metric}"] for r in arm.chosen]


def unpaired(arm: evidence.ArmEvidence, metric: str) -> list[float]:
    values = [r.metrics[f"test_{metric}"] for r in arm.chosen]
    return values[::-1] if arm.loss == "mae" else values


def best_rate(arm: evidence.ArmEvidence, metric: str) -> list[float]:
    each = (seed.results for seed in arm.seeds)
    return [min(r.metrics[f"test_{metric}"] for r in results) for results in each]


def best_seed(arm: evidence.ArmEvidence, metric: str) -> list[float]:
    values = [r.metrics[f"test_{metric}"] for r in arm.chosen]
    return [min(values)] * len(values)


RANK, INTERVAL, FLIP = statistics.rank, statistics.interval, statistics.sign_flip
DISTANCES = matrices._distances


def without_margin(*scores: Any, **facts: Any) -> statistics.Ranking:
    return RANK(*scores, **facts | {"margin": 0.0})


def normal(values: Sequence[float]) -> Interval:
    right = INTERVAL(values)
    half = (right.high - right.center) * 1.96 / 2.365
    return Interval(right.center, right.center - half, right.center + half)


def moved(values: Sequence[float]) -> Interval:
    right = INTERVAL(values)
    return dataclasses.replace(right, high=right.high * (1 + 1e-6))


def biased(values: Sequence[float]) -> Interval:
    right = INTERVAL(values)
    return dataclasses.replace(right, center=right.center * 1.001)


def in_units(*facts: Any) -> matrices.Distances:
    right = DISTANCES(*facts)
    gaps = {
        loss: Interval(*(end / 100 for end in vars(gap).values()))
        for loss, gap in right.gaps.items()
    }
    return dataclasses.replace(right, gaps=gaps)


RECOUNT = standings.rank


def crossed(scores: pd.DataFrame, *facts: Any) -> standings.Ranked:
    """One arm's seeds dealt to others."""
    return RECOUNT(scores.assign(mae=scores["mae"].to_numpy()[::-1]), *facts)


def unmargined(*facts: Any) -> standings.Ranked:
    return RECOUNT(*facts[:3], facts[3] | {"value": 0.0})


@pytest.mark.parametrize(
    ("place", "name", "wrong", "named"),
    [
        (protocol, "choose", on_test, "chosen is 'False', recomputed True"),
        (protocol, "choose", first_rate, "chosen is '0.003 (8)', recomputed"),
        (protocol, "choose", worst, "chosen is 'True', recomputed False"),
        (protocol, "edge_of", lambda *_: None, "edge is '', recomputed 0.003"),
        (evidence, "scores_of", other_scores(on_validation), "mse / bce: center is"),
        (evidence, "scores_of", other_scores(unpaired), "mse / mae: behind_low is"),
        (evidence, "scores_of", other_scores(best_rate), "center is"),
        (evidence, "scores_of", other_scores(best_seed), "mse / bce: center is"),
        (statistics, "rank", without_margin, "margin is 0.0, recomputed"),
        (statistics, "holm", np.asarray, "p_holm is"),
        (statistics, "sign_flip", lambda d: FLIP(d) / 2, "p_holm is"),
        (statistics, "LEVEL", 0.2, "word is"),
        (statistics, "interval", normal, "mse / bce: low is"),
        (statistics, "interval", moved, "mse / bce: high is"),
        (statistics, "interval", biased, "mse / bce: center is"),
        (statistics, "pareto", list, "pareto is ['mse', 'knn_accuracy', 'ssim']"),
        (statistics, "seeds_needed", lambda rivals: 10, "needed is '10', recomputed"),
        (
            convergence,
            "settled",
            lambda *_: "settled",
            "settled is 'settled', recomputed",
        ),
        (convergence, "change_of", lambda *_: 0.5, "change is '0.5', recomputed"),
        (matrices, "_distances", in_units, "behind-*.csv: digits / conv_ae[train"),
        # Of verify's own: it would accuse an honest report, which so guards verify.
        (recomputation, "rank", crossed, "mae: behind_low is"),
        (recomputation, "rank", unmargined, "margin is"),
        (standings, "holm", dict, "p_holm is"),
        (standings, "sign_flip", lambda gap: arithmetic.P(0.04), "p_holm is"),
    ],
)
def test_an_error_of_logic_is_named(
    stored: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: Any,
    name: str,
    wrong: Any,
    named: str,
) -> None:
    monkeypatch.setattr(place, name, wrong)
    found = recomputed(stored, tmp_path)
    assert any(named in line for line in found), "\n".join(found[:20])


def test_hidden_scores_stay_hidden(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rows.csv with the test scores of runs that no seed chose."""
    right = listings.rows

    def shown(found: evidence.Evidence) -> str:
        hidden = next(line for line in right(found).splitlines() if ",False," in line)
        return right(found).replace(hidden, hidden.replace(",,", ",0.5,"), 1)

    monkeypatch.setattr(listings, "rows", shown)
    (found,) = recomputed(stored, tmp_path)
    assert "test_mse is '0.5', recomputed nan" in found


@pytest.mark.parametrize("n", [1, 2, 5, 12, 13, 16])
def test_sign_flip_is_exact(n: int) -> None:
    random = np.random.default_rng(n)
    for differences in (random.normal(0.4, 1, n), np.round(random.normal(0, 1, n))):
        signs = np.array(list(itertools.product((1, -1), repeat=n)))
        sums = np.abs(signs @ differences)
        right = np.mean(sums >= abs(differences.sum()) - 1e-9)
        found = arithmetic.sign_flip(differences)
        assert found.value == pytest.approx(right)
        assert found.doubt == 0


def test_beyond_thirty_seeds_the_doubt_covers_other_flips() -> None:
    """Half of the differences are ties by symmetry: an exact p is known for them."""
    differences = np.random.default_rng(0).normal(0.3, 1, 30)
    exact = arithmetic.sign_flip(differences)
    drawn = arithmetic.sign_flip(np.append(differences, 0.0))
    assert exact.doubt == 0 < drawn.doubt < 0.02
    assert abs(drawn.value - exact.value) <= drawn.doubt


def test_holm_steps_down() -> None:
    p = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}
    adjusted = arithmetic.holm({name: arithmetic.P(one) for name, one in p.items()})
    assert {name: one.value for name, one in adjusted.items()} == pytest.approx(
        {"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06}
    )
