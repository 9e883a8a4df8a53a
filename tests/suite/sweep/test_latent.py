"""What a sweep keeps and shows of a variational model, from training to the page."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from stored_sweeps import describe, write

from lossjax import LATENT_METRICS
from lossjax.suite import data, protocol
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import FIELDS, Sweep
from lossjax.suite.report import build, verdict
from lossjax.suite.report.evidence import read
from lossjax.suite.store import sealing
from lossjax.suite.store.results import Result
from lossjax.suite.store.test_images import Drawn
from lossjax.suite.sweep.description import describe as described
from lossjax.suite.sweep.latent import _flat
from lossjax.suite.sweep.validation import validate
from lossjax.suite.sweep.worker import Worker
from lossjax.suite.verify import archive, comparison
from lossjax.training.replicas import plan_layout

SWEEP = validate(
    Sweep(
        datasets=("digits",),
        models=("vae(body=linear)",),
        losses=("bce", "mae"),
        learning_rates=(1e-2,),
        seeds=(0, 1),
        train_steps=5,
        batch_size=20,
        latent_dim=3,
        max_examples=120,
        curve_points=1,
    )
)


@pytest.fixture(scope="module")
def results() -> list[Result]:
    loaded = {"digits": data.load("digits", max_examples=120)}
    facts = described(SWEEP, loaded)["datasets"]
    layout = plan_layout("cpu", 2, SWEEP.at_once)
    made = Worker(SWEEP, loaded, Path("unused"), print, layout, "")
    found = []
    for arm in protocol.arms(SWEEP, protocol.fixed_values(SWEEP, facts, 1)):
        runs = [arm.run(1e-2, seed) for seed in SWEEP.seeds]
        found += made.train(runs, lambda steps: None)
    return found


@pytest.mark.parametrize(
    "fields, words",
    [
        (
            {"kl_cycles": 1, "models": ("vae", "mlp_ae")},
            "kl_cycles = 1: mlp_ae has no KL",
        ),
        ({"kl_rise": 0.2}, "kl_rise = 0.2: needs config.kl_cycles=1 or more"),
        ({"kl_cycles": 3}, "kl_cycles = 3: a cycle needs at least 2 of the 5 training"),
    ],
)
def test_a_schedule_of_the_kl_that_means_nothing_is_refused(fields, words: str) -> None:
    with pytest.raises(UserError, match=f"config.{words}"):
        validate(dataclasses.replace(SWEEP, **fields))
    schedule = {"kl_cycles": 2, "kl_rise": 0.25}
    fixed = validate(dataclasses.replace(SWEEP, **schedule)).fixed()
    assert fixed == SWEEP.fixed() | schedule


@pytest.mark.slow
def test_every_run_has_what_only_a_variational_model_has(results) -> None:
    for result in results:
        likelihood = result.run.loss == "bce"
        for name in LATENT_METRICS:
            value = result.metrics[f"test_{name}"]
            if name == "bits_per_dim":
                assert np.isnan(value)
            elif name in ("elbo", "iw_bound"):
                assert np.isfinite(value) == likelihood
            elif name in ("elbo_cb", "elbo_cb_mean"):
                assert np.isfinite(value)  # logarithms of densities: of any sign
            else:
                assert np.isfinite(value) and value >= 0
        if likelihood:
            assert result.metrics["test_iw_bound"] > result.metrics["test_elbo"]
            own = -result.metrics["test_elbo"] - result.metrics["test_kl"]
            assert own > 64 * 0.2  # what the entropy of grey digits leaves at least
        assert result.kept is not None
        assert float(result.kept.of("kl").mean()) == pytest.approx(
            result.metrics["test_kl"], rel=1e-5
        )


@pytest.mark.slow
def test_the_first_seed_keeps_its_pictures_and_they_read_back(results) -> None:
    first, second = results[:2]
    assert first.run.seed == 0 and second.drawn is None
    drawn = first.drawn
    assert drawn is not None and drawn.labels is not None
    assert drawn.samples.shape == (16, 8, 8, 1)
    assert drawn.interpolations.shape == (3, 8, 8, 8, 1)
    assert drawn.places.shape == (20, 2) and len(drawn.labels) == 20
    assert np.unique(drawn.samples, axis=0).shape[0] > 8
    again = Result.from_json(json.loads(sealing.canonical(first.to_json())))
    for name, array in vars(drawn).items():
        np.testing.assert_array_equal(getattr(again.drawn, name), array)
    other = results[2].drawn
    assert other is not None and not np.array_equal(other.samples, drawn.samples)


@pytest.mark.slow
def test_a_result_without_pictures_is_written_as_ever(results) -> None:
    assert "drawn" not in results[1].to_json()


def test_codes_lie_on_their_principal_axes() -> None:
    spread = np.random.default_rng(0).standard_normal((200, 3)) * [0.1, 5, 1]
    flat = _flat(spread)
    for axis, unit in ((0, 1), (1, 2)):
        assert np.corrcoef(flat[:, axis], spread[:, unit])[0, 1] > 0.98
    np.testing.assert_allclose(_flat(spread[:, :2]), spread[:, :2], rtol=1e-6)
    assert _flat(spread[:, :1]).shape == (200, 2)


def pictured(result: Result) -> Result:
    """As if a variational model had made it; mae's code says nothing."""
    silent = result.run.loss == "mae"
    values = {
        "elbo": -30.0 - result.run.seed,
        "kl": 0.001 if silent else 5.0 + result.run.seed / 10,
        "active_units": 0.0 if silent else 3.0,
        "bits_gaussian": 4.0 + result.run.seed / 100,
        "bits_per_dim": np.nan if silent else 3.0 + result.run.seed / 100,
    }
    metrics = {f"{s}_{name}": v for s in ("val", "test") for name, v in values.items()}
    places = np.random.default_rng(0).normal(size=(30, 2)).astype(np.float32)
    drawn = Drawn(
        np.full((4, 8, 8, 1), 30, np.uint8),
        np.full((2, 8, 8, 8, 1), 30, np.uint8),
        places,
        np.arange(30, dtype=np.uint8) % 10,
    )
    return dataclasses.replace(
        result,
        metrics={**result.metrics, **metrics},
        drawn=drawn if result.run.seed == 0 else None,
    )


