"""Which reconstruction loss on which kind of images: twelve losses, eight sets.

The sweeps of the study `atlas`, one for each set, then some at other budgets, for
another network and for other codes. g of power(g) runs from -0.25 to 1.5 among the
losses: bce is g = 0, mse g = 1.

Command: ./run.sh sweep --config=configs/atlas.py:digits
         ./run.sh reproduce atlas (all that are here; a set is prepared once with
         ./run.sh data prepare SET, or lies in a folder: --data=SET=idx:DIR)
Device and time: 2 CPU cores; digits about 5 minutes, the others up to an hour each.
Data: digits come with scikit-learn; the other sets as ./run.sh data list says.
"""

import dataclasses
from typing import Any

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

LOSSES = (
    "bce",
    "power(g=-0.25)",
    "power(g=0.25)",
    "power(g=0.5)",
    "power(g=0.75)",
    "mse",
    "power(g=1.5)",
    "mae",
    "log_cosh",
    "mse_linear",
    "ssim",
    "continuous_bernoulli",
)
FEW = ("bce", "mse", "mae", "ssim")
# Numbers in the code of each set's network.
SETS = {
    "digits": 8,
    "glyphs": 16,
    "mnist": 16,
    "fashion_mnist": 16,
    "animals": 16,
    "brain": 16,
    "clipart": 64,
    "photos": 64,
}
# Half and full: the schedule ends with the budget, so that each is a sweep of its own.
HALVED = ("digits", "mnist", "photos")
OTHERS = ("digits", "glyphs", "mnist")  # another network and other codes


def get_config(name: str = "digits") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One for each set, `SET-half`, `SET-mlp` and `SET-codes`; small ones: digits."""
    every = {name: _sweep(name, latent_dim=code) for name, code in SETS.items()}
    planned = dict(every)
    for name in HALVED:
        planned[f"{name}-half"] = dataclasses.replace(every[name], train_steps=500)
    for name in OTHERS:
        few = dataclasses.replace(every[name], losses=FEW)
        planned[f"{name}-mlp"] = dataclasses.replace(few, models=("mlp_ae",))
        codes = (SETS[name] // 4, SETS[name] * 4)
        planned[f"{name}-codes"] = dataclasses.replace(few, latent_dims=codes)
    if size != "quick":
        return planned
    return {
        name: dataclasses.replace(
            whole, losses=FEW, learning_rates=(1e-2,), seeds=(0, 1), train_steps=20
        )
        for name, whole in planned.items()
        if name.startswith("digits") and name != "digits-codes"
    }


def _sweep(dataset: str, **fields: Any) -> Sweep:
    return Sweep(
        datasets=(dataset,),
        models=("conv_ae",),
        losses=LOSSES,
        learning_rates=(1e-3, 3e-3, 1e-2, 3e-2),
        seeds=tuple(range(10)),
        train_steps=1000,
        batch_size=64,
        width=(16, 32),
        primary_metric="mse",
        **fields,
    )
