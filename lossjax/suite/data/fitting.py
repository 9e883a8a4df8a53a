"""Pictures made to a size: centre-cropped, resized, grey or colour."""

import numpy as np
from PIL import Image

from lossjax.suite.cli.errors import DataError


def fit_images(
    images: np.ndarray, image_size: int | None, channels: int | None
) -> np.ndarray:
    """Images (count, height, width, bands) made square, of so many channels.

    The central square is resized with an antialiased (Lanczos) filter; None keeps what
    is there. Colour becomes grey by the luma weights of ITU-R 601, grey becomes colour
    by repetition; with other bands there is nothing to make either from. uint8 stays
    uint8, intensity float32 in [0, 1].

    Raises:
      DataError: `channels` asks for what cannot be made, or a pixel is masked.
    """
    asked = image_size is not None and images.shape[1:3] != (image_size, image_size)
    if (asked or channels not in (None, images.shape[3])) and np.isnan(images).any():
        raise DataError(
            f"image_size={image_size}, channels={channels}: the images have a mask, "
            "and a masked pixel has no value to resize or mix; bring them as they are"
        )
    if images.shape[3] == 3 and channels == 1:
        images = luma(images)[..., None]
    elif images.shape[3] == 1 and channels == 3:
        images = np.repeat(images, 3, axis=3)
    elif channels not in (None, images.shape[3]):
        raise DataError(
            f"channels={channels}: the images have {images.shape[3]}; leave "
            "them as they are: set no channels"
        )
    if image_size is None or not asked:
        return images
    shape = len(images), image_size, image_size, images.shape[3]
    fitted = np.empty(shape, images.dtype)
    colour = images.shape[3] == 3 and images.dtype == np.uint8
    for one, out in zip(images, fitted, strict=True):
        if colour:
            out[...] = fit_picture(Image.fromarray(one), image_size)
            continue
        for band in range(one.shape[2]):
            picture = Image.fromarray(np.ascontiguousarray(one[..., band]))
            out[..., band] = fit_picture(picture, image_size)
    if images.dtype != np.uint8:
        np.clip(fitted, 0, 1, out=fitted)  # the filter overshoots at edges
    return fitted


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
    """Grey (...) of colour (..., 3), of its type."""
    grey = np.empty(colour.shape[:-1], colour.dtype)
    for start in range(0, len(colour), 1024):  # floats of one block at a time
        block = colour[start : start + 1024] @ np.array([0.299, 0.587, 0.114])
        grey[start : start + 1024] = (
            np.rint(block) if colour.dtype == np.uint8 else block
        )
    return grey
