"""Pictures made to a size: centre-cropped, resized, grey or colour."""

import numpy as np
from PIL import Image


def fit_images(
    images: np.ndarray, image_size: int | None, channels: int | None
) -> np.ndarray:
    """Images uint8 (count, height, width, channels) made square and 1- or 3-channel.

    The central square is resized with an antialiased (Lanczos) filter; None keeps what
    is there. Colour becomes grey by the luma weights of ITU-R 601, grey becomes colour
    by repetition.
    """
    if images.shape[3] == 3 and channels == 1:
        images = luma(images)[..., None]
    elif images.shape[3] == 1 and channels == 3:
        images = np.repeat(images, 3, axis=3)
    if image_size is None or images.shape[1:3] == (image_size, image_size):
        return images
    fitted = np.empty((len(images), image_size, image_size, images.shape[3]), np.uint8)
    for one, out in zip(images, fitted, strict=True):
        picture = Image.fromarray(one.squeeze(2) if one.shape[2] == 1 else one)
        out[...] = np.atleast_3d(np.asarray(fit_picture(picture, image_size)))
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
    """Grey uint8 (...) of colour uint8 (..., 3)."""
    grey = np.empty(colour.shape[:-1], np.uint8)
    for start in range(0, len(colour), 1024):  # floats of one block at a time
        block = colour[start : start + 1024] @ np.array([0.299, 0.587, 0.114])
        grey[start : start + 1024] = np.rint(block)
    return grey
