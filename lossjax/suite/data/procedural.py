"""Procedural sets whose truth is known: what a comparison must find, planted."""

import types
from collections.abc import Mapping

import numpy as np

from lossjax.suite.data.dataset import Content, Noise, Options, Split, three_splits
from lossjax.suite.data.dials import Dial, read_dials

LAWS = ("none", "gaussian", "laplace", "cauchy", "bernoulli", "poisson", "variance")
_COMMON = {
    "count": Dial(3_000, 30, 1_000_000),  # images in all three splits
    "seed": Dial(0, 0, 2**32 - 1),
    "noise": Dial("none", words=LAWS),  # law of the training targets' noise
    "scale": Dial(0.1, 1e-4, 1.0),  # of the noise, in intensity
    "exponent": Dial(1.0, 0.0, 4.0),  # of the law "variance": Var ~ (y(1-y))^exponent
}
TEXTURE_DIALS: Mapping[str, Dial] = types.MappingProxyType(
    {
        "binary": Dial(0.0, 0.0, 1.0),  # share of pixels that are exactly 0 or 255
        "grey_a": Dial(2.0, 0.1, 50.0),  # the other pixels' histogram: Beta(a, b)
        "grey_b": Dial(2.0, 0.1, 50.0),
        "spectrum": Dial(2.0, 0.0, 6.0),  # power falls as frequency^-spectrum
        **_COMMON,
    }
)
DECODER_DIALS: Mapping[str, Dial] = types.MappingProxyType(
    {
        "latents": Dial(4, 1, 64),  # dimensions of the linear decoder's code
        "logit_sd": Dial(4.0, 0.1, 20.0),  # of every pixel's logit, over images
        **_COMMON,
    }
)


def textures(arguments: str, options: Options) -> Content:
    """Random textures: a Gaussian field of power-law spectrum, its grey levels mapped.

    A share `binary` of the pixels, in patches of the same spectrum, is 0 or 255; the
    others are Beta(grey_a, grey_b) on 1 to 254, so the share can be counted.
    """
    from scipy.special import betaincinv, ndtr

    dials = read_dials("textures", arguments, TEXTURE_DIALS)
    # RandomState, not Generator: its stream is frozen (NEP 19).
    random = np.random.RandomState(int(dials["seed"]))
    shape = _shape(dials, options)
    level, place = (_field(random, shape, float(dials["spectrum"])) for _ in range(2))
    share = float(dials["binary"])
    binary = ndtr(place) < share if share < 1 else np.ones(shape, bool)
    uniform = ndtr(level)
    grey = betaincinv(float(dials["grey_a"]), float(dials["grey_b"]), uniform)
    images = np.where(binary, np.where(uniform > 0.5, 255, 0), np.rint(1 + 253 * grey))
    return _content(dials, images.astype(np.uint8), {"binary_share": binary.mean()})


def linear_decoder(arguments: str, options: Options) -> Content:
    """Clean images that a linear decoder with a sigmoid can draw exactly.

    sigmoid(W u), u standard normal with `latents` entries; the rows of W are random
    directions of length `logit_sd`, so every pixel's logit has that standard deviation.
    """
    dials = read_dials("linear_decoder", arguments, DECODER_DIALS)
    random = np.random.RandomState(int(dials["seed"]))
    shape = _shape(dials, options)
    latents = int(dials["latents"])
    weights = random.standard_normal((latents, int(np.prod(shape[1:]))))
    weights *= float(dials["logit_sd"]) / np.linalg.norm(weights, axis=0)
    codes = random.standard_normal((shape[0], latents))
    logits = codes @ weights
    images = np.rint(255 / (1 + np.exp(-logits))).astype(np.uint8).reshape(shape)
    return _content(dials, images, {"measured_logit_sd": logits.std()})


def _shape(dials: Mapping[str, object], options: Options) -> tuple[int, int, int, int]:
    size = options.image_size or 8
    return int(str(dials["count"])), size, size, options.channels or 1


def _field(
    random: np.random.RandomState, shape: tuple[int, ...], exponent: float
) -> np.ndarray:
    """Gaussian fields, zero mean and unit variance at every pixel."""
    _, height, width, _ = shape
    frequency = np.hypot(
        np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    )
    frequency[0, 0] = min(1 / height, 1 / width)  # the mean is as strong as the lowest
    gain = frequency ** (-exponent / 2)
    white = np.fft.rfft2(random.standard_normal(shape), axes=(1, 2))
    field = np.fft.irfft2(white * gain[..., None], s=(height, width), axes=(1, 2))
    # Every pixel of the periodic field has this variance, by Parseval.
    full = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    full[0, 0] = frequency[0, 0]
    return field / np.sqrt(np.mean(full**-exponent))


def _content(
    dials: Mapping[str, float | int | str],
    images: np.ndarray,
    measured: Mapping[str, float],
) -> Content:
    law = str(dials["noise"])
    exponent = float(dials["exponent"]) if law == "variance" else 0.0
    noise = None if law == "none" else Noise(law, float(dials["scale"]), exponent)
    held = len(images) // 6
    parts = np.split(images, [held, 2 * held])
    splits = zip(("test", "validation", "train"), map(Split, parts), strict=True)
    truth = {**dials, **{key: float(value) for key, value in measured.items()}}
    return Content(three_splits(dict(splits)), truth=truth, noise=noise)
