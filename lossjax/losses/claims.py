"""What a row claims of its loss, as expressions that are printed and evaluated.

A claim is text in a small expression language, so that the card which shows it and the
certificate which checks it read the same characters. Names: z raw, y target, p the
sigmoid of z, q = 1 - p, s = p q, r the residual p - y, the row's hyperparameters (gce's
own q is written q_), scale for a trained one, and the functions in FUNCTIONS. Claims
hold for every value that the hyperparameters may take.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy import special

from lossjax.losses import expressions

MEAN, MEDIAN, LOCATION = "mean", "median", "robust location"
RAISED_MEAN = "mean of targets, the darkest raised to 1/510"
WHOLE_LAW = "chance of every grey level; its mean is shown"
REDESCENDING, MIDRANGE, NONE = "redescending location", "midrange-like location", "none"
SOFTENED, SHARPENED = "none: softens greys", "none: sharpens greys"
EVERYWHERE = "every z and y in [0, 1]"


@dataclasses.dataclass(frozen=True)
class Claims:
    """Claims of a row at a fixed target and of what it elicits from random targets.

    Attributes:
      gradient: dL/dz of one pixel; empty where several blocks or pixels take part.
      floor: infimum over raw at a target.
      elicits: functional of the target's law at the minimum of the expected loss, or
        `one if condition, else another`. Locations are M-estimates. The robust one
        weighs large residuals less than the mean does, and is often between median and
        mean; of the redescending one the largest residuals pull less than others; the
        midrange-like one weighs large residuals more than the mean does.
      minimiser: read-out at the minimum for a fixed target; empty if not closed form,
        nan where every read-out is one.
      curvature: second derivative in z at the minimum; empty at a kink.
      saturation: k in abs(dL/dz) ~ exp(-k z) at y = 0, z to infinity; empty where the
        gradient does not saturate exponentially because the output is linear.
      convex: whether the loss is convex in z for every target; empty where one z does
        not describe the loss.
      domain: where the exact value and gradient fit float32.
      use: when to use it, in a sentence or two.
    """

    gradient: str
    floor: str
    elicits: str
    minimiser: str
    curvature: str
    saturation: str
    convex: str
    domain: str
    use: str

    @property
    def silent(self) -> bool:
        """Whether nothing is claimed that could be checked."""
        return not (self.gradient or self.floor or self.elicits or self.minimiser)


# Of a loss that says nothing of itself: the user's own.
UNSTATED = Claims(
    gradient="",
    floor="",
    elicits="",
    minimiser="",
    curvature="",
    saturation="",
    convex="",
    domain="not stated",
    use="",
)


def evaluate(expression: str, names: Mapping[str, Any]) -> Any:
    """Value of a claim in float64 numpy."""
    with np.errstate(all="ignore"):
        return expressions.value(expression, {**FUNCTIONS, **names})


def functional(elicits: str, names: Mapping[str, Any]) -> str:
    """The one of `one if condition, else another` that applies."""
    for case in elicits.split(", else "):
        word, _, condition = case.partition(" if ")
        if not condition or evaluate(condition, names):
            return word
    raise ValueError(f"no case of {elicits!r} applies")


def readable(expression: str, names: Mapping[str, Any]) -> bool:
    """Whether text is an expression in these names, and not prose."""
    try:
        return expressions.names(expression) <= {*FUNCTIONS, *names}
    except SyntaxError:
        return False


def own_names(hyper: Mapping[str, Any], scalars: Mapping[str, Any]) -> dict[str, float]:
    """A row's own names with their values."""
    names = {"q_" if name == "q" else name: float(v) for name, v in hyper.items()}
    for value in scalars.values():
        # Trained scales are kept softly above half a grey level.
        names["scale"] = float(np.exp(np.logaddexp(0, value + np.log(510))) / 510)
    return names


def pixel_names(z: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """z, y and what the sigmoid makes of them, float64."""
    z, y = np.broadcast_arrays(np.asarray(z, np.float64), np.asarray(y, np.float64))
    p, q = special.expit(z), special.expit(-z)
    r = np.where(y > 0.5, (1 - y) - q, p - y)
    return {"z": z, "y": y, "p": p, "q": q, "s": p * q, "r": r}


def entropy(y: np.ndarray) -> np.ndarray:
    """Binary entropy in nats."""
    return special.entr(y) + special.entr(1 - y)


def langevin(z: np.ndarray) -> np.ndarray:
    """Mean of the continuous Bernoulli law with logit z."""
    z = np.asarray(z, np.float64)
    small = np.abs(z) < 1e-2
    a = np.where(small, 1.0, z)
    series = 0.5 + z / 12 - z**3 / 720 + z**5 / 30240
    with np.errstate(over="ignore"):
        return np.where(small, series, -1 / np.expm1(-a) - 1 / a)


def langevin_slope(z: np.ndarray) -> np.ndarray:
    """Variance of the continuous Bernoulli law with logit z."""
    z = np.asarray(z, np.float64)
    small = np.abs(z) < 1e-2
    a = np.where(small, 1.0, np.abs(z))
    far = 1 / a**2 - np.exp(-a) / np.expm1(-a) ** 2
    return np.where(small, 1 / 12 - z**2 / 240 + z**4 / 6048, far)


def langevin_inverse(y: np.ndarray) -> np.ndarray:
    """Logit of the continuous Bernoulli law with mean y in (0, 1)."""
    y = np.asarray(y, np.float64)
    low, high = np.full_like(y, -1e9), np.full_like(y, 1e9)
    for _ in range(200):
        middle = np.sinh((np.arcsinh(low) + np.arcsinh(high)) / 2)
        below = langevin(middle) < y
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


FUNCTIONS: Mapping[str, Any] = MappingProxyType(
    {
        "abs": np.abs,
        "clip": np.clip,
        "exp": np.exp,
        "log": np.log,
        "log1p": np.log1p,
        "maximum": np.maximum,
        "minimum": np.minimum,
        "sign": np.sign,
        "sqrt": np.sqrt,
        "tanh": np.tanh,
        "where": np.where,
        "xlogy": special.xlogy,
        "H": entropy,
        "mu": langevin,
        "mu_slope": langevin_slope,
        "mu_inverse": langevin_inverse,
        "logit": special.logit,
        "sigmoid": special.expit,
        "softplus": lambda x: np.logaddexp(0, x),
        "lgamma": special.gammaln,
        "inf": math.inf,
        "nan": math.nan,
        "pi": math.pi,
    }
)
