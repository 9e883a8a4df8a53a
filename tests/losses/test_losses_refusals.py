"""What callers get wrong is refused in one line, and what they may do works."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from lossjax import LOSSES, METRICS, Loss, check_targets, resolve


def grey(channels: int = 1, side: int = 8) -> jax.Array:
    return jnp.full((2, side, side, channels), 0.25)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: resolve("ssim").fn(grey(side=0), grey(side=0)), "must be at least 1"),
        (lambda: resolve("gaussian_pixel").fn(grey(), grey()), "2 x C"),
        (lambda: resolve("gaussian_pixel").fn(grey(4), grey()), "2 blocks of C"),
        (lambda: resolve("categorical").read_out(grey(255)), "256 x C"),
        (
            lambda: resolve("bce").fn(grey(), grey(), {"a": 1.0}),
            "scalars ['a'] must be",
        ),
        (
            lambda: resolve("bce").fn(grey(), grey(), weights=grey()[:1]),
            "weights (1, 8, 8, 1) must have the shape of target (2, 8, 8, 1)",
        ),
        (lambda: resolve("bce").floor(grey()[0]), "target (8, 8, 1) must be"),
        (lambda: widened(-1.0).fn(grey(), grey()), "huber: delta=-1 must be between"),
        (lambda: widened(float("nan")).fn(grey(), grey()), "huber: delta=nan must be"),
    ],
)
def test_refuses_at_trace_time(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError) as caught:
        jax.eval_shape(call)
    assert words in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: resolve(None), "resolve: a loss is named by a string such as"),
        (lambda: resolve(["bce"]), "resolve: a loss is named by a string such as"),
        (
            lambda: resolve("bce").fn(grey(), grey(), jnp.ones_like(grey())),
            "weights are given by keyword, weights=...",
        ),
        (lambda: resolve("bce").fn(None, grey()), "bce: raw must be a floating array"),
        (lambda: METRICS["mse"].fn(grey(), None), "mse: target must be a floating"),
        (
            lambda: METRICS["mse"].fn(
                grey(), grey(), weights=jnp.ones((2, 8, 8, 1), int)
            ),
            "mse: weights must be floating, got int32",
        ),
    ],
)
def test_refuses_what_is_no_array_or_name(
    call: Callable[[], object], words: str
) -> None:
    with pytest.raises(TypeError) as caught:
        call()
    assert words in str(caught.value) and "\n" not in str(caught.value)


def widened(delta: float) -> Loss:
    return dataclasses.replace(LOSSES["huber"], hyper={"delta": delta})


@pytest.mark.parametrize(
    ("target", "kind", "words"),
    [
        (np.array([0, 255]), TypeError, "must be floating, got int"),
        (np.array([-1.0, 0.5]), ValueError, "rescale by (target + 1) / 2"),
        (np.array([0.0, 255.0]), ValueError, "rescale by target / 255"),
        (np.array([-3.0, 300.0]), ValueError, "(target - min) / (max - min)"),
        (np.array([0.0, np.nan]), ValueError, "nan or inf"),
    ],
)
def test_check_targets(target: np.ndarray, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind) as caught:
        check_targets(target)
    assert words in str(caught.value) and "check_targets" in str(caught.value)
    check_targets(np.linspace(0, 1, 5))
    check_targets(jnp.zeros((0,)))


def test_names_are_canonical() -> None:
    for text, name in (
        ("huber", "huber"),
        (" huber( delta = 0.1 ) ", "huber"),
        ("huber(delta=5e-2)", "huber(delta=0.05)"),
        ("power(g=-0)", "power(g=0)"),
        ("power(g=+1.0)", "power(g=1)"),
        ("barron(scale=2, alpha=-1)", "barron(alpha=-1, scale=2)"),
    ):
        loss = resolve(text)
        assert loss.name == name
        assert resolve(loss.name).hyper == loss.hyper
    assert resolve("huber(delta=0.1)") is LOSSES["huber"]
    with pytest.raises(TypeError):
        LOSSES["bce"] = LOSSES["mse"]  # type: ignore[index]


def test_scalars_train_and_data_do_not() -> None:
    loss = resolve("gaussian_shared")
    raw = jnp.zeros((2, 4, 4, 1))
    target = grey(side=4)

    def total(
        scalars: dict[str, jax.Array], hyper_loss: Loss, target: jax.Array
    ) -> jax.Array:
        return jnp.sum(hyper_loss.fn(raw, target, scalars))

    pulls = jax.grad(total)({"log_scale": jnp.array(-2.0)}, loss, target)
    # r = 1/4 is far beyond the scale of 0.14: the scale should grow.
    assert pulls["log_scale"] < 0
    student = jax.tree.map(jnp.asarray, resolve("student_t"))
    scalars = {"log_scale": jnp.array(-2.0)}
    still = jax.grad(total, argnums=(1, 2), allow_int=True)(scalars, student, target)
    assert still[0].hyper["nu"] == 0 and not still[1].any()


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("bce", optax.losses.sigmoid_binary_cross_entropy),
        ("mse_linear", optax.losses.squared_error),
        ("mse", lambda z, y: optax.losses.squared_error(jax.nn.sigmoid(z), y)),
        (
            "huber",
            lambda z, y: optax.losses.huber_loss(jax.nn.sigmoid(z), y, delta=0.1),
        ),
        (
            "focal",
            lambda z, y: optax.losses.sigmoid_focal_loss(z, y, alpha=None, gamma=2.0),
        ),
    ],
)
def test_agrees_with_optax_where_it_is_right(
    name: str, theirs: Callable[[jax.Array, jax.Array], jax.Array]
) -> None:
    """To five digits, logits within 6. optax's focal loss takes y in {0, 1} only."""
    rng = np.random.default_rng(0)
    raw = jnp.asarray(rng.uniform(-6, 6, (3, 8, 8, 1)), jnp.float32)
    target = jnp.asarray(rng.uniform(size=raw.shape), jnp.float32)
    target = jnp.round(target) if name == "focal" else target
    expected = jnp.mean(theirs(raw, target), axis=(1, 2, 3))
    found = jax.jit(LOSSES[name].fn)(raw, target)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_agrees_with_torch_where_it_is_right() -> None:
    """To five digits; skipped without the bench extra."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    raw = rng.uniform(1, 6, (3, 8, 8, 1)).astype(np.float32)
    target = rng.uniform(size=raw.shape).astype(np.float32)
    z, y = torch.tensor(raw), torch.tensor(target)
    functional = torch.nn.functional
    for name, theirs in (
        ("bce", functional.binary_cross_entropy_with_logits(z, y, reduction="none")),
        ("mae", functional.l1_loss(torch.sigmoid(z), y, reduction="none")),
        (
            "continuous_bernoulli",
            -torch.distributions.ContinuousBernoulli(logits=z).log_prob(y),
        ),
    ):
        ours = LOSSES[name].fn(jnp.asarray(raw), jnp.asarray(target))
        expected = theirs.numpy().mean(axis=(1, 2, 3))
        np.testing.assert_allclose(ours, expected, rtol=1e-5, err_msg=name)
