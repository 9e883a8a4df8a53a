"""Autoencoders of the Keras tutorial on MNIST: dense, deep and convolutional.

The three sweeps of the study `keras_blog`: `dense` (the default), `deep`, `conv`.

Command: ./run.sh sweep --config=configs/keras_blog.py --config.datasets=idx:DIR
         ./run.sh reproduce keras_blog --data=mnist=idx:DIR (all three)
Device and time: 2 CPU cores, half an hour for all three.
Data: MNIST, 55,000 / 5,000 / 10,000 images of 28x28.
"""

import dataclasses
from typing import Any

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

TRAINED = 55_000
EPOCHS = {"dense": 50, "deep": 100, "conv": 50}  # the tutorial's


def get_config(name: str = "dense") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One for each model of the tutorial that can be run, for all its epochs."""
    dense = Sweep(
        datasets=("mnist",),
        models=("linear_ae",),
        losses=("bce",),
        learning_rates=(3e-3, 1e-2),
        seeds=(0, 1, 2, 3),
        batch_size=256,
        latent_dim=32,
        primary_metric="bce",
    )
    deep = dataclasses.replace(
        dense, models=("mlp_ae",), hidden=(128, 64), learning_rates=(1e-3, 3e-3)
    )
    conv = Sweep(
        datasets=("mnist",),
        models=("conv_ae",),
        losses=("bce",),
        learning_rates=(3e-3,),
        seeds=(0, 1, 2, 3),
        batch_size=128,
        latent_dim=128,
        width=(16, 8, 8),
        primary_metric="bce",
    )
    small: dict[str, Any] = {}
    if size == "quick":
        small = {"seeds": (0, 1), "batch_size": 64}
    return {
        name: dataclasses.replace(own, train_steps=_steps(own, name, size), **small)
        for name, own in {"dense": dense, "deep": deep, "conv": conv}.items()
    }


def _steps(own: Sweep, name: str, size: str) -> int:
    if size == "quick":
        return 20
    return EPOCHS[name] * -(-TRAINED // own.batch_size)
