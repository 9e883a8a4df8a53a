"""Losses whose gradient is cut, how a run may start, and what updates it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from lossjax import resolve
from lossjax.losses.gradient_cuts import CUTS
from lossjax.models.autoencoders import Shape, build
from lossjax.suite import loader
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep, sweep
from lossjax.suite.config import resolve as resolved
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.sweep.programs import start_of
from lossjax.suite.sweep.validation import validate
from lossjax.training.program import Program, Trainer
from lossjax.training.replicas import Layout, Replica, blocks_of, make_mesh, stack
from lossjax.training.settings import Settings
from lossjax.training.weights import size_of

STUDY = loader.load(STUDIES["surgery"].file)
PLAN = STUDY.PLAN
SIDE = (4, 5)
LAYOUT = Layout(1, 1, "map")


@functools.cache
def pair() -> tuple[np.ndarray, np.ndarray]:
    """Raw outputs, some of them far out, and targets, some of them black or white."""
    generator = np.random.default_rng(0)
    z = generator.normal(scale=4, size=(3, *SIDE, 1)).astype(np.float32)
    z[0, 0] = np.array([-60, -20, 0, 20, 60])[:, None]
    y = generator.uniform(size=z.shape).astype(np.float32)
    y[:, 1] = generator.integers(0, 2, y[:, 1].shape)
    return z, y


def gradient(name: str) -> np.ndarray:
    """dL/dz of every pixel's own loss, of the batch's mean."""
    z, y = pair()
    total = lambda raw: jnp.mean(resolve(name).fn(raw, y))  # noqa: E731
    return np.asarray(jax.jit(jax.grad(total))(z), np.float64) * z.size


def algebra() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """p - y, p (1 - p) and the target's weight, float64."""
    z, y = (x.astype(np.float64) for x in pair())
    p, q = expit(z), expit(-z)
    inside = np.clip(y, 0.02, 0.98)
    return np.where(y > 0.5, (1 - y) - q, p - y), p * q, 4 * inside * (1 - inside)


def as_long_as(gradient: np.ndarray, reference: np.ndarray) -> np.ndarray:
    return gradient * np.linalg.norm(reference) / np.linalg.norm(gradient)


R, S, W = algebra()
EXPECTED = {
    "mse[straight_through]": 2 * R,
    "mse[unweigh]": 2 * R * S / W,
    "bce[weigh]": R * W,
    "bce[mse_norm]": as_long_as(R, 2 * R * S),
    "mse[bce_norm]": as_long_as(2 * R * S, R),
    "bce[weigh+mse_norm]": as_long_as(R * W, 2 * R * S),
    "mse[unweigh+bce_norm]": as_long_as(R * S / W, R),
}


@pytest.mark.parametrize(("name", "right"), EXPECTED.items(), ids=EXPECTED.keys())
def test_a_cut_changes_the_gradient_and_not_the_value(name, right) -> None:
    np.testing.assert_allclose(gradient(name), right, rtol=2e-5, atol=1e-30)
    z, y = pair()
    plain = name.partition("[")[0]
    np.testing.assert_array_equal(resolve(name).fn(z, y), resolve(plain).fn(z, y))


def test_every_cut_is_tested() -> None:
    assert set("+".join(n[4:-1] for n in EXPECTED).split("+")) == set(CUTS)


def test_names_of_cut_losses() -> None:
    for name in (
        "mse[straight_through]",
        "bce[weigh+mse_norm]",
        "power[weigh](g=0.25)",
    ):
        assert resolve(name).name == name
        assert resolve(resolve(name).family).family == resolve(name).family
    assert resolve(" mse[ weigh ] ").name == "mse[weigh]"
    one, other = resolve("power[weigh](g=0.25)"), resolve("power[weigh](g=1)")
    assert jax.tree.structure(one) == jax.tree.structure(other)  # one program


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("mse[straight]", "has no cut 'straight': did you mean straight_through?"),
        ("mse[weigh+weigh]", "a cut is named twice"),
        ("mse[]", "cannot read loss"),
        ("mse[1]", "cuts are written [cut] or [cut+cut]"),
        ("mse_linear[weigh]", "mse_linear cannot be cut"),
        ("gaussian_shared[weigh]", "gaussian_shared cannot be cut"),
        ("ssim[weigh]", "ssim cannot be cut"),
    ],
)
def test_refusals_are_one_line(name: str, words: str) -> None:
    with pytest.raises(ValueError) as caught:
        resolve(name)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@functools.cache
def network(scale: float = 1.0):
    shape = Shape((8, 8, 1), latent_dim=3, width=(4, 8), head_scale=scale)
    return build("conv_ae", shape)


