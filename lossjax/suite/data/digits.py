"""scikit-learn's 1,797 real 8x8 scans of handwritten digits: nothing to download."""

import numpy as np

from lossjax.suite.data.dataset import Content, Split, hold_out

VALIDATION_SIZE = TEST_SIZE = 300


def digits() -> Content:
    """1,197 / 300 / 300 images uint8 (count, 8, 8, 1), labels 0 to 9."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # 17 grey levels. One of them, 8, lies on a half (127.5): to even, 128, as round().
    images_u8 = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int32)
    parts = hold_out(len(images_u8), VALIDATION_SIZE, TEST_SIZE)
    index = dict(zip(("validation", "test", "train"), parts, strict=True))
    return Content(
        {
            key: Split(images_u8[index[key]], labels[index[key]])
            for key in ("train", "validation", "test")
        }
    )
