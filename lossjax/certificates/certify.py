"""Certificates: the claims of a row, checked numerically on its compiled function.

Everything is measured in float64 on constant images whose first block of raw is z,
except finiteness, which is about float32 and bfloat16.

>>> from lossjax import resolve
>>> all(c.verdict != "fails" for c in certify(resolve("mse")))
True
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.certificates.probe import (
    GRID,
    LOGITS,
    Probe,
    bisect,
    laws,
    measure,
    median,
    side,
)
from lossjax.losses.claims import (
    LOCATION,
    MEAN,
    MEDIAN,
    MIDRANGE,
    RAISED_MEAN,
    REDESCENDING,
    SHARPENED,
    SOFTENED,
    evaluate,
    pixel_names,
    readable,
)
from lossjax.losses.loss import Loss

HOLDS, FAILS, IDLE = "holds", "fails", "does not apply"
MADE = "it is made, and not that of the value"
ESTIMATE = "estimate from random targets"
GREYS = np.array([0.02, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.98])
EDGES = (0.0, 1 / 255, 0.5, 1.0)
LOCATIONS = (LOCATION, REDESCENDING, MIDRANGE)


@dataclasses.dataclass(frozen=True)
class Certificate:
    """One claim with what was found: `verdict` is HOLDS, FAILS or IDLE."""

    name: str
    claim: str
    verdict: str
    found: str


def certify(loss: Loss) -> tuple[Certificate, ...]:
    """Check every claim of a loss; about a second, most of it compilation."""
    # It is made of what this module has.
    from lossjax.certificates.unstated import measured

    with jax.enable_x64(True):
        probe = Probe(loss)
        if loss.claims.silent:
            return measured(loss, probe)
        return tuple(check(loss, probe) for check in _CHECKS)


def _verdict(
    name: str, claim: str, found: np.ndarray, right: np.ndarray, tolerance: float
) -> Certificate:
    """Compares within tolerance of the larger of the claim and 1e-3."""
    error = np.abs(found - right) / np.maximum(np.abs(right), 1e-3)
    good = bool(np.isfinite(error).all() and error.max() <= tolerance)
    largest = float(error.max()) if np.isfinite(error).all() else float("nan")
    return Certificate(
        name, claim, HOLDS if good else FAILS, f"relative error {largest:.0e}"
    )


def _idle(name: str, claim: str, why: str) -> Certificate:
    return Certificate(name, claim, IDLE, why)


def _formula(loss: Loss, probe: Probe) -> Certificate:
    z, y = np.linspace(-6.25, 6.25, 26)[:, None], GREYS[None]
    names = pixel_names(z, y) | probe.names
    if loss.channels > 1 or not readable(loss.formula, names):
        return _idle("value", loss.formula, "not one expression of z and y")
    right = evaluate(loss.formula, names)
    if np.isnan(right).all():
        return _idle("value", loss.formula, "a limit of it, at this argument")
    return _verdict("value", loss.formula, probe(z, y)[0], right, 1e-6)


def _gradient(loss: Loss, probe: Probe) -> Certificate:
    claim = loss.claims.gradient
    if not claim:
        why = "several blocks or pixels take part"
        return _idle("gradient", "", MADE if loss.own_gradient else why)
    z, y = np.linspace(-30, 30, 60)[:, None], GREYS[None]
    right = evaluate(claim, pixel_names(z, y) | probe.names)
    found = probe(z, y)[1]
    # At the scale of the largest: far out a gradient of 1e-26 is not 0 either.
    found, right = (np.sign(x) * np.abs(x) ** 0.1 for x in (found, right))
    return _verdict("gradient", claim, found, right, 1e-6)


def _minimiser(loss: Loss, probe: Probe) -> Certificate:
    claims = loss.claims
    name = "minimum at a fixed target"
    if loss.channels > 2 or not (claims.minimiser or loss.elicits == SOFTENED):
        return _idle(name, "", "no single output has its own minimum")
    found = probe.read_out(probe.minimum(GREYS))
    if claims.minimiser:
        names = {"y": GREYS} | probe.names
        # A kink is found by bisection like any root, structure to its own flatness.
        tolerance = 1e-3 if loss.whole else 1e-6
        right = evaluate(claims.minimiser, names)
        found = np.where(np.isnan(right), 0, found)
        right = np.nan_to_num(right, nan=0)
        done = _verdict(name, f"read-out = {claims.minimiser}", found, right, tolerance)
        if claims.minimiser == "y":
            return done
        shown = f"y = 0.2 goes to {found[2]:.7f}"
        return dataclasses.replace(done, found=f"{shown}, {done.found}")
    slope = lambda z: evaluate(claims.gradient, pixel_names(z, GREYS) | probe.names)  # noqa: E731
    wide = np.full_like(GREYS, 30.0)
    right = pixel_names(bisect(slope, -wide, wide), GREYS)["p"]
    done = _verdict(name, "root of the gradient above", found, right, 1e-6)
    return dataclasses.replace(done, found=f"y = 0.2 goes to {found[2]:.7f}")


def check_floor(loss: Loss, probe: Probe) -> Certificate:
    """Reached, and not undercut, from far and near."""
    claim = loss.claims.floor
    targets = np.concatenate([GREYS, [0.0, 1.0]])
    image = np.asarray(_floor(loss, targets.reshape(-1, 1, 1, 1)))
    if claim:
        right = evaluate(claim, {"y": targets} | probe.names)
        if not np.allclose(image, right, rtol=1e-7, atol=1e-7):
            return Certificate("floor", claim, FAILS, f"floor gives {image - right}")
    reached, lowest = _reached(loss, probe, targets)
    below = reached - image
    bounded = np.isfinite(image)
    slack = 1e-6 * (1 + np.abs(image[bounded]))
    close = (below[bounded] >= -slack) & (below[bounded] <= 2e-3 + slack)
    # Unbounded: far out it keeps falling.
    good = np.all(close) and np.all(lowest[~bounded] < -10)
    text = f"reached within {np.max(below[bounded]):.0e}"
    if not bounded.all():
        text += f"; -inf at 0 and 1, {lowest[~bounded].max():.1f} at abs(z) = 1e6"
    return Certificate(
        "floor", claim or "by root finding", HOLDS if good else FAILS, text
    )


def _reached(
    loss: Loss, probe: Probe, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Smallest values found in any way, and those at abs(z) = 1e6."""
    count = targets.size
    greys = np.clip(targets, 1e-12, 1 - 1e-12)
    far = np.where(targets < 0.5, -1e6, 1e6)
    first = np.concatenate([GRID, [-1e6, -50, 50, 1e6]])[:, None] * np.ones(count)
    best = probe.minimum(greys)[None] if loss.channels <= 2 else far[None]
    inside = (255 * greys + 0.5) / 256
    beside = np.log(inside / (1 - inside)) + np.linspace(-0.06, 0.06, 61)[:, None]
    first = np.concatenate(
        [far[None], first, best, np.log(greys / (1 - greys))[None], greys[None], beside]
    )
    found = {}
    for second in (-200.0, 0.0, 200.0) if loss.channels == 2 else (0.0,):
        y = np.broadcast_to(targets, first.shape)
        seconds = np.full(first.size, second)
        values = _scores(loss, first.ravel(), seconds, y.ravel())
        found[second] = np.asarray(values).reshape(first.shape)
    return np.min([each.min(axis=0) for each in found.values()], axis=0), found[0.0][0]


