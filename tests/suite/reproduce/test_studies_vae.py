"""Studies of variational models: what they conclude from rows that are known."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

from lossjax.suite import loader
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.reproduce.finding import Finding, Verdict
from lossjax.suite.reproduce.study import Record, Trial
from lossjax.suite.statistics import Scores

cb_warp, matched_scale, vae_pytorch = (
    loader.load(STUDIES[name].file)
    for name in ("cb_warp", "matched_scale", "vae_pytorch")
)
SCALES = matched_scale.PLAN
SEEDS = np.linspace(-1, 1, 6)
MADE = {"quick": False}


def told_by_scale(sigma: float) -> dict[str, float]:
    """Scores that a Gaussian's scale alone decides, straight lines in its logarithm."""
    x = float(np.log(sigma))
    names = (*matched_scale.METRICS, "implied_sigma", "active_units", "bits_per_dim")
    scores = {name: 1.0 + 0.2 * x for name in names}
    return scores | {"kl": 4.0 - 10 * x, "implied_sigma": sigma}


def trial(model: str, scores: dict[str, dict[str, float]]) -> Trial:
    """Every loss's columns: the score, and a little of the seed."""
    columns = {
        f"test_{metric}": {
            loss: Scores(own[metric] * (1 + 1e-3 * SEEDS))
            for loss, own in scores.items()
        }
        for metric in next(iter(scores.values()))
    }
    rates = dict.fromkeys(scores, np.full(6, 1e-3))
    return Trial("mnist", columns["test_bits_gaussian"], rates, model, columns)


def evidence(bce: dict[str, float], kl_mean: float = 0.01) -> Record:
    scores = {SCALES.gaussian(sigma): told_by_scale(sigma) for sigma in SCALES.SIGMAS}
    scores |= {loss: told_by_scale(0.15) for loss in SCALES.OTHERS}
    scores |= {"mse": told_by_scale(0.7), "bce": bce}
    flat = {loss: told_by_scale(0.7) | {"kl": kl_mean} for loss in ("bce", "mse")}
    pixels = "00" * 16
    pictures = pd.DataFrame(
        [("", "", "original", 0, pixels), (SCALES.SUM, "bce", "sample", 0, pixels)],
        columns=["model", "loss", "kind", "place", "pixels"],
    )
    return Record(
        {"sum": [trial(SCALES.SUM, scores)], "mean": [trial(SCALES.MEAN, flat)]},
        {"pictures": pictures},
        None,
        MADE,
    )


def verdicts(found: Record) -> dict[str, Verdict]:
    return {f.key: f.verdict for f in matched_scale.conclude(found).findings}


def test_a_difference_that_is_only_the_scale_goes_to_the_last_percent() -> None:
    outcome = matched_scale.conclude(evidence(told_by_scale(SCALES.MATCHED)))
    assert outcome.counts["matched_sigma"] == pytest.approx(SCALES.MATCHED, rel=1e-3)
    for metric, removed in outcome.counts["removed"].items():
        assert removed["center"] == pytest.approx(1, abs=0.01), metric
    assert outcome.counts["nearness"]["center"] == pytest.approx(1)
    assert len(outcome.table) == len(SCALES.OTHERS) + len(SCALES.SIGMAS) + 2
    assert f"at sigma {SCALES.MATCHED}" in matched_scale.answer(outcome.counts)


def test_a_difference_that_is_the_loss_itself_stays() -> None:
    """Of the matched KL, but of pictures as far from there as mse's are."""
    own = told_by_scale(SCALES.MATCHED)
    far = told_by_scale(0.7)
    bce = own | {"mse": 2 * own["mse"] - far["mse"], "ssim": own["ssim"]}
    outcome = matched_scale.conclude(evidence(bce))
    removed = outcome.counts["removed"]["mse"]["center"]
    assert removed == pytest.approx(0.5, abs=0.01)
    bce |= {"mse": 3 * own["mse"] - 2 * far["mse"]}
    found = evidence(bce)
    assert matched_scale.conclude(found).counts["removed"]["mse"]["center"] < 0.4
    key = "removed_mse"
    assert verdicts(found)[key] == Verdict.DIFFERS
    assert verdicts(evidence(own))[key] == Verdict.EXPECTED


