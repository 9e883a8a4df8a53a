"""Pictures made to a size: centre-cropped, resized, grey or colour."""

import numpy as np
from PIL import Image

from lossjax.suite.cli.errors import DataError


def fit_images(
    images: np.ndarray, image_size: int | None, channels: int | None
) -> np.ndarray:
    """Images uint8 (count, height, width, bands) made square, of so many channels.

    The central square is resized with an antialiased (Lanczos) filter; None keeps what
    is there. Colour becomes grey by the luma weights of ITU-R 601, grey becomes colour
    by repetition; with other bands there is nothing to make either from.

    Raises:
      DataError: `channels` asks for what cannot be made.
    """
    if images.shape[3] == 3 and channels == 1:
        images = luma(images)[..., None]
    elif images.shape[3] == 1 and channels == 3:
        images = np.repeat(images, 3, axis=3)
    elif channels not in (None, images.shape[3]):
        raise DataError(
            f"channels={channels}: the images have {images.shape[3]}; leave "
            "them as they are: set no channels"
        )
    if image_size is None or images.shape[1:3] == (image_size, image_size):
        return images
    fitted = np.empty((len(images), image_size, image_size, images.shape[3]), np.uint8)
    for one, out in zip(images, fitted, strict=True):
        for part in _pictures(one.shape[2]):
            bands = one[..., part]
            picture = Image.fromarray(bands if bands.shape[2] == 3 else bands[..., 0])
            fit = np.asarray(fit_picture(picture, image_size))
            out[..., part] = fit.reshape(image_size, image_size, -1)
    return fitted


def _pictures(bands: int) -> list[slice]:
    """What is resized together: colour, or band by band."""
    return [slice(None)] if bands == 3 else [slice(k, k + 1) for k in range(bands)]


def fit_picture(picture: Image.Image, image_size: int) -> Image.Image:
    """One picture, its central square resized to `image_size` on a side."""
    side = min(picture.size)
    left, top = ((length - side) / 2 for length in picture.size)
    return picture.resize(
        (image_size, image_size),
        Image.Resampling.LANCZOS,
        box=(left, top, left + side, top + side),
    )


def luma(colour: np.ndarray) -> np.ndarray:
    """Grey uint8 (...) of colour uint8 (..., 3)."""
    grey = np.empty(colour.shape[:-1], np.uint8)
    for start in range(0, len(colour), 1024):  # floats of one block at a time
        block = colour[start : start + 1024] @ np.array([0.299, 0.587, 0.114])
        grey[start : start + 1024] = np.rint(block)
    return grey
