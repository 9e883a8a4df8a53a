"""How right: float32 under jit against closed forms with 150 digits.

|error of the value| <= 6 eps (|L| + |z L_z| + |y L_y|) and |error of the gradient|
<= 8 eps (|g| + |z g_z| + |y g_y|), eps = 2^-23: what rounding z and y to the next
float would change, a few times over. At y = 0 and 1, which are exact, the terms in y
are left out. Below the smallest normal number float32 has no relative precision.
"""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest

from lossjax import Loss, resolve
from lossjax.suite.cards.closed_forms import CLOSED, Exact, exact_with_scales

EPS = 2.0**-23
TINY = 1.2e-37
SIZES = 10.0 ** np.linspace(-4, 2, 10)
LOGITS = np.concatenate([-SIZES[::-1], [0.0], SIZES]).astype(np.float32)
TARGETS = np.array(
    [0, 1 / 255, 0.1, 0.25, 0.5, 0.75, 0.9, 254 / 255, 1], dtype=np.float32
)


def shares_of_bound(
    loss: Loss, exact: Exact, logits: np.ndarray, targets: np.ndarray
) -> tuple[float, float]:
    """Largest error of value and gradient in units of their bounds."""
    z, y = (x.ravel() for x in np.meshgrid(logits, targets))

    def total(raw: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
        each = loss.fn(raw, target)
        return jnp.sum(each), each

    shape = (z.size, 1, 1, 1)
    (_, value), gradient = jax.jit(
        lambda raw, target: (
            total(raw, target),
            jax.grad(lambda r: total(r, target)[0])(raw),
        )
    )(jnp.array(z.reshape(shape)), jnp.array(y.reshape(shape)))
    with mp.workdps(150):
        rows = [
            exact_with_scales(exact, float(a), float(b))
            for a, b in zip(z, y, strict=True)
        ]
    true, scale, slope, steep = np.array(rows).T
    return (
        _share(np.asarray(value, np.float64), true, 6 * EPS * scale),
        _share(np.asarray(gradient, np.float64).ravel(), slope, 8 * EPS * steep),
    )


def _share(found: np.ndarray, true: np.ndarray, bound: np.ndarray) -> float:
    beyond = np.abs(true) > np.finfo(np.float32).max
    assert (found[beyond] == np.sign(true[beyond]) * np.inf).all()
    off = np.abs(found[~beyond] - true[~beyond])
    return float((off / (bound[~beyond] + TINY)).max())


@pytest.mark.parametrize("name", CLOSED)
def test_value_and_gradient_are_right_to_rounding(name: str) -> None:
    value, gradient = shares_of_bound(resolve(name), CLOSED[name], LOGITS, TARGETS)
    assert value <= 1, f"value off by {value:.3g} of its bound"
    assert gradient <= 1, f"gradient off by {gradient:.3g} of its bound"


if __name__ == "__main__":
    for name, exact in CLOSED.items():
        print(name, *shares_of_bound(resolve(name), exact, LOGITS, TARGETS))
