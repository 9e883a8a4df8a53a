"""Autoencoders of clothes, whose losses are then asked which images are clothes.

The sweep of the study `outliers`: three losses, three networks of each, one epoch.

Command: ./run.sh sweep --config=configs/outliers.py --config.datasets=idx:DIR
         ./run.sh reproduce outliers --data=fashion_mnist=idx:DIR --data=mnist=idx:DIR
Device and time: 2 CPU cores, about 3 minutes.
Data: Fashion-MNIST, 55,000 / 5,000 / 10,000 images of 28x28.
"""

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

EPOCH = 600  # batches of 100 in 60,000 images
LOSSES = ("bce", "continuous_bernoulli", "mse")


def get_config(name: str = "clothes") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One of all losses; a small one is of few steps, networks and images."""
    quick = size == "quick"
    return {
        "clothes": Sweep(
            datasets=("fashion_mnist",),
            models=("conv_ae",),
            losses=LOSSES,
            learning_rates=(3e-3,),
            seeds=(0, 1) if quick else (0, 1, 2),
            train_steps=10 if quick else EPOCH,
            batch_size=100,
            latent_dim=20,
            width=(16, 32),  # the source's: 32, 64
            max_examples=600 if quick else None,
            curve_points=1,
            primary_metric="mse",
        )
    }