@jax.jit
def _floor(loss: Loss, target: jax.Array) -> jax.Array:
    return loss.floor(target)


@jax.jit
def _scores(loss: Loss, z: jax.Array, second: jax.Array, y: jax.Array) -> jax.Array:
    """Scores of constant images, (images,); trained scalars where they cost least."""
    width, scalars = side(loss), dict.fromkeys(loss.scalars, -200.0)

    def score(z: jax.Array, second: jax.Array, y: jax.Array) -> jax.Array:
        raw = jnp.full((1, width, width, loss.channels), 0.0).at[..., 0].set(z)
        if loss.channels == 2:
            raw = raw.at[..., 1].set(second)
        if loss.channels > 2:
            spot = jnp.round(255 * y).astype(jnp.int32)
            raw = raw.at[..., 0].set(0).at[..., spot].set(1e6)
        return loss.fn(raw, jnp.full((1, width, width, 1), y), scalars or None)[0]

    return jax.vmap(score)(z, second, y)


def _elicits(loss: Loss, probe: Probe) -> Certificate:
    claim = loss.elicits
    name = ESTIMATE
    if loss.channels > 2:
        return _idle(name, claim, "256 outputs fit the whole law")
    atoms, chance = laws()
    if claim == RAISED_MEAN:
        atoms[:, 0] = 0  # without a black outcome it is the mean
    found = probe.elicited(atoms, chance)
    if claim == RAISED_MEAN:
        atoms = np.maximum(atoms, 1 / 510)
    mean, middle = np.sum(atoms * chance, axis=1), median(atoms, chance)
    if claim in (MEAN, MEDIAN, RAISED_MEAN):
        right = middle if claim == MEDIAN else mean
        return _verdict(name, claim, found, right, 1e-6)
    if claim in LOCATIONS:
        right = _located(loss, probe, atoms, chance, found)
        done = _verdict(name, "root of the expected gradient", found, right, 1e-6)
        far = [np.abs(found - other).max() for other in (mean, middle)]
        text = f"at most {far[0]:.3f} from the mean, {far[1]:.3f} from the median"
        good = done.verdict == HOLDS and _location(loss, probe) == claim
        return Certificate(name, claim, HOLDS if good else FAILS, text)
    off = np.minimum(np.abs(found - mean), np.abs(found - middle)).max()
    good, text = bool(off > 1e-3), f"up to {off:.3f} from mean and median"
    if claim in (SOFTENED, SHARPENED):
        moved = np.abs(probe.read_out(probe.minimum(GREYS)) - 0.5)
        moved, still = np.delete(moved, 4), np.delete(np.abs(GREYS - 0.5), 4)
        good &= bool((moved < still if claim == SOFTENED else moved > still).all())
    return Certificate(name, claim, HOLDS if good else FAILS, text)


