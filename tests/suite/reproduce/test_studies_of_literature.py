"""Studies of other papers' figures: known truth comes back, planted faults are seen."""

import types

import numpy as np
import pandas as pd
import pytest
from test_studies_of_gradients import concluded, differs

from lossjax.suite import loader
from lossjax.suite.reproduce.catalogue import STUDIES


def module(name: str) -> types.ModuleType:
    return loader.load(STUDIES[name].file)


def test_a_unit_that_should_have_collapsed_is_seen() -> None:
    def change(table: pd.DataFrame) -> None:
        idle = (table["variance"] == "1.0") & (table["unit"] == 5)
        table.loc[idle, "kl"] = 0.01

    found = differs(concluded("linear_vae", "exact", change))
    assert "closed form: units kept = eigenvalues above the variance" in found


def test_ppca_is_the_gaussian_of_its_own_covariance() -> None:
    """The likelihood by eigenvalues against one that multiplies matrices."""
    linear_vae = module("linear_vae")
    values = np.geomspace(2, 1e-3, linear_vae.PIXELS)
    variance, own = 0.05, linear_vae.kept(values, 0.05)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(len(values),) * 2))
    model = np.full(len(values), variance)
    model[: len(own)] = own
    covariance, data = turn @ np.diag(model) @ turn.T, turn @ np.diag(values) @ turn.T
    _, volume = np.linalg.slogdet(2 * np.pi * covariance)
    nats = -(volume + np.trace(np.linalg.solve(covariance, data))) / 2
    assert linear_vae.likelihood(values, variance) == pytest.approx(nats, abs=1e-9)


def test_squares_lie_where_the_source_puts_them() -> None:
    xysquares = module("xysquares")
    places = np.array([[[0, 0], [7, 0], [3, 5]]])
    (image,) = xysquares.square_images(places, 8)
    assert image.shape == (64, 64, 3) and image.sum() == 3 * 64
    for channel, (x, y) in enumerate(places[0]):
        corner = image[8 * y : 8 * y + 8, 8 * x : 8 * x + 8, channel]
        assert corner.all()
    (close,) = xysquares.square_images(places, 1)
    assert close[:, :, 0].any(0).argmax() == 24  # centred: 15 pixels of 64


def test_a_pixelwise_loss_that_sees_how_far_is_noticed() -> None:
    def change(table: pd.DataFrame) -> None:
        table.loc[table["loss"] == "mae", "distance"] *= 1 + 0.1 * table["moved"]

    found = differs(concluded("xysquares", "distances", change))
    assert "moves of a walk that pixel-wise losses tell apart, all spacings" in found


def test_em_has_the_law_of_the_library_and_finds_a_planted_mixture() -> None:
    from lossjax import LOSSES
    from lossjax.certificates.probe import Probe

    cb_mixture = module("cb_mixture")
    logits = np.array([-30.0, -3.0, -0.02, 0.005, 0.5, 40.0])
    probe = Probe(LOSSES["continuous_bernoulli"])
    means = cb_mixture.mean_of(logits)
    np.testing.assert_allclose(means, probe.read_out(logits), atol=2e-6)
    np.testing.assert_allclose(cb_mixture.logit_of_mean(means), logits, rtol=1e-6)
    x = np.full_like(logits, 0.3)
    density = logits * x - cb_mixture.log_partition(logits)
    np.testing.assert_allclose(-probe(logits, x)[0], density, rtol=1e-5, atol=1e-5)
    truth = np.array([[-8.0, -8.0, -8.0], [8.0, 8.0, 8.0]])
    random = np.random.default_rng(0)
    u = random.uniform(size=(4000, 3))
    eta = truth[random.integers(2, size=4000)]
    draws = np.log1p(u * np.expm1(eta)) / eta
    start = np.array([[0.4] * 3, [0.6] * 3])
    found, weights, _ = cb_mixture.fitted(draws, start, True)
    np.testing.assert_allclose(found, truth, rtol=0.1)
    np.testing.assert_allclose(weights, 0.5, atol=0.03)
    # Without the normaliser the same means are read as less contrast.
    plain, _, _ = cb_mixture.fitted(draws, start, False)
    assert np.abs(plain).max() < 3


