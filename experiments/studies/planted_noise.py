"""Planted noise: does the comparison find the loss that fits the noise?

Question: where theory says which loss is best, does the harness say so too?

Protocol: every trial is a small set of images that a linear decoder with a sigmoid can
draw exactly (four latents, logits of standard deviation 4, 600 training images of 8x8).
The network sees the clean image; its target carries noise of one law, drawn once per
training image, never clipped. Test images are clean, and the judge is `mse` against
them. The matched loss is the law's likelihood up to constants (its quasi-likelihood for
the last law, whose variance is p (1 - p)): no estimating function has a smaller
asymptotic covariance, in every direction at once, so every error that is quadratic near
the truth would judge alike.

Conditions: a realizable model (linear_ae with as many latents as the decoder),
noise-limited (few images, much noise). Without noise the same model and images leave an
error of their own, from an encoder that cannot invert the sigmoid: that bias is the
same for every loss to 3 %, and rates are tuned on clean validation images.

Where this goes beyond its source: a third loss, so that the best set is one of three.
"""

import dataclasses
import types
from collections.abc import Mapping

from experiments.config import Sweep

TRIALS, QUICK = 100, 4
ROBUST = "barron(alpha=0)"


@dataclasses.dataclass(frozen=True)
class Law:
    """A noise law and its losses: the matched one, its foil, a further rival."""

    noise: str
    scale: float
    losses: tuple[str, ...]

    @property
    def matched(self) -> str:
        return self.losses[0]

    @property
    def foil(self) -> str:
        return self.losses[1]

    def dataset(self, trial: int) -> str:
        return (
            f"linear_decoder(latents=4, logit_sd=4.0, count=900, "
            f"noise={self.noise!r}, scale={self.scale}, seed={trial})"
        )


LAWS: Mapping[str, Law] = types.MappingProxyType(
    {
        "gaussian": Law("gaussian", 0.3, ("mse", "bce", "mae")),
        "laplace": Law("laplace", 0.2, ("mae", "mse", "bce")),
        "bernoulli": Law("bernoulli", 0.1, ("bce", "mse", "mae")),
        # Two losses: drawing Poisson numbers costs ten times what the training does.
        "poisson": Law("poisson", 0.3, ("poisson", "mse")),
        "cauchy": Law("cauchy", 0.1414, (ROBUST, "mse", "mae")),
        # With exponent 1 the variance is that of a coin, p (1 - p), and the law is not.
        "variance": Law("variance", 1.0, ("bce", "mse", "mae")),
    }
)


def grids(quick: bool) -> dict[str, Sweep]:
    """One sweep a law, its trials the datasets."""
    return {
        name: Sweep(
            datasets=tuple(law.dataset(t) for t in range(QUICK if quick else TRIALS)),
            models=("linear_ae",),
            losses=law.losses,
            learning_rates=(1e-2, 3e-2, 1e-1),
            tuning_seeds=(1000, 1001),
            seeds=tuple(range(10)),
            train_steps=200,
            batch_size=64,
            latent_dim=4,
            curve_points=1,
            primary_metric="mse",
        )
        for name, law in LAWS.items()
    }
