"""What the advisor compares: for each purpose its metric and its losses, with reasons.

A short comparison has room for few losses. The order is that of preference: of losses
between which there is no difference that matters, the first is advised.
"""

import dataclasses
import math
import types
from collections.abc import Mapping, Sequence

from lossjax.suite.statistics import Interval, Ranking

# The g of power(g) that the study `atlas` trains; the pilot may point beyond them.
DIALS = (-0.25, 0.25, 0.5, 0.75, 1.5)


@dataclasses.dataclass(frozen=True)
class Purpose:
    """What reconstructions are for.

    Attributes:
      meaning: for a reader.
      metric: the primary metric, which judges.
      losses: what is compared, and why.
      safe: the loss to take where the comparison cannot decide, and why.
      dial: whether a pilot's residuals may add a power(g).
      model: what is trained.
    """

    meaning: str
    metric: str
    losses: Mapping[str, str]
    safe: tuple[str, str]
    dial: bool = True
    model: str = "conv_ae"


_MEAN = {
    "bce": "estimates the mean; its gradient does not vanish where the sigmoid is flat",
    "mse": "estimates the mean; it is squared error itself",
}
_SAFE = (
    "bce",
    "it estimates the mean as mse does, and a pixel that starts at the wrong end of "
    "the sigmoid does not stay there (study surgery)",
)
PURPOSES: Mapping[str, Purpose] = types.MappingProxyType(
    {
        "squared": Purpose("small squared error", "mse", _MEAN, _SAFE),
        "absolute": Purpose(
            "small absolute error",
            "mae",
            _MEAN | {"mae": "is absolute error itself, and estimates the median"},
            _SAFE,
        ),
        "looks": Purpose(
            "similar structure (SSIM)",
            "ssim",
            _MEAN | {"ssim": "is the metric itself", "mae": "gives sharper edges"},
            _SAFE,
        ),
        "codes": Purpose(
            "codes that tell the labels apart", "knn_accuracy", _MEAN, _SAFE
        ),
        "density": Purpose(
            "a variational autoencoder as a density of grey levels",
            "bits_gaussian",
            {
                "gaussian_shared": "learns its noise scale, which weighs pixels "
                "against the code",
                "bce": "the usual choice, at a noise scale of its own",
                "mse": "the other usual choice, at another scale",
                "continuous_bernoulli": "bce with the normaliser that it lacks",
            },
            (
                "gaussian_shared",
                "it learns the noise scale, which decides most of what bce and mse "
                "differ by in a variational autoencoder (study matched_scale)",
            ),
            dial=False,
            model="vae",
        ),
    }
)


def dialled(g: Interval) -> tuple[str, ...]:
    """The power(g) that a pilot adds to the comparison, the nearest of DIALS.

    None where bce or mse, which take part anyway, is as near, or nothing is known.
    """
    if not math.isfinite(g.center):
        return ()
    near = min((0.0, 1.0, *DIALS), key=lambda one: abs(one - g.center))
    return () if near in (0.0, 1.0) else (f"power(g={near:g})",)


def preferred(ranking: Ranking, losses: Sequence[str]) -> str:
    """The first of the losses that is best, or equivalent to the best; one must be."""
    alike = {s.loss for s in ranking.standings if s.word in ("best", "equivalent")}
    return next(loss for loss in losses if loss in alike)