def test_a_scale_that_does_not_match_is_seen() -> None:
    """At another scale the code of the Gaussian costs another KL than bce's."""
    right = verdicts(evidence(told_by_scale(SCALES.MATCHED)))
    assert right["matched_kl"] == Verdict.EXPECTED
    assert right["matched_variance"] == Verdict.DIFFERS  # .08 at most was expected
    assert verdicts(evidence(told_by_scale(0.32)))["matched_kl"] == Verdict.DIFFERS
    beyond = matched_scale.conclude(evidence(told_by_scale(0.12)))
    assert np.isnan(beyond.counts["matched_sigma"])


def test_a_mean_that_does_not_collapse_is_seen() -> None:
    key = "mse_mean"
    alive = evidence(told_by_scale(0.2), kl_mean=3.0)
    assert verdicts(alive)[key] == Verdict.DIFFERS
    assert verdicts(evidence(told_by_scale(0.2)))[key] == Verdict.EXPECTED


def test_pictures_come_back_as_they_were() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4, 1)
    ((_, _, _, place, text),) = matched_scale._lines("m", "bce", "sample", image[None])
    assert place == 0
    np.testing.assert_array_equal(matched_scale._picture(text), image[..., 0])


@pytest.mark.parametrize("loss, verdict", [(105.2, "reproduced"), (109.0, "differs")])
def test_the_test_loss_of_the_example_is_judged(loss: float, verdict: str) -> None:
    def one(value: float) -> Trial:
        scores = {"test_elbo": -value, "test_kl": 25.0, "test_iw_bound": -101.0}
        columns = {
            name: {"bce": Scores(score * (1 + 1e-4 * SEEDS[:2]))}
            for name, score in (scores | {"test_active_units": 20.0}).items()
        }
        return Trial("mnist", {}, {}, 'vae(body="mlp")', columns)

    trials = {"epoch 4": [one(109.6)], "epoch 10": [one(loss)]}
    steps = {"floor": pd.DataFrame({"floor": [45.53]})}
    outcome = vae_pytorch.conclude(Record(trials, steps, None, MADE))
    found = {f.what: f.verdict for f in outcome.findings}
    assert found["test loss, epoch 4"] == "reproduced"
    assert found["test loss, epoch 10"] == verdict


def warped_scores(
    closed: float = 0.8, lead: float = 0.0, kl: dict[str, float] | None = None
) -> Record:
    """Rows on the poster's curves but for what is given."""
    fall = kl or cb_warp.COLLAPSE
    trials = []
    for gamma in cb_warp.PLAN.GAMMAS:
        top, low = cb_warp.ELBOS["p"].at(gamma), cb_warp.ELBOS["lambda"].at(gamma)
        near = cb_warp.ACCURACIES["lambda"].at(gamma)
        scores = {
            "test_elbo_cb": {cb_warp.CB: top, cb_warp.BCE: low},
            "test_elbo_cb_mean": {
                cb_warp.CB: top,
                cb_warp.BCE: low + closed * (top - low),
            },
            cb_warp.KNN: {cb_warp.CB: near + lead, cb_warp.BCE: near},
            "test_kl": {loss: 0.01 if gamma >= fall[loss] else 20.0 for loss in fall},
        }
        columns = {
            name: {
                loss: Scores(own * (1 + 1e-6 * SEEDS[:3])) for loss, own in each.items()
            }
            for name, each in scores.items()
        }
        trials.append(Trial("mnist", {}, {}, cb_warp.PLAN.model(gamma), columns))
    return Record({"warp": trials}, {}, None, MADE)


def warp_verdicts(found: Record) -> list[str]:
    """Of order, and the three of the collapse."""
    first, *rest = cb_warp.conclude(found).findings
    falls = [f for f in rest if "collapse" in f.what]
    return [str(f.verdict) for f in (first, *falls)]


