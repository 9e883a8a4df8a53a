"""SSIM and MS-SSIM with one window for every pixel, as separable matrix products.

A Gaussian window of 11 x 11 pixels (standard deviation 1.5), the same at every size of
image, is centred on each pixel. Outside the image lies its mirror image, the edge pixel
repeated (half-sample reflection; as often as a small image needs), so that in the mean
over windows every pixel has the same weight, those at the border too. Images of any
size can be scored, of one pixel too.

MS-SSIM takes as many of the five published scales as leave a smaller side of 8 pixels
(16 pixels have room for two, 128 for all five), with their published weights divided by
their sum. With room for one scale it is SSIM. An image is halved by means over 2 x 2
pixels, an odd side extended by the same reflection.

Under weights every window is a weighted mean over what it sees, and its comparison
counts as much as the pixel it is centred on.

Source: Wang, Bovik, Sheikh, Simoncelli, Image quality assessment: from error
visibility to structural similarity, IEEE TIP 13(4) 2004, with K1 = 0.01, K2 = 0.03 and
range 1; Wang, Simoncelli, Bovik, Multiscale structural similarity, Asilomar 2003. Both
leave out windows that reach beyond the border. Channels are scored one by one and
averaged.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.losses.checks import Parameter
from lossjax.losses.claims import EVERYWHERE, MEDIAN, NONE, Claims
from lossjax.losses.links import magnitude, residual
from lossjax.losses.loss import image_mean, row

RADIUS, DEVIATION = 5, 1.5
C1, C2 = 0.01**2, 0.03**2
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
# Smaller side of the coarsest scale.
COARSEST = 8
# A contrast-structure mean below 0 has no real power. White for black scores C1.
_LEAST_MEAN = C1 / 2
_AT_ONCE = 256  # pixels whose windows a GPU averages by one product, at most


def scale_count(side: int) -> int:
    """Scales of the multi-scale index for an image whose smaller side is `side`."""
    count = 1
    while count < len(SCALE_WEIGHTS) and side // 2**count >= COARSEST:
        count += 1
    return count


def _ssim(raw: jax.Array, target: jax.Array, *, weights: jax.Array | None) -> jax.Array:
    return dissimilarity(residual(raw, target), target, weights)


def _ms_ssim(
    raw: jax.Array, target: jax.Array, *, weights: jax.Array | None
) -> jax.Array:
    return multiscale_dissimilarity(residual(raw, target), target, weights)


def _ms_ssim_l1(
    raw: jax.Array, target: jax.Array, *, alpha: jax.Array, weights: jax.Array | None
) -> jax.Array:
    r = residual(raw, target)
    structure = multiscale_dissimilarity(r, target, weights)
    return alpha * structure + (1 - alpha) * image_mean(magnitude(r), weights)


def dissimilarity(
    difference: jax.Array, target: jax.Array, weights: jax.Array | None
) -> jax.Array:
    """1 - SSIM of target + difference and target, (batch,)."""
    light, structure = _comparisons(difference, target, weights)
    # 1 - l c for l = 1 - light, c = 1 - structure: no difference of near-equal numbers.
    return image_mean(light + structure - light * structure, weights)


def multiscale_dissimilarity(
    difference: jax.Array, target: jax.Array, weights: jax.Array | None
) -> jax.Array:
    """1 - MS-SSIM of target + difference and target, (batch,)."""
    count = scale_count(min(target.shape[1:3]))
    if count == 1:
        return dissimilarity(difference, target, weights)
    powers = np.asarray(SCALE_WEIGHTS[:count]) / sum(SCALE_WEIGHTS[:count])
    logs = jnp.zeros((target.shape[0], target.shape[-1]), target.dtype)
    for scale, power in enumerate(powers):
        if scale:
            difference, target, weights = _halved(difference, target, weights)
        light, structure = _comparisons(difference, target, weights)
        if scale == count - 1:
            structure = light + structure - light * structure
        value = _channel_mean(structure, weights)
        logs = logs + float(power) * jnp.log1p(-jnp.minimum(value, 1 - _LEAST_MEAN))
    return jnp.mean(-jnp.expm1(logs), axis=1)


def _comparisons(
    difference: jax.Array, target: jax.Array, weights: jax.Array | None
) -> tuple[jax.Array, jax.Array]:
    """1 - luminance and 1 - contrast-structure of the window around each pixel."""
    # Centred at mid-grey: the variances below subtract squares of smaller numbers.
    y = target - 0.5
    maps = (difference, difference**2, (y + difference) ** 2, y, y**2)
    height, width = target.shape[1:3]
    (d, dd, xx, y, yy), _ = _averages(_band(height), _band(width), maps, weights)
    x = y + d
    light = d * d / ((x + 0.5) ** 2 + (y + 0.5) ** 2 + C1)
    structure = (dd - d * d) / ((xx - x * x) + (yy - y * y) + C2)
    return light, structure


def _averages(
    down: np.ndarray,
    across: np.ndarray,
    maps: Sequence[jax.Array],
    weights: jax.Array | None,
) -> tuple[list[jax.Array], jax.Array | None]:
    """Averages of maps (batch, height, width, channels), and their weights.

    Each row of `down` and `across` holds the shares of an average, and sums to 1.
    """

    einsum = functools.partial(jnp.einsum, precision=jax.lax.Precision.HIGHEST)

    def in_turn(one: jax.Array) -> jax.Array:
        matrices = (jnp.asarray(matrix, one.dtype) for matrix in (down, across))
        return einsum("ih,jw,bhwc->bijc", *matrices, one)

    def at_once(one: jax.Array) -> jax.Array:
        both = jnp.asarray(np.kron(down, across), one.dtype)
        batch, *_, channels = one.shape
        pixels = einsum("pq,bqc->bpc", both, one.reshape(batch, -1, channels))
        return pixels.reshape(batch, len(down), len(across), channels)

    def product(one: jax.Array) -> jax.Array:
        # Of small images a GPU works longer to begin a product than to finish it.
        if one.shape[1] * one.shape[2] > _AT_ONCE:
            return in_turn(one)
        return jax.lax.platform_dependent(one, cuda=at_once, default=in_turn)

    if weights is None:
        return [product(one) for one in maps], None
    share = product(weights)
    safe = jnp.where(share > 0, share, 1)
    return [product(one * weights) / safe for one in maps], share


def _band(side: int) -> np.ndarray:
    """Matrix (side, side) whose rows are the windows around each pixel."""
    offsets = np.arange(-RADIUS, RADIUS + 1)
    window = np.exp(-0.5 * (offsets / DEVIATION) ** 2)
    places = np.arange(side)[:, None] + offsets
    return _gathered(places, window / window.sum(), side)


def _gathered(places: np.ndarray, shares: np.ndarray, side: int) -> np.ndarray:
    """Matrix (rows, side) with `shares` at the reflected `places` of each row."""
    around = places % (2 * side)
    inside = np.minimum(around, 2 * side - 1 - around)
    matrix = np.zeros((len(places), side))
    np.add.at(matrix, (np.arange(len(places))[:, None], inside), shares)
    return matrix


def _halved(
    difference: jax.Array, target: jax.Array, weights: jax.Array | None
) -> tuple[jax.Array, jax.Array, jax.Array | None]:
    """Means over 2 x 2 pixels."""
    down, across = (
        _gathered(np.arange(0, side, 2)[:, None] + np.arange(2), np.full(2, 0.5), side)
        for side in target.shape[1:3]
    )
    maps, weights = _averages(down, across, (difference, target), weights)
    return maps[0], maps[1], weights


def _channel_mean(values: jax.Array, weights: jax.Array | None) -> jax.Array:
    """Weighted mean over pixels, (batch, channels)."""
    if weights is None:
        return jnp.mean(values, axis=(1, 2))
    total = jnp.sum(weights, axis=(1, 2))
    return jnp.sum(values * weights, axis=(1, 2)) / jnp.where(total > 0, total, 1)


_WANG = (
    "Wang, Bovik, Sheikh, Simoncelli, Image quality assessment: from error visibility "
    "to structural similarity, IEEE TIP 13(4), 2004"
)
_RULE = (
    "; a window centred on every pixel, the image reflected at its border; theirs "
    "leaves out windows that reach beyond it"
)
_SCALES = "; fewer scales on small images, their weights divided by their sum."
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
    formula="1 - mean over pixels of SSIM(p, y) in the window around each",
    source=_WANG + _RULE + ".",
    whole=True,
    tile_invariant=False,
    claims=_CLAIMS,
)
MS_SSIM = row(
    "ms_ssim",
    _ms_ssim,
    unit="1 - index",
    formula="1 - product over scales of mean contrast-structure (luminance at the "
    "last)",
    source="Wang, Simoncelli, Bovik, Multiscale structural similarity for image "
    "quality assessment, Asilomar 2003" + _RULE + _SCALES,
    whole=True,
    tile_invariant=False,
    claims=_CLAIMS,
)
MS_SSIM_L1 = row(
    "ms_ssim_l1",
    _ms_ssim_l1,
    Parameter("alpha", 0.84, 0.0, 1.0, "weight of the structural part"),
    unit="1 - index and intensity, mixed",
    formula="alpha (1 - MS-SSIM(p, y)) + (1 - alpha) mean abs(r)",
    source="Zhao, Gallo, Frosio, Kautz, Loss functions for image restoration with "
    "neural networks, IEEE TCI 3(1), 2017, section III.E; the absolute error is a "
    "plain mean, not weighted by the window of the last scale" + _RULE + _SCALES,
    whole=True,
    tile_invariant=False,
    claims=dataclasses.replace(
        _CLAIMS,
        elicits=f"{MEDIAN} if alpha == 0, else {NONE}",
        use="ms_ssim with mean absolute error to hold brightness and colour.",
    ),
)
