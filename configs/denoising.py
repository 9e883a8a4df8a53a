"""Does noise on the input change which reconstruction loss is best?

Four models that differ in the input alone: clean, with Gaussian noise, with a share of
the pixels black, with a share black or white. The target is the clean image, the noise
fresh at every step and the same for every loss.

Command: ./run.sh sweep --config=configs/denoising.py
Device and time: 2 CPU cores, about 3 minutes.
Data: 1,797 real 8x8 scans of digits that come with scikit-learn; no download.
"""

from ml_collections import ConfigDict

from lossjax.suite.config import sweep


def get_config() -> ConfigDict:
    return sweep(
        datasets=("digits",),
        models=(
            "conv_ae",
            'conv_ae(noise="gaussian")',
            'conv_ae(noise="masking")',
            'conv_ae(noise="salt_and_pepper")',
        ),
        losses=("bce", "mse", "mae", "ssim"),
        learning_rates=(3e-3, 1e-2, 3e-2),
        seeds=tuple(range(10)),
        train_steps=1000,
        batch_size=64,
        latent_dim=8,
        width=(16, 32),
    )
