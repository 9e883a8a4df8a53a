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


def test_a_clip_that_costs_nothing_is_seen() -> None:
    def change(table: pd.DataFrame) -> None:
        free = table[(table["loss"] == "continuous_bernoulli") & (table["clip"] == 0)]
        clipped = (table["loss"] == "continuous_bernoulli") & (table["clip"] == 1e-4)
        table.loc[clipped, ["value", "drawn"]] = free[["value", "drawn"]].to_numpy()

    assert len(differs(concluded("clipping", "levels", change))) >= 4


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