def _location(loss: Loss, probe: Probe) -> str:
    """The kind of location, by how a white output is pulled by darker and darker y."""
    white = loss.start(np.ones(1))[:1]
    shown = probe.read_out(white)
    # From residuals on that are below the smallest legal scale.
    away = np.geomspace(1e-5, shown[0], 100)
    pull = np.abs(probe(white, shown - away)[1])
    weight = pull / away
    if pull[-1] < pull.max() * (1 - 1e-12):
        return REDESCENDING
    if weight[-1] == weight.max() and weight[-1] > weight[0]:
        return MIDRANGE
    return LOCATION if weight[-1] < weight[0] * (1 - 1e-9) else MEAN


def _located(
    loss: Loss, probe: Probe, atoms: np.ndarray, chance: np.ndarray, near: np.ndarray
) -> np.ndarray:
    """Read-out at the root of the claimed gradient, expected under each law, by `near`.

    A loss whose pull fades at large residuals has several roots; the values chose one.
    """

    def slope(z: np.ndarray) -> np.ndarray:
        names = pixel_names(z[:, None], atoms) | probe.names
        return np.sum(chance * evaluate(loss.claims.gradient, names), axis=1)

    wide = np.full(len(atoms), 30.0)
    z = bisect(lambda z: probe.read_out(z) - near, -wide, wide)
    return probe.read_out(bisect(slope, z - 1e-4, z + 1e-4))


