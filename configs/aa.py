"""One loss against itself, in four arms that differ in their seeds only.

The 13 sweeps of the study `aa`: three grids of rates, each for four blocks of seeds,
and losses that are one loss under two names.

Command: ./run.sh sweep --config=configs/aa.py:onerate-block0
         ./run.sh reproduce aa (all of them)
Device and time: 2 CPU cores, about a minute; the study 14 minutes.
Data: made as it is needed, 200 sets of 900 images of 8x8.
"""

from typing import Any

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

TRIALS, QUICK = 200, 4
BLOCKS = 4
TWINS = "twins"
RATES: dict[str, tuple[float, ...]] = {
    "one rate": (3e-2,),
    "factor 3": (1e-2, 3e-2, 1e-1),
    "factor 10": (1e-3, 1e-2, 1e-1),
}
_FIXED: dict[str, Any] = {
    "models": ("linear_ae",),
    "train_steps": 100,
    "batch_size": 64,
    "latent_dim": 4,
    "curve_points": 1,
    "primary_metric": "mse",
}


def get_config(name: str = "onerate-block0") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One for each grid of rates and block of seeds, then that of the twins."""
    trials = QUICK if size == "quick" else TRIALS
    found = {}
    for place, (name, rates) in enumerate(RATES.items()):
        datasets = tuple(
            f"linear_decoder(latents=4, logit_sd=4.0, count=900, "
            f"noise='bernoulli', seed={1000 * (1 + place) + trial})"
            for trial in range(trials)
        )
        for block in range(BLOCKS):
            found[f"{name}, block {block}"] = Sweep(
                datasets=datasets,
                losses=("bce",),
                learning_rates=rates,
                seeds=tuple(range(10 * block, 10 * block + 10)),
                **_FIXED,
            )
    found[TWINS] = Sweep(
        datasets=tuple(
            f"linear_decoder(latents=4, logit_sd=4.0, count=900, seed={trial})"
            for trial in range(trials // 10 or 1)
        ),
        losses=("mse", "huber(delta=1)", "huber(delta=2)"),
        learning_rates=RATES["factor 3"],
        **_FIXED,
    )
    return found
