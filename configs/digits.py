"""Which reconstruction loss for small grey images, a quarter of whose pixels are black?

Command: ./run.sh sweep
Device and time: 2 CPU cores, about 3 minutes, compilation included.
Data: 1,797 real 8x8 scans of digits that come with scikit-learn; no download.
"""

from ml_collections import ConfigDict

from lossjax.suite.config import sweep


def get_config() -> ConfigDict:
    return sweep(
        datasets=("digits",),
        models=("conv_ae",),
        losses=(
            "bce",
            "mse",
            "mae",
            "huber",
            "log_cosh",
            "charbonnier",
            "mse_linear",
            "power(g=0.5)",
            "continuous_bernoulli",
            "ssim",
        ),
        learning_rates=(1e-3, 3e-3, 1e-2, 3e-2, 1e-1),
        seeds=tuple(range(10)),
        train_steps=1000,
        batch_size=64,
        latent_dim=8,
        width=(16, 32),
    )
