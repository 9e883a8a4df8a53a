"""One loss against itself: how often does the comparison see what is not there?

Question: of 200 comparisons of a loss with itself, how many show a difference?

Protocol: bce on 8x8 images with Bernoulli noise, in four arms that differ in their
seeds only. Each arm goes the whole way alone, its own tuning seeds choosing its rate
from one of three grids of rates; then the ranking of a sweep compares arms by final
seed, with margin 0. At a level of 5 % at most 18 of 200 comparisons may differ (the
99 % binomial limit). Two counts are taken: the first two arms against each other, and
how often a given arm is left out of the best set of all four, which is what a best set
promises. The same rows are then counted with one-sided p-values and without Holm's
correction: that harness must break the limit.

Beside it, losses that are one loss under two names: huber with delta 1 and 2, on
residuals below 1, must come out bitwise equal and be called identical; mse is twice
huber(delta=1), so its mean differs by 0.1 % at most.
"""

import types
from collections.abc import Mapping

from experiments.config import Sweep

TRIALS, QUICK = 200, 6
BLOCKS = 4
TWINS = "twins"
RATES: Mapping[str, tuple[float, ...]] = types.MappingProxyType(
    {
        "one rate": (3e-2,),
        "factor 3": (1e-2, 3e-2, 1e-1),
        "factor 10": (1e-3, 1e-2, 1e-1),
    }
)


def grids(quick: bool) -> dict[str, Sweep]:
    """One sweep for each grid of rates and block of seeds, then that of the twins."""
    trials = QUICK if quick else TRIALS
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
                tuning_seeds=(1000 + 2 * block, 1001 + 2 * block),
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


_FIXED: dict = {
    "models": ("linear_ae",),
    "train_steps": 100,
    "batch_size": 64,
    "latent_dim": 4,
    "curve_points": 1,
    "primary_metric": "mse",
}
