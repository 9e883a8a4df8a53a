"""Targets with noise of six laws: the loss that fits each, its foil, a rival.

The seven sweeps of the study `planted_noise`, `none` without noise among them.

Command: ./run.sh sweep --config=configs/planted_noise.py:laplace
         ./run.sh reproduce planted_noise (all seven)
Device and time: 2 CPU cores, about 10 minutes for all seven.
Data: made as it is needed, 40 sets of 900 images of 8x8 for each law.
"""

import dataclasses

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

TRIALS, QUICK = 40, 3


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


LAWS = {
    "gaussian": Law("gaussian", 0.3, ("mse", "bce", "mae")),
    "laplace": Law("laplace", 0.2, ("mae", "mse", "bce")),
    "bernoulli": Law("bernoulli", 0.1, ("bce", "mse", "mae")),
    # Two losses: drawing Poisson numbers costs ten times what the training does.
    "poisson": Law("poisson", 0.3, ("poisson", "mse")),
    "cauchy": Law("cauchy", 0.1414, ("barron(alpha=0)", "mse", "mae")),
    # With exponent 1 the variance is that of a coin, p (1 - p), and the law is not.
    "variance": Law("variance", 1.0, ("bce", "mse", "mae")),
}
CONTROL_TRIALS = 10  # it is shown beside them, and decides nothing
CONTROL = Law("none", 0.1, ("mse", "bce", "mae"))


def get_config(name: str = "gaussian") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One for each law, its trials the datasets; small ones train the pairs alone."""
    quick = size == "quick"
    return {
        name: Sweep(
            datasets=tuple(law.dataset(t) for t in range(QUICK if quick else count)),
            models=("linear_ae",),
            losses=law.losses[: 2 if quick else None],
            # Around the best rates, which are 0.03 and 0.1.
            learning_rates=(3e-2, 1e-1, 3e-1),
            seeds=tuple(range(10)),
            train_steps=200,
            batch_size=64,
            latent_dim=4,
            curve_points=1,
            primary_metric="mse",
        )
        for name, law, count in (
            *((name, law, TRIALS) for name, law in LAWS.items()),
            (CONTROL.noise, CONTROL, CONTROL_TRIALS),
        )
    }
