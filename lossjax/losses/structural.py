"""SSIM and MS-SSIM by separable windows written as matrix products.

Rule of sizes, for the smaller side n of an image (n >= 8). From 176 on this is the
published index: a Gaussian window of 11 pixels (standard deviation 1.5), valid
positions only, five scales. Below, each scale takes a window of min(11, 2 (n // 4) + 1)
pixels (standard deviation 1.5 / 11 of it), so that about half the positions remain,
and as many of the five scales as keep a coarsest side of 8; their published weights
are divided by their sum. So 8 pixels give a window of 5 and one scale, 28 pixels a
window of 11 and two scales, 64 pixels four scales.

Source: Wang, Bovik, Sheikh, Simoncelli, Image quality assessment: from error
visibility to structural similarity, IEEE TIP 13(4) 2004, with K1 = 0.01, K2 = 0.03 and
range 1; Wang, Simoncelli, Bovik, Multiscale structural similarity, Asilomar 2003.
Channels are scored one by one and averaged.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.losses.checks import Parameter
from lossjax.losses.claims import EVERYWHERE, NONE, Claims
from lossjax.losses.links import magnitude, residual
from lossjax.losses.loss import image_mean, row

SMALLEST = 8
STANDARD = 176
C1, C2 = 0.01**2, 0.03**2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def window_size(side: int) -> int:
    """Window in pixels at a scale whose smaller side is `side`."""
    return min(11, 2 * (side // 4) + 1)


def scale_count(side: int) -> int:
    """Scales of the multi-scale index for an image whose smaller side is `side`."""
    count = 1
    while count < len(SCALE_WEIGHTS) and side // 2**count >= SMALLEST:
        count += 1
    return count


def ssim(image: jax.Array, target: jax.Array) -> jax.Array:
    """Mean structural similarity of each image, (batch,), 1 where equal.

    Args:
      image: float (batch, height, width, channels), intensity in [0, 1].
      target: same shape.

    Raises:
      ValueError: a side is under 8 pixels.
    """
    return 1 - dissimilarity(image - target, target, None)


def ms_ssim(image: jax.Array, target: jax.Array) -> jax.Array:
    """Multi-scale structural similarity of each image, (batch,), 1 where equal."""
    return 1 - multiscale_dissimilarity(image - target, target, None)


def _ssim(raw: jax.Array, target: jax.Array, *, weights: jax.Array | None) -> jax.Array:
    return dissimilarity(residual(raw, target), target, weights)


def _ms_ssim(
    raw: jax.Array, target: jax.Array, *, weights: jax.Array | None
) -> jax.Array:
    return multiscale_dissimilarity(residual(raw, target), target, weights)


def _ms_ssim_l1(
    raw: jax.Array, target: jax.Array, *, weights: jax.Array | None, alpha: jax.Array
) -> jax.Array:
    r = residual(raw, target)
    structure = multiscale_dissimilarity(r, target, weights)
    return alpha * structure + (1 - alpha) * image_mean(magnitude(r), weights)


def dissimilarity(
    difference: jax.Array, target: jax.Array, weights: jax.Array | None
) -> jax.Array:
    """1 - SSIM of target + difference and target, per image, exact near equality."""
    side = _smaller_side(target)
    light, structure, share = _comparisons(
        difference, target, weights, window_size(side)
    )
    # 1 - l c for l = 1 - light, c = 1 - structure: no difference of near-equal numbers.
    return _mean(light + structure - light * structure, share, axes=(1, 2, 3))


def multiscale_dissimilarity(
    difference: jax.Array, target: jax.Array, weights: jax.Array | None
) -> jax.Array:
    """1 - MS-SSIM of target + difference and target, per image.

    A negative contrast-structure mean has no real power; it is held at 1e-4.
    """
    side = _smaller_side(target)
    count = scale_count(side)
    powers = np.asarray(SCALE_WEIGHTS[:count]) / sum(SCALE_WEIGHTS[:count])
    logs = jnp.zeros((target.shape[0], target.shape[-1]), target.dtype)
    for scale, power in enumerate(powers):
        size = 11 if side >= STANDARD else window_size(side // 2**scale)
        light, structure, share = _comparisons(difference, target, weights, size)
        if scale == count - 1:
            structure = light + structure - light * structure
        value = _mean(structure, share, axes=(1, 2))
        logs = logs + float(power) * jnp.log1p(-jnp.minimum(value, 1 - 1e-4))
        if scale < count - 1:
            difference, target, weights = _halved(difference, target, weights)
    return jnp.mean(-jnp.expm1(logs), axis=1)


def _comparisons(
    difference: jax.Array, target: jax.Array, weights: jax.Array | None, size: int
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """1 - luminance, 1 - contrast-structure and window weights at valid positions."""
    # Centred at mid-grey: the variances below subtract squares of smaller numbers.
    centred = target - 0.5
    moving = centred + difference
    maps = [difference, centred, difference**2, centred**2, moving**2]
    share = None
    if weights is not None:
        # A masked pixel may hold anything, so it is replaced, not only multiplied.
        maps = [jnp.where(weights > 0, m, 0) * weights for m in maps] + [weights]
    windowed = _windows(jnp.stack(maps), size)
    if weights is not None:
        share = windowed[5]
        windowed = windowed[:5] / jnp.where(share > 0, share, 1)[None]
    d, y, dd, yy, xx = windowed[0], windowed[1], windowed[2], windowed[3], windowed[4]
    x = y + d
    light = d * d / ((x + 0.5) ** 2 + (y + 0.5) ** 2 + C1)
    structure = (dd - d * d) / ((xx - x * x) + (yy - y * y) + C2)
    return light, structure, share


def _windows(maps: jax.Array, size: int) -> jax.Array:
    """Gaussian-weighted means at valid positions of (..., height, width, channels)."""
    down = jnp.asarray(_band(maps.shape[-3], size), maps.dtype)
    across = jnp.asarray(_band(maps.shape[-2], size), maps.dtype)
    return jnp.einsum("ih,nbhwc,jw->nbijc", down, maps, across)


def _band(side: int, size: int) -> np.ndarray:
    """Matrix (side - size + 1, side) whose rows are the shifted window."""
    offsets = np.arange(size) - size // 2
    window = np.exp(-0.5 * (offsets / (1.5 * size / 11)) ** 2)
    window /= window.sum()
    rows = np.arange(side - size + 1)[:, None]
    band = np.zeros((side - size + 1, side))
    band[rows, rows + np.arange(size)] = window
    return band


def _halved(
    difference: jax.Array, target: jax.Array, weights: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Means over 2 x 2 pixels; an odd last row or column is left out."""
    if weights is None:
        return _pooled(difference), _pooled(target), None
    share = _pooled(weights)
    safe = jnp.where(share > 0, share, 1)
    kept = [
        _pooled(jnp.where(weights > 0, m, 0) * weights) / safe
        for m in (difference, target)
    ]
    return kept[0], kept[1], share


