"""Natural-image patches from the two photographs that scikit-learn ships."""

import numpy as np

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.dataset import Content, Options, Split
from lossjax.suite.data.fitting import luma

DEFAULT_SIZE, LARGEST_SIZE = 16, 64
_SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


def patches(argument: str, options: Options) -> Content:
    """Squares on a half-overlapping grid; each split is its own vertical band.

    The bands of a photograph are separated by one pixel more than a patch, so that no
    two splits share or touch a pixel's neighbourhood of that size.
    """
    from sklearn.datasets import load_sample_images

    size = options.image_size or DEFAULT_SIZE
    check_patches(options)
    photographs = load_sample_images().images
    splits = {}
    for key, (left, right) in bands(photographs[0].shape[1], size).items():
        found = np.concatenate([_grid(p[:, left:right], size) for p in photographs])
        if options.channels == 1:
            found = luma(found)[..., None]
        splits[key] = Split(found)
    return Content(splits)


def check_patches(options: Options) -> None:
    """Raises DataError where the patches would not fit into the bands."""
    if (options.image_size or DEFAULT_SIZE) > LARGEST_SIZE:
        raise DataError(
            f"patches: image_size={options.image_size}: valid are 4 to {LARGEST_SIZE}; "
            "the photographs are 640 x 427"
        )


def bands(width: int, size: int) -> dict[str, tuple[int, int]]:
    """Columns [left, right) of each split, with gaps wider than a patch."""
    gap = size + 1
    usable, left, found = width - 2 * gap, 0, {}
    for key, share in _SHARES.items():
        right = min(width, left + int(share * usable))
        found[key] = (left, right)
        left = right + gap
    return found


def _grid(band: np.ndarray, size: int) -> np.ndarray:
    stride = max(1, size // 2)
    windows = np.lib.stride_tricks.sliding_window_view(band, (size, size), axis=(0, 1))
    chosen = windows[::stride, ::stride]
    return np.moveaxis(chosen, 2, -1).reshape(-1, size, size, band.shape[2])
