"""scikit-learn's 1,797 real 8x8 scans of handwritten digits: nothing to download."""

from importlib import metadata

import numpy as np

from lossjax.suite.data.dataset import Content, Split, hold_out

VALIDATION_SIZE = TEST_SIZE = 300
_FILE = "sklearn/datasets/data/digits.csv.gz"  # 64 pixels from 0 to 16, and the label


def digits() -> Content:
    """1,197 / 300 / 300 images uint8 (count, 8, 8, 1), labels 0 to 9."""
    # By its file: to import scikit-learn takes longer than to train on it.
    file = metadata.distribution("scikit-learn").locate_file(_FILE)
    table = np.loadtxt(str(file), delimiter=",")
    pixels = table[:, :-1].reshape(-1, 8, 8, 1)
    # 17 grey levels. One of them, 8, lies on a half (127.5): to even, 128, as round().
    images_u8 = np.rint(pixels * (255 / 16)).astype(np.uint8)
    labels = table[:, -1].astype(np.int32)
    parts = hold_out(len(images_u8), VALIDATION_SIZE, TEST_SIZE)
    index = dict(zip(("validation", "test", "train"), parts, strict=True))
    return Content(
        {
            key: Split(images_u8[index[key]], labels[index[key]])
            for key in ("train", "validation", "test")
        }
    )
