"""BCE and MSE VAEs look different: how much of that is only the noise scale?

The two sweeps of the study `matched_scale`: `sum` (the default) adds the loss up over
pixels, `mean` averages it, which is beta = 784.

Command: ./run.sh sweep --config=configs/matched_scale.py --config.datasets=idx:DIR
         ./run.sh sweep --config=configs/matched_scale.py:mean
         ./run.sh reproduce matched_scale --data=mnist=idx:DIR
Device and time: 2 CPU cores, about 9 minutes.
Data: MNIST, cut to 14,000 images of 28x28.
"""

import dataclasses

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

# Where a Gaussian's code costs what bce's does; by interpolation, in earlier runs.
MATCHED = 0.408
SIGMAS = (0.3, MATCHED, 0.55)
OTHERS = ("bce", "mse", "gaussian_shared", "continuous_bernoulli")
LATENTS, STEPS, IMAGES, SEEDS = 8, 800, 14_000, 4
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
        # 0.003 and less were worse for every loss in earlier runs.
        learning_rates=(1e-2, 3e-2),
        seeds=tuple(range(2 if quick else SEEDS)),
        train_steps=10 if quick else STEPS,
        batch_size=128,
        latent_dim=LATENTS,
        hidden=(128,),
        max_examples=600 if quick else IMAGES,
        curve_points=1,
        primary_metric="bits_gaussian",
    )
    return {
        "sum": whole,
        "mean": dataclasses.replace(
            whole, models=(MEAN,), losses=OTHERS[:2], learning_rates=(1e-2,)
        ),
    }


def gaussian(sigma: float) -> str:
    """The loss's canonical name."""
    return f"gaussian(sigma={sigma:g})"