@pytest.mark.parametrize(
    "given, differs",
    [
        ({}, ()),
        ({"closed": 1.1}, (0,)),
        ({"kl": {cb_warp.BCE: 0.4, cb_warp.CB: 0.4}}, (1, 2, 3)),
        ({"kl": {cb_warp.BCE: 0.15, cb_warp.CB: 0.45}}, (2,)),
        ({"kl": {cb_warp.BCE: 0.3, cb_warp.CB: 0.35}}, (2, 3)),
    ],
)
def test_the_warp_sweep_is_judged_as_it_was_said_to_be(
    given: dict, differs: tuple[int, ...]
) -> None:
    found = warp_verdicts(warped_scores(**given))
    agree = [*["as expected"] * 2, *["reproduced"] * 2]
    assert found == ["differs" if k in differs else agree[k] for k in range(4)]


def test_what_the_mean_leaves_is_said_where_codes_hold_something() -> None:
    findings = cb_warp.conclude(warped_scores(closed=0.7)).findings
    left = {f.key: f for f in findings if f.key.startswith("left_")}
    fall = min(cb_warp.COLLAPSE.values())
    assert set(left) == {f"left_{g:g}" for g in cb_warp.PLAN.GAMMAS if g < fall}
    assert all(f.ours.startswith("0.3 ") for f in left.values())


def order_and_near(found: Record) -> tuple[Finding, float]:
    """The first finding, and the least lead in accuracy of neighbours."""
    first, *rest = cb_warp.conclude(found).findings
    (near,) = (f.number for f in rest if f.key == "neighbours")
    assert near is not None
    return first, near.center


def test_what_an_empty_code_explains_is_said() -> None:
    """Only where the codes are empty is that the reason."""
    empty = {cb_warp.BCE: 0.3, cb_warp.CB: 0.3}
    order, near = order_and_near(warped_scores(closed=1.1, lead=-0.02, kl=empty))
    assert "draw one picture" not in order.reason  # full codes are out of order too
    assert near == pytest.approx(-0.02)  # the least is at a full code
    found = warped_scores(kl=empty)
    for trial in found.trials["warp"]:
        if trial.model == cb_warp.PLAN.model(0.45):
            for column, worse in (("test_elbo_cb", -100), (cb_warp.KNN, 0.05)):
                trial.columns[column][cb_warp.CB] = Scores(np.full(3, worse))
    order, near = order_and_near(found)
    assert order.verdict == Verdict.DIFFERS
    assert near == pytest.approx(0, abs=1e-9)  # of empty codes they are not counted
    assert "not at gamma = 0.45" in order.reason and "one picture" in order.reason


def test_the_posters_gap_and_ceiling() -> None:
    outcome = cb_warp.conclude(warped_scores())
    gap = outcome.findings[1].published
    assert gap is not None and gap.value == pytest.approx(0.837, abs=5e-4)
    area, _ = integrate.quad(lambda x: 1e-4**x * 0.9999 ** (1 - x), 0, 1)
    assert cb_warp.ceiling() == pytest.approx(784 * np.log(0.9999 / area), rel=1e-9)
    assert cb_warp.POSTER.shape == (20, 5) and not cb_warp.POSTER.isna().any().any()
    assert cb_warp.ALL_GAMMAS[0] == -0.5 and cb_warp.ALL_GAMMAS[-1] == 0.45
    assert "1470 / 1470.0" in outcome.table.loc[2].tolist()[1]


def test_the_warps_models_go_by_their_canonical_names() -> None:
    from lossjax.models import autoencoders

    for gamma in cb_warp.ALL_GAMMAS:
        assert autoencoders.resolve(
            cb_warp.PLAN.model(gamma)
        ).name == cb_warp.PLAN.model(gamma)
    assert cb_warp.PLAN.SOURCE_GAMMAS == cb_warp.ALL_GAMMAS
    assert len(cb_warp.PLAN.sweeps("full")["warp"].models) == 20