IMAGES = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1), np.uint8)


def replicas(name: str, rate: float) -> Replica:
    return stack([Replica(0, rate, resolve(name), np.zeros(1), True)], LAYOUT)


@functools.cache
def trainer(name: str, optimiser: str) -> Trainer:
    """On all images; two steps are what a cosine would take."""
    small = build("linear_ae", Shape((4, 4, 1), latent_dim=2))
    settings = Settings(2, len(IMAGES), optimiser=optimiser)
    made = Program(small, settings, LAYOUT, make_mesh(LAYOUT))
    return made.compile(replicas(name, 1.0), IMAGES, blocks_of(IMAGES))


def trained(name: str, rate: float, optimiser: str, steps: int = 1) -> np.ndarray:
    """Weights after so many steps."""
    made, run = trainer(name, optimiser), replicas(name, rate)
    state = made.init(run)
    if steps:
        state, _ = made.advance(run, state, IMAGES, blocks_of(IMAGES), 0, steps, 0)
    return np.asarray(state.weights[0], np.float64)


@pytest.mark.slow
def test_gradient_descent_takes_the_gradient_as_long_as_it_is() -> None:
    start = trained("bce", 1.0, "sgd", 0)
    once, twice = (trained("bce", rate, "sgd") - start for rate in (1.0, 2.0))
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-4, atol=1e-6)
    assert np.abs(once).max() > 1e-2
    # The sigmoid's derivative out of it, mse has twice the gradient of bce.
    cut = trained("mse[straight_through]", 1.0, "sgd") - start
    np.testing.assert_allclose(cut, twice, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_momentum_remembers_nine_tenths() -> None:
    """The second step, at half the rate, takes 1.9 times the same gradient."""
    start = trained("bce", 1e-2, "sgd", 0)
    one, two = (trained("bce", 1e-2, "sgd", steps) - start for steps in (1, 2))
    np.testing.assert_allclose(two - one, 0.95 * one, rtol=2e-2, atol=1e-6)


def test_head_scale_scales_the_head_alone() -> None:
    key, start = jax.random.key(0), jnp.full(1, 0.3)
    usual, wide = (network(scale).init(key, start) for scale in (1.0, 3.0))
    flat = [jax.tree_util.tree_leaves_with_path(tree) for tree in (usual, wide)]
    for (path, a), (_, b) in zip(*flat, strict=True):
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        kernel = name.startswith("head") and name.endswith("kernel")
        np.testing.assert_allclose(b, 3 * a if kernel else a, rtol=1e-6)
    assert size_of(network(3.0)) == size_of(network())


def test_a_start_is_the_same_image_for_every_link() -> None:
    mean = np.array([0.2, 0.4, 0.3])
    assert start_of(resolve("mse"), mean, 8.0).tolist() == [8.0] * 3
    np.testing.assert_allclose(start_of(resolve("mse_linear"), mean, 8.0), 509 / 510)
    np.testing.assert_array_equal(
        start_of(resolve("bce"), mean, None), resolve("bce").start(mean)
    )


def test_defaults_leave_every_run_what_it_was() -> None:
    plain = Sweep().fixed()
    assert not {"optimiser", "head_scale", "start_logit"} & set(plain)
    spelled = dataclasses.replace(Sweep(), optimiser="adam", head_scale=1)
    assert validate(spelled).fixed() == validate(Sweep()).fixed()
    other = dataclasses.replace(Sweep(), optimiser="sgd", head_scale=3, start_logit=8)
    assert validate(other).fixed() == plain | {
        "optimiser": "sgd",
        "head_scale": 3.0,
        "start_logit": 8.0,
    }


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("optimiser", "adm", "unknown config.optimiser 'adm': did you mean 'adam'?"),
        ("head_scale", 0.0, "config.head_scale = 0.0: must be a number in (0, 1000]"),
        ("head_scale", float("nan"), "config.head_scale = nan"),
        ("start_logit", 81.0, "config.start_logit = 81.0: must be a number from -80"),
    ],
)
def test_bad_starts_are_refused(field: str, value, words: str) -> None:
    with pytest.raises(UserError) as caught:
        validate(resolved(sweep(**{field: value})))
    assert words in str(caught.value)


def test_the_game_has_every_combination_once() -> None:
    assert len(set(PLAN.GAME.values())) == 2 ** len(PLAN.PARTS)
    for arm, coalition in PLAN.GAME.items():
        assert resolve(arm).name == arm
        assert ("saturation" in coalition) == arm.startswith("mse")