def _curvature(loss: Loss, probe: Probe) -> Certificate:
    claim = loss.claims.curvature
    if not claim:
        return _idle("curvature at the minimum", "", "kink, or no closed form")
    z = probe.minimum(GREYS)
    right = evaluate(claim, {"y": GREYS} | probe.names)
    found = probe(z, GREYS)[2]
    if not loss.per_image:
        # At the very floor the batch's scale stands still; beside it it moves.
        found, right = found[1:-1], right[1:-1]
    return _verdict("curvature at the minimum", claim, found, right, 1e-4)


def _convexity(loss: Loss, probe: Probe) -> Certificate:
    claim = loss.claims.convex
    if not claim:
        return _idle("convex in z", "", "one z does not describe the loss")
    y = np.linspace(0, 1, 41)
    bend = probe(np.linspace(-12, 12, 241)[:, None], y[None])[2]
    says = bool(evaluate(claim, probe.names))
    least = float(bend.min())
    good = (least >= -1e-9) == says
    text = f"smallest second derivative {least:.1e}"
    return Certificate("convex in z", claim, HOLDS if good else FAILS, text)


def _saturation(loss: Loss, probe: Probe) -> Certificate:
    claim, name = loss.claims.saturation, "saturation exponent"
    z = np.linspace(20, 34, 29)
    if loss.channels > 1 and not claim:
        return _idle(name, "", "one z does not describe the loss")
    pull = np.abs(probe(z, np.zeros(1))[1])
    if not pull.any():
        return _idle(name, claim, "the gradient is below what float64 can hold")
    if not claim:
        good = bool(pull[-1] >= pull[0])
        return Certificate(
            name, "none: linear output", HOLDS if good else FAILS, "does not fade"
        )
    slope = float(-np.polyfit(z, np.log(np.maximum(pull, 1e-300)), 1)[0])
    right = float(evaluate(claim, probe.names))
    # An algebraic approach such as 1 - 1/z leaves a small slope on any interval.
    good = abs(slope - right) < 5e-3
    return Certificate(
        name,
        f"abs(dL/dz) ~ exp(-{claim} z)",
        HOLDS if good else FAILS,
        f"{round(slope, 4) + 0.0:.4f}",
    )


def check_finite(loss: Loss, probe: Probe) -> Certificate:
    """Value, gradient, jvp and curvature, compiled and mapped, against float64."""
    z, y = (x.ravel() for x in np.meshgrid(LOGITS, EDGES))
    exact = probe(z, y)
    beyond = 0
    for dtype in (jnp.float32, jnp.bfloat16):
        with jax.enable_x64(False):
            low = measure(loss, jnp.asarray(z, dtype), jnp.asarray(y, dtype))
        for short, long in zip(low, exact, strict=True):
            found = np.asarray(short, np.float64)
            fits = np.abs(long) < 3e35
            wrong_sign = ~np.isfinite(found) & (np.sign(found) != np.sign(long))
            if np.isnan(found).any() or (~np.isfinite(found) & fits).any():
                bad = int(np.argmax(~np.isfinite(found)))
                where = f"z = {z[bad]:g}, y = {y[bad]:g}"
                text = f"{found[bad]} in {jnp.dtype(dtype).name} at {where}"
                return Certificate("finite", loss.claims.domain, FAILS, text)
            if wrong_sign.any():
                return Certificate("finite", loss.claims.domain, FAILS, "wrong sign")
            beyond += int((~np.isfinite(found)).sum())
    text = f"{z.size} points, value to second derivative, float32 and bfloat16"
    if beyond:
        text += f"; {beyond} are inf, as the exact number does not fit"
    return Certificate("finite", loss.claims.domain, HOLDS, text)


_CHECKS: tuple[Callable[[Loss, Probe], Certificate], ...] = (
    _formula,
    _gradient,
    _minimiser,
    check_floor,
    _elicits,
    _curvature,
    _convexity,
    _saturation,
    check_finite,
)
