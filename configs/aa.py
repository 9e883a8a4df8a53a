"""One loss against itself, in arms that differ in their seeds only.

The four sweeps of the study `aa`: a pool of seeds of one loss for each of three grids
of rates, of which arms are drawn, and losses that are one loss under two names.

Command: ./run.sh sweep --config=configs/aa.py:factor3
         ./run.sh reproduce aa (all of them)
Device and time: 2 CPU cores, about 2 minutes for all of them.
Data: made as it is needed, sets of 900 images of 8x8.
"""

from typing import Any

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

TRIALS = 1_000  # drawn from each pool
ARMS, SEEDS = 4, 10  # of a trial, and of an arm
POOL, QUICK = 2_000, 80  # seeds
DECIDES = "factor 3"  # the steps of every config of the suite
TWINS = "twins"
# Around the best rate, near 0.1, so that seeds differ in the rate that they choose.
RATES: dict[str, tuple[float, ...]] = {
    "one rate": (6e-2,),
    "factor 3": (2e-2, 6e-2, 1.8e-1),
    "factor 10": (3e-3, 3e-2, 3e-1),
}
_FIXED: dict[str, Any] = {
    "models": ("linear_ae",),
    "train_steps": 100,
    "batch_size": 64,
    "latent_dim": 4,
    "curve_points": 1,
    "primary_metric": "mse",
}


def get_config(name: str = "factor3") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One pool for each grid of rates, then the twins."""
    quick = size == "quick"
    pools = {
        name: Sweep(
            datasets=(
                "linear_decoder(latents=4, logit_sd=4.0, count=900, "
                f"noise='bernoulli', seed={1000 * (1 + place)})",
            ),
            losses=("bce",),
            learning_rates=rates,
            seeds=tuple(range(QUICK if quick else POOL)),
            **_FIXED,
        )
        for place, (name, rates) in enumerate(RATES.items())
    }
    twins = Sweep(
        datasets=tuple(
            f"linear_decoder(latents=4, logit_sd=4.0, count=900, seed={trial})"
            for trial in range(1 if quick else 20)
        ),
        losses=("mse", "huber(delta=1)", "huber(delta=2)"),
        learning_rates=RATES[DECIDES],
        **_FIXED,
    )
    return pools | {TWINS: twins}
