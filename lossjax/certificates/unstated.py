"""What can be measured of a loss that claims nothing of itself: an own one, a mix."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from lossjax.certificates.certify import (
    ESTIMATE,
    FAILS,
    GREYS,
    HOLDS,
    IDLE,
    MADE,
    Certificate,
    check_finite,
    check_floor,
)
from lossjax.certificates.probe import Probe, laws, median
from lossjax.losses.loss import Loss

_STEP = 1e-5
_NOTHING = "nothing is claimed"


def measured(loss: Loss, probe: Probe) -> tuple[Certificate, ...]:
    """In float64, as the certificates of the table's own losses."""
    return (
        _slope(probe),
        _minimum(probe),
        _least(loss, probe),
        _estimates(probe),
        check_finite(loss, probe),
        Certificate(
            "not checked",
            "value, curvature, convexity, saturation",
            IDLE,
            "there is no formula to check them by",
        ),
    )


def _slope(probe: Probe) -> Certificate:
    if probe.loss.own_gradient:
        return Certificate("gradient", _NOTHING, IDLE, MADE)
    z, y = np.linspace(-6.25, 6.25, 26)[:, None], GREYS[None]
    value, found, _ = probe(z, y)
    below, above = probe(z - _STEP, y)[0], probe(z + _STEP, y)[0]
    right, sides = (above - below) / (2 * _STEP), above + below - 2 * value
    # Where left and right differ there is a kink, and either is a derivative.
    smooth = np.abs(sides) / _STEP <= 1e-3 * (1 + np.abs(right))
    error = np.where(smooth, np.abs(found - right) / (1 + np.abs(right)), 0)
    good = bool(np.isfinite(error).all() and error.max() < 1e-5)
    return Certificate(
        "gradient",
        "that of finite differences",
        HOLDS if good else FAILS,
        f"error {error.max():.0e}, at {int(smooth.sum())} points",
    )


def _minimum(probe: Probe) -> Certificate:
    found = probe.read_out(probe.minimum(GREYS))
    name, text = "minimum at a fixed target", f"y = 0.2 goes to {found[2]:.4f}"
    if np.abs(found - GREYS).max() < 1e-3:
        return Certificate(name, "read-out = y", HOLDS, text)
    return Certificate(name, _NOTHING, IDLE, f"{text}: not at the target")


def _least(loss: Loss, probe: Probe) -> Certificate:
    stated = np.asarray(loss.floor(jnp.asarray(GREYS).reshape(-1, 1, 1, 1)))
    if np.isnan(stated).all():
        return Certificate("floor", "none is stated", IDLE, "so there is no excess")
    return check_floor(loss, probe)


def _estimates(probe: Probe) -> Certificate:
    atoms, chance = laws()
    found = probe.elicited(atoms, chance)
    middles = {"mean": np.sum(atoms * chance, axis=1), "median": median(atoms, chance)}
    off = {name: np.abs(found - one).max() for name, one in middles.items()}
    text = ", ".join(f"{far:.3f} from the {name}" for name, far in off.items())
    same = [f"the {name}" for name, far in off.items() if far < 1e-4]
    text = same[0] if same else f"up to {text}"
    return Certificate(ESTIMATE, _NOTHING, IDLE, text)
