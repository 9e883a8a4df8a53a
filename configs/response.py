"""BCE or MSE? Every metric against the knob between them, g of power(g).

power(g) has the gradient (p - y) [p (1 - p)]^g in the logit: g = 0 is BCE up to its
floor, g = 1 half the squared error behind a sigmoid. Each seed of each g chooses its
own learning rate; all 21 share one compiled program.

Command: ./run.sh sweep --config=configs/response.py
Device and time: 2 CPU cores, about 7 minutes.
Data: 1,797 real 8x8 scans of digits that come with scikit-learn; no download.
"""

from ml_collections import ConfigDict

from lossjax.suite.config import sweep


def get_config() -> ConfigDict:
    return sweep(
        datasets=("digits",),
        models=("conv_ae",),
        losses=tuple(f"power(g={k / 8:g})" for k in range(-4, 17)),
        learning_rates=(1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
        seeds=tuple(range(10)),
        train_steps=1000,
        batch_size=64,
        latent_dim=8,
        width=(16, 32),
        primary_metric="mse",
    )
