"""The tests catch: each planted defect, seen in published code, fails its check."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import loss_contract as contract
import numpy as np
import pytest
from test_losses_precision import LOGITS, TARGETS, shares_of_bound

from lossjax import LOSSES, Loss
from lossjax.certificates.certify import FAILS, certify
from lossjax.losses.claims import LOCATION, MEAN
from lossjax.losses.links import residual, sigmoid, with_derivative
from lossjax.losses.loss import image_mean
from lossjax.suite.cards.closed_forms import CLOSED


def planted(family: str, kernel: Callable[..., jax.Array], **fields: Any) -> Loss:
    return dataclasses.replace(LOSSES[family], kernel=kernel, **fields)


def is_certified(loss: Loss) -> None:
    wrong = [c for c in certify(loss) if c.verdict == FAILS]
    assert not wrong, wrong


def is_right_to_rounding(loss: Loss) -> None:
    exact = CLOSED[loss.family]
    value, gradient = shares_of_bound(loss, exact, LOGITS, TARGETS[:5])
    assert max(value, gradient) <= 1, (value, gradient)


class Masking(Loss):
    """A loss that leaves masked values out only after they were computed."""

    def fn(
        self,
        raw: jax.Array,
        target: jax.Array,
        scalars: Mapping[str, Any] | None = None,
        *,
        weights: jax.Array | None = None,
    ) -> jax.Array:
        return image_mean(self.kernel(raw, target), weights)


class Broadcasting(Loss):
    """A loss without the check of shapes."""

    def fn(
        self,
        raw: jax.Array,
        target: jax.Array,
        scalars: Mapping[str, Any] | None = None,
        *,
        weights: jax.Array | None = None,
    ) -> jax.Array:
        return image_mean(jnp.square(raw - target), None)


def of_class(kind: type[Loss], family: str) -> Loss:
    fields = dataclasses.fields(Loss)
    row = LOSSES[family]
    return kind(**{field.name: getattr(row, field.name) for field in fields})


def sum_for_mean(
    raw: jax.Array, target: jax.Array, *, weights: jax.Array | None
) -> jax.Array:
    return jnp.sum(residual(raw, target) ** 2, axis=(1, 2, 3))


def deaf_to_weights(
    raw: jax.Array, target: jax.Array, *, weights: jax.Array | None
) -> jax.Array:
    return jnp.mean(residual(raw, target) ** 2, axis=(1, 2, 3))


def log_normaliser(z: jax.Array) -> jax.Array:
    far = jnp.where(jnp.abs(z) < 1e-3, 1, z)
    closed = jnp.abs(far) / 2 - jnp.log(jnp.abs(far)) + jnp.log1p(-jnp.exp(-abs(far)))
    return jnp.where(jnp.abs(z) < 1e-3, z * z / 24, closed)


def wrong_sign_of_log_c(raw: jax.Array, target: jax.Array) -> jax.Array:
    return (0.5 - target) * raw - log_normaliser(raw)


def single_where(raw: jax.Array, target: jax.Array) -> jax.Array:
    half = raw / 2
    closed = jnp.abs(half) - jnp.log(jnp.abs(raw)) + jnp.log1p(-jnp.exp(-jnp.abs(raw)))
    return (0.5 - target) * raw + jnp.where(raw == 0, 0.0, closed)


def right_gradient(raw: jax.Array, target: jax.Array) -> jax.Array:
    return LOSSES["continuous_bernoulli"].link(raw) - target


@with_derivative(right_gradient)
def taylor_typo(raw: jax.Array, target: jax.Array) -> jax.Array:
    near = jnp.abs(raw) < 1
    z2 = jnp.where(near, raw * raw, 0)
    series = (0.5 - target) * raw + z2 / 24 - z2 * z2 / 2088
    return jnp.where(near, series, (0.5 - target) * raw + log_normaliser(raw))


def clipped(raw: jax.Array, target: jax.Array) -> jax.Array:
    p = jnp.clip(sigmoid(raw), 1e-4, 1 - 1e-4)
    return -target * jnp.log(p) - (1 - target) * jnp.log1p(-p)


def log_of_sigmoid(raw: jax.Array, target: jax.Array) -> jax.Array:
    p = sigmoid(raw)
    return -target * jnp.log(p) - (1 - target) * jnp.log(1 - p)


def softplus_overflow(raw: jax.Array, target: jax.Array) -> jax.Array:
    return jnp.log(1 + jnp.exp(raw)) - target * raw


def abs_based(raw: jax.Array, target: jax.Array) -> jax.Array:
    tail = jnp.log1p(jnp.exp(-jnp.abs(raw)))
    return jnp.maximum(raw, 0) - target * raw + tail


def batch_mean_inside(raw: jax.Array, target: jax.Array) -> jax.Array:
    return residual(raw, target) ** 2 / jnp.mean(target)


def underflowing_slope(raw: jax.Array, target: jax.Array) -> jax.Array:
    return (jax.nn.sigmoid(raw) - target) ** 2


def root_of_square(raw: jax.Array, target: jax.Array) -> jax.Array:
    return jnp.sqrt(residual(raw, target) ** 2)


def subtracted_root(
    raw: jax.Array, target: jax.Array, *, epsilon: jax.Array
) -> jax.Array:
    return jnp.hypot(residual(raw, target), epsilon) - epsilon


def textbook_log_cosh(
    raw: jax.Array, target: jax.Array, *, scale: jax.Array
) -> jax.Array:
    r = residual(raw, target) / scale
    return scale**2 * (jnp.logaddexp(r, -r) - float(np.log(2)))


def subtracted_entropy(raw: jax.Array, target: jax.Array) -> jax.Array:
    bce = LOSSES["bce"]
    return bce.kernel(raw, target) - bce.least(target)


def deaf_to_delta(raw: jax.Array, target: jax.Array, *, delta: jax.Array) -> jax.Array:
    fixed = jnp.asarray(0.1, raw.dtype)
    return LOSSES["huber"].kernel(raw, target, delta=fixed)


def overflowing_ratio(raw: jax.Array, target: jax.Array) -> jax.Array:
    """What differs from the row: t/m - 1 is computed where it overflows, and masked."""
    t = (255 * target + 0.5) / 256
    m = sigmoid(raw[0])
    x = (t - m) / jnp.where(m > 0, m, 1)
    # 0 in value, and 0 times infinity in its gradient.
    nothing = jnp.where(jnp.abs(x) < 0.4, 0 * x, 0)
    return LOSSES["beta_density"].kernel(raw, target) + nothing


def half_precision(raw: jax.Array, target: jax.Array) -> jax.Array:
    short = residual(raw.astype(jnp.bfloat16), target.astype(jnp.bfloat16))
    return (short * short).astype(raw.dtype)


def unclaimed(family: str, **claims: str) -> Loss:
    row = LOSSES[family]
    return dataclasses.replace(row, claims=dataclasses.replace(row.claims, **claims))


CB = "continuous_bernoulli"
DEFECTS: dict[str, tuple[Loss, Callable[[Loss], None]]] = {
    "sum for mean": (
        planted("mse", sum_for_mean, whole=True),
        contract.does_not_depend_on_image_size,
    ),
    "weights ignored": (
        planted("mse", deaf_to_weights, whole=True),
        contract.ignores_masked_pixels,
    ),
    "batch mean inside": (
        planted("mse", batch_mean_inside),
        contract.scores_images_one_by_one,
    ),
    "masked nan in the gradient": (
        of_class(Masking, "bce"),
        contract.ignores_masked_pixels,
    ),
    "gradient lost between z = -87 and -44": (
        planted("beta_density", overflowing_ratio),
        contract.is_finite_where_the_exact_value_fits,
    ),
    "broadcast": (
        of_class(Broadcasting, "mse_linear"),
        contract.refuses_what_does_not_fit,
    ),
    "wrong sign of log C": (planted(CB, wrong_sign_of_log_c), is_certified),
    "Taylor typo": (planted(CB, taylor_typo), contract.gradient_is_that_of_the_value),
    "missing double where": (
        planted(CB, single_where),
        contract.is_finite_where_the_exact_value_fits,
    ),
    "lambda shown for mu": (
        dataclasses.replace(LOSSES[CB], link=sigmoid),
        contract.starts_where_it_says,
    ),
    "clip at 1e-4": (planted("bce", clipped), is_certified),
    "log of sigmoid": (
        planted("bce", log_of_sigmoid),
        contract.is_finite_where_the_exact_value_fits,
    ),
    "softplus overflow": (
        planted("bce", softplus_overflow),
        contract.is_finite_where_the_exact_value_fits,
    ),
    "abs-based bce": (planted("bce", abs_based), is_right_to_rounding),
    "p (1 - p) underflow": (planted("mse", underflowing_slope), is_right_to_rounding),
    "root of a square": (
        planted("mae", root_of_square),
        contract.is_finite_where_the_exact_value_fits,
    ),
    "hypot - epsilon": (planted("charbonnier", subtracted_root), is_right_to_rounding),
    "textbook log cosh": (planted("log_cosh", textbook_log_cosh), is_right_to_rounding),
    "bce - H": (planted("excess_bce", subtracted_entropy), is_right_to_rounding),
    "hyperparameter ignored": (
        planted("huber", deaf_to_delta),
        contract.one_program_serves_all_hyper,
    ),
    "computed in bfloat16": (
        planted("mse", half_precision),
        is_right_to_rounding,
    ),
    "no floor": (
        dataclasses.replace(LOSSES["bce"], least=jnp.zeros_like),
        is_certified,
    ),
    "median called mean": (unclaimed("mae", elicits=MEAN), is_certified),
    "huber always robust": (
        dataclasses.replace(unclaimed("huber", elicits=LOCATION), hyper={"delta": 1.0}),
        is_certified,
    ),
    "called convex": (unclaimed("mse", convex="True"), is_certified),
    "called unsaturated": (unclaimed("mse", saturation="0"), is_certified),
    "wrong gradient on the card": (unclaimed("mse", gradient="r*s"), is_certified),
}


def cases() -> Iterator[object]:
    """Certificates compile three orders of derivative: few of them when quick."""
    for index, (defect, (_, check)) in enumerate(DEFECTS.items()):
        late = check is is_certified and index % 6 > 0
        yield pytest.param(defect, marks=[pytest.mark.slow] if late else [])


@pytest.mark.parametrize("defect", list(cases()))
def test_the_contract_catches(defect: str) -> None:
    loss, check = DEFECTS[defect]
    with pytest.raises(AssertionError):
        check(loss)
