"""Weighted sums of two losses, and dials: what is valid, and what they are then."""

import pickle

import jax.numpy as jnp
import numpy as np
import pytest

from lossjax import resolve
from lossjax.losses.tuned_losses import tuned_loss
from lossjax.syntax import dial_of

RANDOM = np.random.default_rng(5)
RAW = jnp.asarray(RANDOM.normal(0, 2, (2, 16, 16, 1)), jnp.float32)
TARGET = jnp.asarray(RANDOM.uniform(0, 1, (2, 16, 16, 1)), jnp.float32)
MASK = jnp.asarray(RANDOM.random((2, 16, 16, 1)) < 0.7, jnp.float32)
PAIRS = (
    ("mae", "ssim"),
    ("ssim", "huber(delta=0.3)"),
    ("bce", "mse"),
    ("mse_linear", "mae_linear"),
)


@pytest.mark.parametrize("weights", [None, MASK], ids=["plain", "masked"])
@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_mix_is_the_weighted_sum(first: str, second: str, weights: object) -> None:
    """In value and in floor, whether it is one of pixels or of images."""
    parts = [resolve(name) for name in (first, second)]
    mixed = resolve(f"mix({first}, {second}, weight=0.2)")
    raw, target = RAW, TARGET
    if weights is not None:
        raw = jnp.where(MASK > 0, raw, jnp.inf)
        target = jnp.where(MASK > 0, target, jnp.nan)
    each = [np.asarray(one.fn(raw, target, weights=weights)) for one in parts]
    found = mixed.fn(raw, target, weights=weights)
    np.testing.assert_allclose(found, 0.2 * each[0] + 0.8 * each[1], rtol=1e-5)
    least = [np.asarray(one.floor(target, weights=weights)) for one in parts]
    floor = mixed.floor(target, weights=weights)
    np.testing.assert_allclose(floor, 0.2 * least[0] + 0.8 * least[1], atol=1e-6)
    np.testing.assert_allclose(mixed.read_out(RAW), parts[0].read_out(RAW))
    np.testing.assert_allclose(mixed.start(np.array([0.3])), parts[0].start([0.3]))


def test_a_floor_is_not_the_sum_of_floors_at_two_places() -> None:
    mixed = resolve("mix(bce, gce, weight=0.3)")
    assert np.isnan(mixed.floor(TARGET)).all()
    assert "not defined" in mixed.claims.use


def test_mixes_of_all_weights_share_one_program() -> None:
    one, other = (resolve(f"mix(mae, ssim, weight={w})") for w in (0.2, 0.25))
    assert one.kernel is other.kernel and one.family == other.family
    kept = pickle.loads(pickle.dumps(one))  # noqa: S301 our own
    assert kept.kernel is one.kernel and kept.name == one.name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mix(mae)", "mixes 1; a mix is of two losses"),
        ("mix(mae, ssim, mse)", "mixes 3; a mix is of two losses"),
        ("mix(mae, mae)", "mixes a loss with itself; it is mae"),
        ("mix(mae, mix(mse, ssim))", "a mix cannot be mixed"),
        ("mix(mse[weigh], mae)", "a loss whose gradient is cut cannot be mixed"),
        ("mix(mae, mse_linear)", "mae and mse_linear do not share an output layer"),
        ("mix(mae, student_t)", "student_t has a scale that is trained"),
        ("mix(mae, a.py:f)", "a loss of your own cannot be mixed"),
        ("mix(mae, nope)", "unknown loss 'nope'"),
        ("mix(mae, ssim, weight=1)", "weight=1 must be between 0.001 and 0.999"),
        ("mix(mae, ssim, wait=0.2)", "did you mean weight?"),
        ("mix(mae, huber(delta=tune(0.1, 1)))", "the dial of a mix is its weight"),
        ("huber(delta=tune(0.1, 0.3))", "only the losses of a sweep take tune(0.1"),
    ],
)
def test_what_is_no_loss_is_one_line(text: str, words: str) -> None:
    with pytest.raises(ValueError) as refusal:
        resolve(text)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "name", "losses"),
    [
        ("mse", "mse", ["mse"]),
        (
            "huber( delta=tune(.3, 0.10,0.03) )",
            "huber(delta=tune(0.03, 0.1, 0.3))",
            ["huber(delta=0.03)", "huber", "huber(delta=0.3)"],
        ),
        (
            "mix(mae, huber(delta=0.1), weight=tune(0.2, 0.5))",
            "mix(mae, huber, weight=tune(0.2, 0.5))",
            ["mix(mae, huber, weight=0.2)", "mix(mae, huber, weight=0.5)"],
        ),
        (
            "barron(scale=0.2, alpha=tune(0, 1))",
            "barron(alpha=tune(0, 1), scale=0.2)",
            ["barron(alpha=0, scale=0.2)", "barron(scale=0.2)"],
        ),
    ],
)
def test_a_dial_is_ordinary_losses_under_one_name(
    text: str, name: str, losses: list[str]
) -> None:
    found = tuned_loss(text)
    assert found == (name, tuple(losses)) and tuned_loss(name) == found
    assert [resolve(loss).name for loss in losses] == losses
    values = dial_of(name)[1]
    assert len(values) == (len(losses) if len(losses) > 1 else 0)


def test_a_dial_of_an_own_loss(tmp_path: object) -> None:
    file = f"{tmp_path}/own.py"
    with open(file, "w") as opened:
        opened.write("def t(raw, target, q=0.5):\n    return q * (raw - target) ** 2\n")
    found = tuned_loss(f"{file}:t(q=tune(0.2, 0.5))")
    assert found.name == f"{file}:t(q=tune(0.2, 0.5))"
    assert found.losses == (f"{file}:t(q=0.2)", f"{file}:t")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("huber(delta=tune(0.1))", "has 1 value; a dial has two or more"),
        ("huber(delta=tune())", "has no values; a dial has two or more"),
        ("huber(delta=tune(.1, 0.10))", "names 0.1 twice"),
        ("huber(delta=tune(-1, 1))", "delta=-1 must be between 0.0001 and 10"),
        ("huber(delta=tune('x', 1))", "delta='x' is not a finite number"),
        ("huber(delta=tune(tune(1), 2))", "name one value of delta"),
        ("huber(delta=tune(low=1, high=2))", "cannot read loss"),
        ("huber(gamma=tune(1, 2))", "huber has no argument 'gamma'"),
        (
            "barron(alpha=tune(1, 2), scale=tune(0.1, 1))",
            "has 2 dials, alpha and scale: tune one argument",
        ),
    ],
)
def test_what_is_no_dial_is_one_line(text: str, words: str) -> None:
    with pytest.raises(ValueError) as refusal:
        tuned_loss(text)
    assert words in str(refusal.value) and "\n" not in str(refusal.value)
