"""Diagnostics: against numbers written independently, and as columns and figures."""

import csv
import functools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import stored_sweeps
from scipy.special import expit

from lossjax import resolve
from lossjax.metrics import diagnostics
from lossjax.metrics.diagnostics import DIAGNOSTICS
from lossjax.models.autoencoders import Network, Output
from lossjax.suite.config import Sweep
from lossjax.suite.report import build
from lossjax.training.diagnoser import Diagnoser
from lossjax.training.replicas import Layout, Replica, make_mesh, stack
from lossjax.training.settings import Settings

SIDE = 8
LAYOUT = Layout(1, 2, "map")


def shown() -> Network:
    """A network whose weights are the raw output of every image."""

    def apply(weights, images):
        raw = weights.reshape(1, SIDE, SIDE, 1) + 0 * images
        return Output(raw, images.reshape(len(images), -1)[:, :3])

    def init(key, start):
        return start[0] + np.zeros(SIDE**2)

    def no_code(*_):
        raise AssertionError("what is shown has no code of its own")

    return Network(init, apply, 1, no_code, no_code, 3)


@functools.cache
def measured(loss: str, count: int = 5) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Diagnostics of raw outputs from -30 to 30, and the images they are of."""
    images = np.random.default_rng(1).integers(0, 256, (count, SIDE, SIDE, 1), np.uint8)
    images[:, ::2] = 255 * (images[:, ::2] > 127)
    replica = Replica(3, 1e-3, resolve(loss), np.zeros(1), True)
    made = Diagnoser(shown(), Settings(10, 2), LAYOUT, make_mesh(LAYOUT))
    weights = np.tile(raw().reshape(1, -1).astype(np.float32), (2, 1))
    found = made.measure(
        stack([replica], LAYOUT), weights, images, images, lambda steps: None
    )
    return found, images / 255


def raw() -> np.ndarray:
    return np.linspace(-30, 30, SIDE * SIDE).reshape(1, SIDE, SIDE, 1)


@pytest.mark.parametrize(
    ("loss", "gradient"),
    [
        ("bce", lambda p, q, y: p - y),
        ("mse", lambda p, q, y: 2 * np.where(y > 0.5, (1 - y) - q, p - y) * p * q),
        ("power(g=-0.5)", lambda p, q, y: (p - y) / np.sqrt(p * q)),
    ],
)
def test_stalled_pixels_are_counted_as_float64_counts_them(loss, gradient) -> None:
    found, y = measured(loss)
    p, q = expit(raw()), expit(-raw())
    stalled = np.abs(gradient(p, q, y)) < 1e-4
    assert found["stalled_share"][0] == stalled.mean()
    assert found["stuck_share"][0] == (stalled & (np.abs(p - y) > 0.1)).mean()
    assert found["saturated_share"][0] == np.broadcast_to(p * q < 0.01, y.shape).mean()
    assert (found["stuck_share"][0] > 0.2) == (loss == "mse")


def test_an_idle_slot_has_no_diagnostics() -> None:
    found, _ = measured("bce")
    assert set(found) == set(DIAGNOSTICS) - {"steps_to_quarter"}
    assert all(math.isnan(values[1]) for values in found.values())


def ratio(gradients: np.ndarray) -> float:
    """Of the first slot; a second one rests."""
    with_idle = [np.concatenate([one, one * math.nan]) for one in gradients[:, :1]]
    first, idle = diagnostics.signal_to_noise(with_idle, np.array([True, False]))
    assert not idle > 0
    return float(first)


def test_a_gradient_that_no_batch_shares_is_noise() -> None:
    generator = np.random.default_rng(0)
    noise = generator.normal(size=(8, 1, 4000))
    assert ratio(noise) < 0.1
    # Each weight's mean is half its deviation.
    assert ratio(noise + 0.5) == pytest.approx(0.5, rel=0.05)
    assert math.isnan(ratio(noise[:1]))


def test_the_gradient_is_that_of_training_batches() -> None:
    """bce of a free raw output: batch means of p - y over the pixels."""
    found, y = measured("bce")
    order = np.random.default_rng(0).permutation(5)[:4].reshape(2, 2)
    gradients = np.stack([(expit(raw()) - y[b]).mean(0).ravel() / 64 for b in order])
    expected = [ratio(gradients[:, None])]
    np.testing.assert_allclose(found["gradient_snr"][:1], expected, rtol=1e-4)


def test_units_that_do_not_move_are_dead() -> None:
    codes = np.random.default_rng(0).normal(size=(2, 50, 4))
    codes[0, :, 1] = 7
    codes[0, :, 2] *= 1e-3
    codes[1] = 1
    np.testing.assert_array_equal(diagnostics.dead_units(codes), [0.5, 1])


def test_every_frequency_but_the_mean_is_in_one_band() -> None:
    for shape in ((8, 8), (28, 28), (5, 9)):
        whole = diagnostics.bands_of(*shape).sum(0)
        assert whole[0, 0] == 0 and (whole.ravel()[1:] == 1).all()
    # cos(pi x) is 1/2 cycle a pixel, cos(pi x / 4) 1/8.
    x = np.arange(8)
    for wave, band in ((np.cos(np.pi * x), 3), (np.cos(np.pi * x / 4), 0)):
        power = np.abs(np.fft.fft2(np.tile(wave, (8, 1)))) ** 2
        powers = (diagnostics.bands_of(8, 8) * power).sum((1, 2))
        assert powers.argmax() == band and powers[band] > 0.999 * powers.sum()


def test_a_residual_of_fine_detail_alone_is_blur() -> None:
    target = np.ones((1, 4))
    fine = diagnostics.spectrum(np.array([[0.1, 0.1, 0.5, 0.5]]), target)
    assert fine["blur"][0] == pytest.approx(5) and fine["residual_4"][0] == 0.5


def test_the_spectrum_is_that_of_read_out_minus_target() -> None:
    found, y = measured("bce")
    power = np.abs(np.fft.fft2(expit(raw()) - y, axes=(1, 2)))[..., 0] ** 2
    whole = np.abs(np.fft.fft2(y, axes=(1, 2)))[..., 0] ** 2
    for band, mask in enumerate(diagnostics.bands_of(SIDE, SIDE), start=1):
        expected = (power * mask).sum() / (whole * mask).sum()
        np.testing.assert_allclose(found[f"residual_{band}"][0], expected, rtol=1e-4)


def test_steps_to_a_threshold_are_linear_between_points() -> None:
    steps, values = [10, 20, 30], [0.8, 0.4, 0.6]
    assert diagnostics.steps_to(0.5, 1.0, steps, values) == 17.5
    assert diagnostics.steps_to(0.9, 1.0, steps, values) == pytest.approx(5)
    assert math.isnan(diagnostics.steps_to(0.1, 1.0, steps, values))


def test_a_sweep_without_diagnostics_has_no_columns(tmp_path: Path) -> None:
    """Rows stored before there were any; nothing else in the report may move."""
    sweep = Sweep(losses=("bce", "mse"), seeds=(0, 1))
    described = stored_sweeps.describe(sweep)
    for name in ("with", "without"):
        stored_sweeps.write(tmp_path / name, sweep, description=described)
        build.build(tmp_path / name)
        described = {k: v for k, v in described.items() if k != "diagnostics"}
    heads, pages, judged = [], [], []
    for name in ("with", "without"):
        report = tmp_path / name / "report"
        with open(report / "rows.csv", newline="") as file:
            heads.append(next(csv.reader(file)))
        pages.append('id="diagnostics"' in (report / "index.html").read_text())
        judged.append(json.loads((report / "summary.json").read_text()))
    assert [any(c.startswith("diag_") for c in head) for head in heads] == [True, False]
    assert pages == [True, False]
    assert judged[0] == judged[1]
