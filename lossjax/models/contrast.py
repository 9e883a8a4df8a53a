"""The warp of contrast, of images held by jax and by numpy alike; needs no jax."""

from typing import Any


def warp(images: Any, gamma: float) -> Any:
    """f_gamma: more contrast below 0, less above.

    Of Loaiza-Ganem and Cunningham 2019: gamma = -0.5 makes every pixel 0 or 1, 0 leaves
    it, 0.5 makes all of them 0.5; pixels in [0, 1] stay in there.
    """
    if gamma == 0:
        return images
    if gamma > 0:
        return gamma + (1 - 2 * gamma) * images
    if gamma == -0.5:
        return (images >= 0.5).astype(images.dtype)
    stretched = (images + gamma) / (1 + 2 * gamma)
    return images.__array_namespace__().clip(stretched, 0, 1)
