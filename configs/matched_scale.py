"""BCE and MSE VAEs look different: how much of that is only the noise scale?

The two sweeps of the study `matched_scale`: `sum` (the default) adds the loss up over
pixels, `mean` averages it, which is beta = 784.

Command: ./run.sh sweep --config=configs/matched_scale.py --config.datasets=idx:DIR
         ./run.sh sweep --config=configs/matched_scale.py:mean
         ./run.sh reproduce matched_scale --data=mnist=idx:DIR
Device and time: 2 CPU cores, about 11 minutes.
Data: MNIST, cut to 14,000 images of 28x28.
Expected: KL 15.1 nats with bce, 8.6 with mse; a Gaussian of sigma 0.41 has bce's KL and
99 % of the difference in squared error gone. With a mean over pixels KL is 0.
"""

import dataclasses

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

SIGMAS = (0.1, 0.15, 0.2, 0.3, 0.45, 0.7)
OTHERS = ("bce", "mse", "gaussian_shared", "gaussian_optimal", "continuous_bernoulli")
SUM, MEAN = 'vae(body="mlp")', 'vae(body="mlp", beta=784)'


def get_config(name: str = "sum") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """Sum and mean over pixels: the second is the first with beta = 784."""
    quick = size == "quick"
    whole = Sweep(
        datasets=("mnist",),
        models=(SUM,),
        losses=(*OTHERS, *(gaussian(sigma) for sigma in SIGMAS)),
        learning_rates=(1e-3, 3e-3),
        seeds=(0, 1) if quick else tuple(range(6)),
        train_steps=10 if quick else 800,
        batch_size=128,
        latent_dim=8,
        hidden=(128,),
        max_examples=600 if quick else 14_000,
        curve_points=1,
        primary_metric="bits_gaussian",
    )
    return {
        "sum": whole,
        "mean": dataclasses.replace(whole, models=(MEAN,), losses=OTHERS[:2]),
    }


def gaussian(sigma: float) -> str:
    """The loss's canonical name."""
    return f"gaussian(sigma={sigma:g})"
