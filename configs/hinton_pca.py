"""A code of 30 numbers for MNIST: linear with three losses, and a deep autoencoder.

The two sweeps of the study `hinton_pca`, `linear` (the default) and `deep`.

Command: ./run.sh sweep --config=configs/hinton_pca.py --config.datasets=idx:DIR
         ./run.sh reproduce hinton_pca --data=mnist=idx:DIR (both, beside PCA)
Device and time: 2 CPU cores, about 15 minutes for both; --full about 60.
Data: MNIST, 55,000 / 5,000 / 10,000 images of 28x28.
"""

import dataclasses
from typing import Any

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

CODE = 30


def get_config(name: str = "linear") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """The linear bottlenecks, and the deep autoencoder; in full for 200 epochs."""
    linear = Sweep(
        datasets=("mnist",),
        models=("linear_ae",),
        losses=("bce", "mse", "mse_linear"),
        latent_dim=CODE,
        batch_size=256,
        train_steps=3000,
        learning_rates=(3e-3, 1e-2),
        seeds=(0, 1),
        primary_metric="mse",
    )
    deep = dataclasses.replace(
        linear,
        models=("mlp_ae",),
        hidden=(1000, 500, 250),
        losses=("bce",),
        batch_size=128,
        train_steps=50 * 430,
        learning_rates=(1e-3,),
    )
    small: dict[str, Any] = {}
    if size == "quick":
        small = {"train_steps": 20, "batch_size": 64}
    if size == "full":
        deep = dataclasses.replace(deep, train_steps=200 * 430)
    return {
        "linear": dataclasses.replace(linear, **small),
        "deep": dataclasses.replace(deep, **small),
    }
