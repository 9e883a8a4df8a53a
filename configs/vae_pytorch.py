"""The VAE of PyTorch's examples, 784-400-20: is its test loss ours?

The two sweeps of the study `vae_pytorch`, `epoch4` and `epoch10` (the default).

Command: ./run.sh sweep --config=configs/vae_pytorch.py --config.datasets=idx:DIR
         ./run.sh reproduce vae_pytorch --data=mnist=idx:DIR
Device and time: 2 CPU cores, about 5 minutes.
Data: MNIST, 55,000 / 5,000 / 10,000 images of 28x28.
Expected: a test elbo of -105.6 +- 1 nats per image (published: 105.59).
"""

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

EPOCH = 469  # batches of 128 in 60,000 images


def get_config(name: str = "epoch10") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One for each epoch that was logged."""
    quick = size == "quick"
    return {
        f"epoch {epochs}": Sweep(
            datasets=("mnist",),
            models=('vae(body="mlp")',),
            losses=("bce",),
            learning_rates=(1e-3,),
            seeds=(0,) if quick else (0, 1, 2, 3),
            train_steps=20 if quick else epochs * EPOCH,
            batch_size=128,
            latent_dim=20,
            hidden=(400,),
            schedule="constant",
            curve_points=1,
            primary_metric="bits_gaussian",
        )
        for epochs in (4, 10)
    }
