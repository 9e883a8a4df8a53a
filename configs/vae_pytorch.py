"""The VAE of PyTorch's examples, 784-400-20: is its test loss ours?

The longer grid of the study `vae_pytorch`, to look at its report.

Command: ./run.sh sweep --config=configs/vae_pytorch.py --config.datasets=idx:DIR
         ./run.sh reproduce vae_pytorch --data=mnist=idx:DIR
Device and time: 2 CPU cores, about 3 minutes.
Data: MNIST, 55,000 / 5,000 / 10,000 images of 28x28.
Expected: a test elbo of -105.6 +- 1 nats per image (published: 105.59).
"""

from ml_collections import ConfigDict

from experiments import vae_pytorch
from lossjax.suite.config import sweep


def get_config() -> ConfigDict:
    return sweep(**vars(vae_pytorch.grids(quick=False)["epoch 10"]))
