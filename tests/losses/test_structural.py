"""SSIM and MS-SSIM against scikit-image and scipy, of every size, masked too.

The reference where scikit-image takes the size is the mean of its whole map; elsewhere
the definition, by scipy.ndimage in float64.
"""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import logit

from lossjax import LOSSES, METRICS, Loss
from lossjax.losses.structural import scale_count

Array = NDArray[np.float64]
SIZES = [(1, 1), (1, 9), (4, 3), (8, 8), (10, 13), (28, 40)]


@pytest.fixture(autouse=True)
def _strict_promotion() -> Iterator[None]:
    with jax.numpy_dtype_promotion("strict"):
        yield


def window(x: Array) -> Array:
    """11 x 11, sigma 1.5, over the image and its mirror images."""
    return ndimage.gaussian_filter(x, 1.5, radius=5, mode="reflect")


def maps(x: Array, y: Array) -> tuple[Array, Array]:
    """Luminance and contrast-structure around every pixel of one channel."""
    mx, my = window(x), window(y)
    spread = window(x * x) - mx * mx + window(y * y) - my * my
    light = (2 * mx * my + 1e-4) / (mx * mx + my * my + 1e-4)
    return light, (2 * (window(x * y) - mx * my) + 9e-4) / (spread + 9e-4)


def similarity(x: Array, y: Array) -> float:
    """SSIM of (height, width, channels)."""
    if min(x.shape[:2]) < 11:
        channels = zip(x.transpose(2, 0, 1), y.transpose(2, 0, 1), strict=True)
        return float(np.mean([np.prod(maps(a, b), axis=0) for a, b in channels]))
    from skimage.metrics import structural_similarity

    return structural_similarity(
        x,
        y,
        full=True,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=1.0,
        channel_axis=-1,
    )[1].mean()


def multiscale(x: Array, y: Array, scales: int) -> float:
    """Wang 2003 of one channel, an odd side halved with its edge pixel twice."""
    powers = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])[:scales]
    total = 1.0
    for scale, power in enumerate(powers / powers.sum()):
        if scale:
            x, y = (
                ndimage.correlate(a, np.ones((2, 2)) / 4, mode="reflect", origin=-1)
                for a in (x, y)
            )
            x, y = x[::2, ::2], y[::2, ::2]
        light, structure = maps(x, y)
        last = scale == scales - 1
        total *= np.mean(light * structure if last else structure) ** power
    return total


def pair(*shape: int, seed: int = 0) -> tuple[Array, Array]:
    """An image beside its target, away from 0 and 1."""
    rng = np.random.default_rng(seed)
    y = rng.uniform(size=shape)
    return 0.1 + 0.8 * (0.7 * y + 0.3 * rng.uniform(size=shape)), y


def scored(loss: Loss, x: Array, y: Array, weights: Array | None = None) -> Array:
    with jax.enable_x64(True):
        w = None if weights is None else jnp.asarray(weights)
        fn = jax.jit(lambda raw, target: loss.fn(raw, target, weights=w))
        return np.asarray(fn(jnp.asarray(logit(x)), jnp.asarray(y)))


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_ssim_is_the_mean_of_the_whole_map(height: int, width: int) -> None:
    x, y = pair(2, height, width, 3)
    expected = [similarity(a, b) for a, b in zip(x, y, strict=True)]
    found = 1 - scored(LOSSES["ssim"], x, y)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    short = METRICS["ssim"].fn(jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))
    np.testing.assert_allclose(short, expected, rtol=2e-6)


def test_float32_keeps_its_digits_where_images_are_alike_or_flat() -> None:
    """Differences of squares of near-equal means would lose them."""
    rng = np.random.default_rng(1)
    black_and_white = np.float32(rng.uniform(size=(28, 28, 1)) > 0.7)
    for y in (black_and_white, 0 * black_and_white, np.ones_like(black_and_white)):
        for noise in (1e-3, 0.1):
            x = np.float32(np.clip(y + noise * rng.normal(size=y.shape), 0, 1))
            exact = 1 - similarity(x.astype(np.float64), y.astype(np.float64))
            found = 1 - METRICS["ssim"].fn(jnp.asarray(x[None]), jnp.asarray(y[None]))
            np.testing.assert_allclose(found, exact, rtol=1e-4, atol=2e-7)


