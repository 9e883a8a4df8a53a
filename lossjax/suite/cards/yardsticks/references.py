"""The same metrics by numpy, scipy and scikit-learn, in float64.

Nothing here is taken from `lossjax`, so that a difference is an error of one of them.
"""

import types
from collections.abc import Callable, Mapping

import numpy as np
from scipy import ndimage, special
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

Images = Callable[[np.ndarray, np.ndarray], np.ndarray]
Codes = Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], float]
_SCALES = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])


def pairs() -> list[tuple[np.ndarray, np.ndarray]]:
    """Images beside their targets, float32: 64 of 8x8 and 16 of 28x28, in levels."""
    random = np.random.default_rng(0)
    made = []
    for count, side in ((64, 8), (16, 28)):
        target = np.rint(255 * random.uniform(size=(count, side, side, 1))) / 255
        image = np.clip(target + random.normal(scale=0.1, size=target.shape), 0, 1)
        made.append((image.astype(np.float32), target.astype(np.float32)))
    return made


def codes() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Codes (n, 12) of the digits and their labels, 1,200 to train on and the rest."""
    data = load_digits()
    projection = np.random.default_rng(0).normal(size=(64, 12))
    drawn = (data.data @ projection).astype(np.float32)
    labels = data.target.astype(np.int32)
    return drawn[:1200], labels[:1200], drawn[1200:], labels[1200:]


def _mse(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.mean((x - y) ** 2, (1, 2, 3))


def _psnr(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return -10 * np.log10(_mse(x, y))


def _mae(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.mean(np.abs(x - y), (1, 2, 3))


def _bce(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    p = np.clip(x, 1 / 510, 509 / 510)
    pixels = special.xlogy(y, p) + special.xlog1py(1 - y, -p)
    return -np.mean(pixels, (1, 2, 3))


def _excess_bce(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    p = np.clip(x, 1 / 510, 509 / 510)
    divergence = special.rel_entr(y, p) + special.rel_entr(1 - y, 1 - p)
    return np.mean(divergence, (1, 2, 3))


def _window(x: np.ndarray) -> np.ndarray:
    """11 x 11, sigma 1.5, over images and their mirror images."""
    return ndimage.gaussian_filter(x, (0, 1.5, 1.5, 0), radius=5, mode="reflect")


def _maps(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luminance and contrast-structure around every pixel."""
    mx, my = _window(x), _window(y)
    spread = _window(x * x) - mx * mx + _window(y * y) - my * my
    light = (2 * mx * my + 1e-4) / (mx * mx + my * my + 1e-4)
    return light, (2 * (_window(x * y) - mx * my) + 9e-4) / (spread + 9e-4)


def _ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.mean(np.prod(_maps(x, y), axis=0), (1, 2, 3))


def _ms_ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Of images of one channel and even sides."""
    scales = int(np.clip(np.log2(x.shape[1] / 8) + 1, 1, 5))
    powers = _SCALES[:scales] / _SCALES[:scales].sum()
    total = np.ones(len(x))
    for scale, power in enumerate(powers):
        if scale:
            x, y = (
                (a[:, ::2] + a[:, 1::2])[:, :, ::2] / 4
                + (a[:, ::2] + a[:, 1::2])[:, :, 1::2] / 4
                for a in (x, y)
            )
        light, structure = _maps(x, y)
        seen = light * structure if scale == scales - 1 else structure
        total *= np.mean(seen, (1, 2, 3)) ** power
    return total


def _sharpness_error(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    bends = (ndimage.laplace(a, mode="reflect", axes=(1, 2)) for a in (x, y))
    energy = [np.mean(bend**2, (1, 2, 3)) + 510.0**-2 for bend in bends]
    return np.abs(np.log(energy[0] / energy[1]))


def _knn(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray
) -> float:
    return float(KNeighborsClassifier(15).fit(train, labels).score(test, truth))


def _probe(
    train: np.ndarray, labels: np.ndarray, test: np.ndarray, truth: np.ndarray
) -> float:
    mean, spread = train.mean(0), train.std(0)
    model = LogisticRegression(C=1 / (1e-4 * len(train)), max_iter=5000)
    model.fit((train - mean) / spread, labels)
    return float(model.score((test - mean) / spread, truth))


IMAGES: Mapping[str, tuple[str, Images]] = types.MappingProxyType(
    {
        "mse": ("numpy", _mse),
        "psnr": ("numpy", _psnr),
        "mae": ("numpy", _mae),
        "bce": ("scipy", _bce),
        "excess_bce": ("scipy", _excess_bce),
        "ssim": ("scipy", _ssim),
        "ms_ssim": ("scipy", _ms_ssim),
        "sharpness_error": ("scipy", _sharpness_error),
    }
)
CODES: Mapping[str, tuple[str, Codes]] = types.MappingProxyType(
    {"knn_accuracy": ("scikit-learn", _knn), "probe_accuracy": ("scikit-learn", _probe)}
)
