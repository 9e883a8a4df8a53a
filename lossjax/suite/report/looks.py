"""How each loss is drawn: one colour, marker and line style in every report ever.

The losses of `lossjax.LOSSES` by a table, so that those often compared differ most; any
other, with arguments or of a user's own file, by its name alone. So a picture of one
sweep can be laid beside that of another. Every colour stands out from white and dark
paper alike; marker and line say the same in print and to colour-blind readers.
"""

import colorsys
import functools
import hashlib
from collections.abc import Mapping
from typing import NamedTuple

_BLUE, _ORANGE, _GREEN, _PINK = "#0072b2", "#b86a00", "#00875f", "#c4609a"
_RED, _SKY, _PURPLE, _BROWN = "#cf3f3f", "#3a93cc", "#7a5fd0", "#8a6448"
_OLIVE, _TEAL, _GREY, _MAGENTA = "#7d8500", "#008b94", "#747b84", "#b04fc4"


class Look(NamedTuple):
    """As matplotlib names them."""

    colour: str
    marker: str
    line: str


_DOTS, _DASHES, _MIXED = ":", "--", "-."
LOOKS: Mapping[str, Look] = {
    "bce": Look(_BLUE, "o", "-"),
    "excess_bce": Look(_BLUE, "p", _DASHES),
    "mse": Look(_ORANGE, "s", "-"),
    "mae": Look(_GREEN, "^", "-"),
    "huber": Look(_PINK, "D", "-"),
    "log_cosh": Look(_RED, "v", _DASHES),
    "charbonnier": Look(_SKY, "P", _DASHES),
    "barron": Look(_GREY, "*", "-"),
    "power": Look(_PURPLE, "X", _DASHES),
    "brier": Look(_ORANGE, "p", _DOTS),
    "poisson": Look(_OLIVE, "d", "-"),
    "itakura_saito": Look(_TEAL, "d", _DASHES),
    "beta_divergence": Look(_RED, "d", _MIXED),
    "focal": Look(_SKY, "*", _MIXED),
    "gce": Look(_MAGENTA, "s", "-"),
    "mse_linear": Look(_BROWN, "*", _MIXED),
    "mae_linear": Look(_GREEN, ">", _MIXED),
    "huber_linear": Look(_PINK, "<", _MIXED),
    "gaussian": Look(_MAGENTA, "o", _DASHES),
    "gaussian_shared": Look(_MAGENTA, "D", _DOTS),
    "gaussian_optimal": Look(_MAGENTA, "^", _MIXED),
    "gaussian_pixel": Look(_MAGENTA, "v", "-"),
    "beta_nll": Look(_SKY, "X", _MIXED),
    "laplace_shared": Look(_GREEN, "P", _DOTS),
    "student_t": Look(_BROWN, "v", "-"),
    "continuous_bernoulli": Look(_TEAL, "h", _DOTS),
    "beta_density": Look(_TEAL, "X", "-"),
    "discretized_logistic": Look(_GREY, "s", _DASHES),
    "categorical": Look(_GREY, "X", _DOTS),
    "ssim": Look(_OLIVE, "<", _DOTS),
    "ms_ssim": Look(_OLIVE, ">", "-"),
    "ms_ssim_l1": Look(_OLIVE, "P", _DASHES),
}
_SHAPES = ("o", "s", "^", "D", "v", "P", "*", "X", "h", "<", ">", "p", "d")
_LINES = ("-", _DASHES, _MIXED, _DOTS)
_LUMINANCE = 0.2  # as far from white paper as from dark


@functools.cache
def look(loss: str) -> Look:
    """The look of a loss, whatever it is compared with."""
    name = loss.rpartition("/")[2]  # a file of the user's is the same in any folder
    if known := LOOKS.get(name):
        return known
    rest = int.from_bytes(hashlib.sha256(name.encode(errors="surrogatepass")).digest())
    rest, hue = divmod(rest, 360)
    rest, marker = divmod(rest, len(_SHAPES))
    return Look(_coloured(hue / 360), _SHAPES[marker], _LINES[rest % len(_LINES)])


def _coloured(hue: float) -> str:
    """A colour of this hue, as light as every other."""
    low, high = 0.0, 1.0
    for _ in range(12):
        middle = (low + high) / 2
        rgb = colorsys.hls_to_rgb(hue, middle, 0.65)
        low, high = (middle, high) if luminance(rgb) < _LUMINANCE else (low, middle)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def luminance(rgb: tuple[float, float, float]) -> float:
    """How light a colour is, from 0 to 1, as WCAG 2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
