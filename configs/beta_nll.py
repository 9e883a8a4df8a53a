"""Does weighing the Gaussian likelihood by its own variance mend a VAE's pictures?

The sweep of the study `beta_nll`, which has 3 seeds; here are as many as can decide.

Command: ./run.sh sweep --config=configs/beta_nll.py --config.datasets=idx:DIR
         ./run.sh reproduce beta_nll --data=mnist=idx:DIR
Device and time: 2 CPU cores, about 4 minutes.
Data: MNIST, cut to 7,000 images of 28x28.
"""

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

UNIT, NLL, HALF, ONE = "gaussian", "gaussian_pixel", "beta_nll", "beta_nll(beta=1)"
LOSSES = (UNIT, NLL, HALF, ONE)
LATENTS, STEPS, IMAGES, SEEDS = 10, 300, 7_000, 3


def get_config(name: str = "mnist") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """The one sweep, and a small version of it."""
    quick = size == "quick"
    whole = Sweep(
        datasets=("mnist",),
        models=('vae(body="mlp")',),
        losses=LOSSES,
        learning_rates=(1e-2,) if quick else (3e-3, 1e-2, 3e-2),
        seeds=tuple(range(2 if quick else SEEDS)),
        train_steps=10 if quick else STEPS,
        batch_size=128,
        latent_dim=LATENTS,
        hidden=(128,),
        max_examples=600 if quick else IMAGES,
        curve_points=1,
        primary_metric="mse",
    )
    return {"mnist": whole}