def _pooled(maps: jax.Array) -> jax.Array:
    batch, height, width, channels = maps.shape
    even = maps[:, : height // 2 * 2, : width // 2 * 2]
    blocks = even.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return jnp.mean(blocks, axis=(2, 4))


def _mean(
    values: jax.Array, share: jax.Array | None, axes: tuple[int, ...]
) -> jax.Array:
    if share is None:
        return jnp.mean(values, axis=axes)
    total = jnp.sum(share, axis=axes)
    return jnp.sum(values * share, axis=axes) / jnp.where(total > 0, total, 1)


def _smaller_side(target: jax.Array) -> int:
    side = min(target.shape[1:3])
    if side < SMALLEST:
        raise ValueError(
            f"ssim: image {target.shape[1]}x{target.shape[2]} is smaller than the "
            f"structural window allows; the smaller side must be at least {SMALLEST}"
        )
    return side


_WANG = (
    "Wang, Bovik, Sheikh, Simoncelli, Image quality assessment: from error visibility "
    "to structural similarity, IEEE TIP 13(4), 2004"
)
_RULE = "; window and scales of small images by the rule in lossjax.losses.structural."
_CLAIMS = Claims(
    gradient="",
    floor="0",
    elicits=NONE,
    minimiser="y",
    curvature="",
    saturation="1",
    convex="",
    domain=EVERYWHERE,
    use="When structure should look right. Scores windows, not pixels; says little of "
    "brightness in bright regions and much of noise in flat dark ones.",
)
SSIM = row(
    "ssim",
    _ssim,
    unit="1 - index",
    formula="1 - mean over windows of SSIM(p, y)",
    source=_WANG + _RULE,
    whole=True,
    tile_invariant=False,
    smallest=SMALLEST,
    claims=_CLAIMS,
)
MS_SSIM = row(
    "ms_ssim",
    _ms_ssim,
    unit="1 - index",
    formula="1 - product over scales of mean contrast-structure (luminance at the "
    "last)",
    source="Wang, Simoncelli, Bovik, Multiscale structural similarity for image "
    "quality assessment, Asilomar 2003" + _RULE,
    whole=True,
    tile_invariant=False,
    smallest=SMALLEST,
    # The hold of a mean near 0 stops the gradient where everything is wrong.
    claims=dataclasses.replace(_CLAIMS, saturation=""),
)
MS_SSIM_L1 = row(
    "ms_ssim_l1",
    _ms_ssim_l1,
    Parameter("alpha", 0.84, 0.0, 1.0, "weight of the structural part"),
    unit="1 - index and intensity, mixed",
    formula="alpha (1 - MS-SSIM(p, y)) + (1 - alpha) mean abs(r)",
    source="Zhao, Gallo, Frosio, Kautz, Loss functions for image restoration with "
    "neural networks, IEEE TCI 3(1), 2017, section III.E; the absolute error is a "
    "plain mean, not weighted by the window of the last scale" + _RULE,
    whole=True,
    tile_invariant=False,
    smallest=SMALLEST,
    claims=dataclasses.replace(
        _CLAIMS,
        use="ms_ssim with mean absolute error to hold brightness and colour.",
    ),
)
