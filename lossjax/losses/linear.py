"""Losses of r = raw - target: no link, read-out clipped to [0, 1]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from lossjax.losses.checks import Parameter
from lossjax.losses.claims import EVERYWHERE, LOCATION, MEAN, MEDIAN, Claims
from lossjax.losses.links import clip01, magnitude
from lossjax.losses.loss import row
from lossjax.losses.residuals import huber, square


def _on_raw(of_residual: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Kernel of a loss on raw - target."""

    def kernel(raw: jax.Array, target: jax.Array, **hyper: jax.Array) -> jax.Array:
        return of_residual(raw - target, **hyper)

    return kernel


def _same(mean: np.ndarray, **_: Any) -> np.ndarray:
    """Start of a linear output: raw is the intensity."""
    return mean


MSE_LINEAR = row(
    "mse_linear",
    _on_raw(square),
    link=clip01,
    begin=_same,
    unit="intensity squared",
    formula="(z - y)**2",
    source="Bourlard, Kamp, Auto-association by multilayer perceptrons and singular "
    "value decomposition, Biological Cybernetics 59, 1988.",
    claims=Claims(
        gradient="2*(z - y)",
        floor="0",
        elicits=MEAN,
        minimiser="y",
        curvature="2",
        saturation="",
        convex="True",
        domain="abs(z) < 1.8e19, whose square fits float32",
        use="mse without a saturating link: separates what the loss does from what "
        "the sigmoid does.",
    ),
)
MAE_LINEAR = row(
    "mae_linear",
    _on_raw(magnitude),
    link=clip01,
    begin=_same,
    unit="intensity",
    formula="abs(z - y)",
    source="Zhao, Gallo, Frosio, Kautz, as for mae, whose networks end linearly.",
    claims=Claims(
        gradient="sign(z - y)",
        floor="0",
        elicits=MEDIAN,
        minimiser="y",
        curvature="",
        saturation="",
        convex="True",
        domain=EVERYWHERE,
        use="mae without a saturating link.",
    ),
)
HUBER_LINEAR = row(
    "huber_linear",
    _on_raw(huber),
    Parameter("delta", 0.1, 1e-4, 10.0, "residual where the square ends"),
    link=clip01,
    begin=_same,
    unit="intensity squared",
    formula="where(abs(z - y) < delta, (z - y)**2/2, delta*(abs(z - y) - delta/2))",
    source="Huber 1964, as for huber.",
    claims=Claims(
        gradient="clip(z - y, -delta, delta)",
        floor="0",
        elicits=f"{MEAN} if delta >= 1, else {LOCATION}",
        minimiser="y",
        curvature="1",
        saturation="",
        convex="True",
        domain="abs(z) < 3.4e38 / max(1, delta)",
        use="huber without a saturating link.",
    ),
)
