"""Linear VAEs of the digits at eight scales of observation noise.

The sweep of the study `linear_vae`. A summed squared error plus beta times KL is a
Gaussian decoder of variance beta / 2, in nats.

Command: ./run.sh sweep --config=configs/linear_vae.py
         ./run.sh reproduce linear_vae (beside the exact optimum)
Device and time: 2 CPU cores, about 5 minutes.
Data: the digits, 64 pixels.
"""

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

CODES = 32
VARIANCES = (0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 1.0)


def get_config(name: str = "noise") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One of all variances."""
    quick = size == "quick"
    return {
        "noise": Sweep(
            datasets=("digits",),
            models=tuple(map(model, VARIANCES)),
            losses=("mse_linear",),
            learning_rates=(3e-3, 1e-2),
            seeds=(0, 1) if quick else (0, 1, 2, 3),
            train_steps=20 if quick else 10_000,
            batch_size=128,
            latent_dim=CODES,
            curve_points=1,
            primary_metric="bits_gaussian",
        )
    }


def model(variance: float) -> str:
    """The VAE whose decoder has that variance."""
    return f'vae(body="linear", beta={2 * variance:g})'