def test_a_clip_that_costs_nothing_is_seen() -> None:
    def change(table: pd.DataFrame) -> None:
        free = table[(table["loss"] == "continuous_bernoulli") & (table["clip"] == 0)]
        clipped = (table["loss"] == "continuous_bernoulli") & (table["clip"] == 1e-4)
        table.loc[clipped, ["value", "drawn"]] = free[["value", "drawn"]].to_numpy()

    assert len(differs(concluded("clipping", "levels", change))) >= 4


def test_a_floor_that_hides_digits_still_is_seen() -> None:
    """The prediction fails where what is left above the floor prefers digits, too."""

    def change(table: pd.DataFrame) -> None:
        above = (table["loss"] == "bce") & (table["score"] == "above its floor")
        table.loc[above, "auroc"] = 1 - table.loc[above, "auroc"]

    before = differs(concluded("outliers", "scores", lambda table: None))
    after = differs(concluded("outliers", "scores", change))
    what = "trained with bce, scored by above its floor: AUROC"
    assert (what in before) != (what in after)


def test_a_field_that_leads_elsewhere_is_seen() -> None:
    def change(table: pd.DataFrame) -> None:
        table["bce_x"] += 1e-3

    found = differs(concluded("denoising_field", "exact", change))
    assert found == {"bce, exact: largest distance from Tweedie's formula, 81 points"}


def test_tweedies_formula_is_the_mean_of_the_posterior() -> None:
    own = module("denoising_field")
    noisy = np.random.default_rng(0).uniform(size=(20, 2))
    points, chance = own.ring()
    assert chance.sum() == pytest.approx(1)
    np.testing.assert_allclose(
        own.tweedie(noisy), own.posterior(noisy) @ points, atol=1e-8
    )


def test_a_pull_that_does_not_fade_with_the_variance_is_seen() -> None:
    own = module("beta_nll")
    names = list(own.BETAS)
    powers = dict(zip(names, (-1, 0, 1), strict=True))

    def findings(powers: dict[str, int]) -> set[str]:
        lines = [(name, r, r**k) for name, k in powers.items() for r in own.RESIDUALS]
        table = pd.DataFrame(lines, columns=["loss", "residual", "pull"])
        return {one.key for one in own._exact(table) if not one.holds}

    assert not findings(powers)
    assert findings(powers | {names[0]: 0}) == {"power_0"}


def test_a_likelihood_that_gives_no_point_up_is_seen() -> None:
    own = module("beta_nll")
    kept = dict.fromkeys(own.WORDS, np.array([0.005, 0.006, 0.007]))
    left = kept | {own.NLL: np.array([0.25, 0.26, 0.24])}
    wrong = {one.key for one in own._fitted(kept) if not one.holds}
    assert wrong == {"sinusoid_lost", "sinusoid_half"}
    assert all(one.holds for one in own._fitted(left))


def test_a_square_that_does_not_mind_outliers_is_seen() -> None:
    def change(table: pd.DataFrame) -> None:
        clean = table[table["outliers"] == 0]["error"].to_numpy()
        for share in (0.1, 0.3):
            table.loc[table["outliers"] == share, "error"] = clean

    found = differs(concluded("barron_alpha", "pixels", change))
    assert "10 % outliers: error of the square over the best's" in found


def test_a_defect_is_a_disc_and_leaves_the_rest() -> None:
    defects = module("defects")
    clean, rough = np.random.default_rng(0).uniform(0, 0.8, (2, 3, 32, 32))
    images, disc = defects.planted(clean, rough)
    assert (disc.sum((1, 2)) == 81).all()  # points of a grid within 5 of one of them
    for image in images.values():
        np.testing.assert_array_equal(image != clean, disc)
    np.testing.assert_allclose((images["bright"] - clean)[disc], 0.15)


def test_a_map_that_finds_nothing_is_seen() -> None:
    def change(table: pd.DataFrame) -> None:
        table.loc[table["map"] == "ssim", "auroc"] = 0.5

    assert len(differs(concluded("defects", "scored", change))) >= 2
