"""Which reconstruction loss for handwritten digits, four pixels of five exactly black?

Command: ./run.sh sweep --config=configs/mnist.py
         (prepared once with ./run.sh data prepare mnist, or from a folder of IDX files:
         ./run.sh sweep --config=configs/mnist.py --config.datasets=idx:DIR)
Device and time: 2 CPU cores, about 20 minutes.
Data: MNIST, 55,000 / 5,000 / 10,000 images of 28x28.
"""

from ml_collections import ConfigDict

from lossjax.suite.config import sweep


def get_config() -> ConfigDict:
    return sweep(
        datasets=("mnist",),
        models=("conv_ae",),
        losses=("bce", "mse", "mse_linear", "continuous_bernoulli"),
        learning_rates=(1e-3, 3e-3, 1e-2),
        seeds=tuple(range(10)),
        train_steps=300,
        batch_size=128,
        latent_dim=32,
        width=(32, 64),
    )
