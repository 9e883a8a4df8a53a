"""Which reconstruction loss on which kind of images: twelve losses, eight sets.

The sweeps of the study `atlas`, one for each set, then some at other budgets, for
another network and for other codes. g of power(g) runs from -0.25 to 1.5 among the
losses: bce is g = 0, mse g = 1.

Command: ./run.sh sweep --config=configs/atlas.py:digits
         ./run.sh reproduce atlas (all that are here; a set is prepared once with
         ./run.sh data prepare SET, or lies in a folder: --data=SET=idx:DIR)
Device and time: 2 CPU cores; digits 5 minutes, grey sets up to 25, colour an hour.
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
# Channels of the network: what two cores can train of images of 28 x 28 and up.
WIDE, NARROW = (16, 32), (8, 16)
# A factor of about 3 apart. Where an hour of two cores is at stake, only those that any
# seed of any loss chose on digits and glyphs: none chose the smallest. On two such
# sets a third of the seeds of nearly every loss chose the smallest of three: there are
# four.
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
FOUR = ("digits", "glyphs", "clipart", "photos")
STEPS = 1000
FEWER = {"clipart": 500}  # what two cores had time for
# Half and full: the schedule ends with the budget, so that each is a sweep of its own.
# Of photos, whose half alone would take 20 minutes, the four usual losses.
HALVED = {"digits": LOSSES, "mnist": LOSSES, "photos": FEW}
OTHERS = ("digits", "glyphs", "mnist")  # another network and other codes
# Made sets: a share of pixels that are black or white, and the deviation of the noise
# on training targets. Three members of power(g), as many seeds as can decide and one.
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
NOISES = (0.0, 0.05, 0.15, 0.3)
MADE = {
    (share, noise): f"textures(binary={share}"
    + (f", noise='gaussian', scale={noise})" if noise else ")")
    for noise in NOISES
    for share in SHARES
}
THREE = ("bce", "power(g=0.5)", "mse")
# Targets of variance scale^2 s^a, on which a pilot's a is known; scales as in
# planted_variance, where a is 0 and 1, and between them.
PLANTED = {
    a: f"linear_decoder(count=900, noise='variance', scale={scale}, exponent={a})"
    for a, scale in ((0.0, 0.3), (0.25, 0.4), (0.5, 0.55), (0.75, 0.74), (1.0, 1.0))
}


def get_config(name: str = "digits") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One for each set, `SET-half`, `SET-mlp`, `SET-codes`, `made` and `planted`.

    Small ones: digits, and two made sets of each kind.
    """
    every = {
        name: _sweep(
            name,
            latent_dim=code,
            width=WIDE if name == "digits" else NARROW,
            learning_rates=RATES if name in FOUR else RATES[1:],
            train_steps=FEWER.get(name, STEPS),
        )
        for name, code in SETS.items()
    }
    planned = dict(every)
    for name, losses in HALVED.items():
        half = dataclasses.replace(every[name], train_steps=STEPS // 2, losses=losses)
        planned[f"{name}-half"] = half
    for name in OTHERS:
        few = dataclasses.replace(every[name], losses=FEW)
        planned[f"{name}-mlp"] = dataclasses.replace(few, models=("mlp_ae",))
        codes = (SETS[name] // 4, SETS[name] * 4)
        planned[f"{name}-codes"] = dataclasses.replace(few, latent_dims=codes)
    planned["made"] = dataclasses.replace(
        _sweep(*MADE.values(), latent_dim=8, width=NARROW, learning_rates=RATES[1:]),
        losses=THREE,
        seeds=tuple(range(8)),
    )
    planned["planted"] = dataclasses.replace(
        _sweep(*PLANTED.values(), latent_dim=4, width=WIDE),
        models=("linear_ae",),
        losses=("bce",),
        seeds=(0,),
    )
    if size != "quick":
        return planned
    small = ("digits", "digits-half", "digits-mlp", "made", "planted")
    return {
        name: dataclasses.replace(
            planned[name],
            datasets=planned[name].datasets[-2:],
            losses=planned[name].losses[:1] if name == "planted" else FEW,
            learning_rates=(1e-2,),
            seeds=(0, 1),
            train_steps=20,
        )
        for name in small
    }


def _sweep(
    *datasets: str,
    learning_rates: tuple[float, ...] = RATES,
    train_steps: int = STEPS,
    **fields: Any,
) -> Sweep:
    return Sweep(
        datasets=datasets,
        models=("conv_ae",),
        losses=LOSSES,
        learning_rates=learning_rates,
        seeds=tuple(range(10)),
        train_steps=train_steps,
        batch_size=64,
        primary_metric="mse",
        **fields,
    )