def test_every_pixel_of_a_small_image_is_trained() -> None:
    """28 of the 64 pixels of an 8 x 8 image are its outer ring: 44 per cent.

    Windows that stay inside the image left it 0.8 per cent of the gradient.
    """
    ring = np.ones((8, 8, 1), bool)
    ring[1:-1, 1:-1] = False
    key, other = jax.random.split(jax.random.key(0))
    shape = (64, 8, 8, 1)
    x, y = jax.random.uniform(key, shape), jax.random.uniform(other, shape)
    metric, loss = METRICS["ssim"].fn, LOSSES["ssim"].fn
    # The loss too, whose gradient is behind a sigmoid.
    for fn, first in ((metric, x), (loss, 4 * x - 2)):
        total = jax.jit(jax.grad(lambda a, fn=fn: jnp.sum(fn(a, y))))
        pull = np.abs(total(first))
        share = pull[:, ring].sum() / pull.sum()
        assert 0.35 <= share <= 0.55, share


@pytest.mark.parametrize(("side", "scales"), [(8, 1), (15, 1), (16, 2), (37, 3)])
def test_ms_ssim_takes_the_scales_that_have_room(side: int, scales: int) -> None:
    assert scale_count(side) == scales
    x, y = pair(2, side, side, 1)
    expected = [
        multiscale(a[..., 0], b[..., 0], scales) for a, b in zip(x, y, strict=True)
    ]
    np.testing.assert_allclose(1 - scored(LOSSES["ms_ssim"], x, y), expected, rtol=1e-9)
    mixed = 0.84 * (1 - np.array(expected)) + 0.16 * abs(x - y).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(scored(LOSSES["ms_ssim_l1"], x, y), mixed, rtol=1e-9)


def test_all_five_scales_from_128_pixels() -> None:
    assert [scale_count(n) for n in (63, 64, 127, 128, 512)] == [3, 4, 4, 5, 5]


@pytest.mark.parametrize("side", [8, 16])
@pytest.mark.parametrize("name", ["ssim", "ms_ssim"])
def test_a_masked_part_is_as_if_it_were_not_there(name: str, side: int) -> None:
    """Windows are means over what they see: here they see one part of the image."""
    x, y = pair(1, side, side, 1)
    seen = np.random.default_rng(2).uniform(size=y.shape) > 0.3
    spoiled = np.where(seen, y, np.nan)
    other = np.where(seen, x, 0.9)
    weights = seen.astype(np.float64)
    loss = LOSSES[name]
    found = scored(loss, other, spoiled, weights)
    np.testing.assert_allclose(found, scored(loss, x, y, 3 * weights), rtol=1e-9)
    if scale_count(side) == 1:
        by_hand = 1 - masked_similarity(x[0, :, :, 0], y[0, :, :, 0], seen[0, :, :, 0])
        np.testing.assert_allclose(found, by_hand, rtol=1e-9)


def masked_similarity(x: Array, y: Array, seen: NDArray[np.bool_]) -> float:
    """SSIM whose windows are renormalised over the pixels that are seen, by loops."""
    bell = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weight = np.outer(bell, bell)
    wide = [np.pad(a, 5, mode="symmetric") for a in (x, y, seen)]
    found = []
    for i, j in zip(*np.nonzero(seen), strict=True):
        a, b, here = (m[i : i + 11, j : j + 11] for m in wide)
        share = weight * here / (weight * here).sum()
        ma, mb = (share * a).sum(), (share * b).sum()
        both = (share * (a - ma) * (b - mb)).sum()
        spread = (share * ((a - ma) ** 2 + (b - mb) ** 2)).sum()
        light = (2 * ma * mb + 1e-4) / (ma * ma + mb * mb + 1e-4)
        found.append(light * (2 * both + 9e-4) / (spread + 9e-4))
    return float(np.mean(found))


def test_the_gradient_is_finite_where_everything_is_wrong() -> None:
    """White for black at two scales: the mean is held above 0, and still pulls."""
    y = jnp.zeros((1, 16, 16, 1))
    loss = LOSSES["ms_ssim"]
    slope = jax.jit(jax.grad(lambda z: jnp.sum(loss.fn(z, y))))(jnp.full_like(y, 9.0))
    assert np.isfinite(slope).all() and (slope > 0).all()