def test_the_report_shows_measures_pictures_and_the_collapsed(tmp_path: Path) -> None:
    sweep = Sweep(
        models=("vae",),
        losses=("bce", "mse", "mae"),
        seeds=tuple(range(7)),
        primary_metric="mse",
    )
    facts = describe(sweep)
    facts["metrics"] = {
        **facts["metrics"],
        **{
            name: {
                "direction": row.direction,
                "unit": row.unit,
                "margin": vars(row.margin),
                "note": row.note,
                "partial": row.partial,
                "variational": True,
            }
            for name, row in LATENT_METRICS.items()
        },
    }
    write(tmp_path, sweep, pictured, facts)
    summary = build.build(tmp_path)
    (group,) = read(tmp_path).groups
    findings = list(verdict.findings(summary.evidence, group))
    assert set(group.measures) == {"elbo", "kl", "active_units"}
    assert "bits_gaussian" in group.rankings and "kl" not in group.rankings
    # A metric that mae cannot have must not cost it its place among the unbeaten.
    absent = group.rankings["bits_per_dim"].of("mae")
    assert absent.lost == 0 and verdict.absent(absent) == "not defined"
    ranked = summary.content["datasets"]["digits"]["models"]["vae"]["metrics"]
    listed = [row["loss"] for row in ranked["bits_per_dim"]["ranking"]]
    assert listed == ["bce", "mse"] and len(ranked["mse"]["ranking"]) == 3
    table = (tmp_path / "report/tables/comparison-digits-vae.md").read_text()
    assert "not defined" in table
    # verify counts with code of its own, and says the same.
    assert list(comparison.problems(archive.read(tmp_path), tmp_path / "report")) == []
    assert absent not in verdict.worse(group.rankings["bits_per_dim"])
    assert not absent.best_set and "bits_per_dim" not in group.counted
    (unbeaten,) = [line for line in findings if "no other beats" in line]
    assert "mae" in unbeaten
    assert group.silent == {"mae": 7}
    lines = list(verdict.caveats(summary.evidence, group))
    said = [line for line in lines if "collapsed posterior" in line]
    assert len(said) == 1 and "mae (7 of 7 seeds, KL 0.001 nats)" in said[0]
    assert {"kl_cycles", "kl_rise"} <= set(FIELDS)
    assert "config.kl_cycles" in said[0] and "config.kl_rise" in said[0]
    page = (tmp_path / "report/index.html").read_text()
    for title in ("What the codes say", "Samples", "Interpolations", "Latent map"):
        assert title in page
    assert "Collapsed posterior on some seed: mae" in page
    assert "is not scored: no run of digits / vae carries it" not in page.replace(
        "knn_accuracy is not scored", ""
    )
    measures = summary.content["datasets"]["digits"]["models"]["vae"]["measures"]
    assert measures["kl"]["unit"] == "nats/image"
    assert measures["kl"]["losses"]["mae"]["center"] == pytest.approx(0.001)
    header = (tmp_path / "report/rows.csv").read_text().splitlines()[0]
    assert "test_bits_per_dim" in header and "test_iw_bound" in header
    assert (tmp_path / "report/figures/map-digits-vae.svg").is_file()
