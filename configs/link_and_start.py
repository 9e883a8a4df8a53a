"""bce, mse behind a sigmoid and mse on a linear output, from good and bad starts.

The five sweeps of the study `link_and_start`, one for each start of the last layer.

Command: ./run.sh sweep --config=configs/link_and_start.py:white-logit8
         ./run.sh reproduce link_and_start (all five)
Device and time: 2 CPU cores, about 2 minutes for all five.
Data: 1,797 real 8x8 scans of digits that come with scikit-learn; no download.
"""

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of

LOSSES = ("bce", "mse", "mse_linear")
USUAL = "head x 1"
STARTS: dict[str, dict[str, float]] = {
    USUAL: {},
    "head x 3": {"head_scale": 3.0},
    "head x 10": {"head_scale": 10.0},
    "white, logit 4": {"start_logit": 4.0},
    "white, logit 8": {"start_logit": 8.0},
}
BAD = ("head x 10", "white, logit 8")


def get_config(name: str = "white-logit8") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """One for each start."""
    quick = size == "quick"
    return {
        start: Sweep(
            datasets=("digits",),
            models=("conv_ae",),
            losses=LOSSES,
            learning_rates=(1e-3, 3e-3, 1e-2, 3e-2),
            seeds=tuple(range(2 if quick else 10)),
            train_steps=20 if quick else 400,
            batch_size=64,
            latent_dim=8,
            width=(4, 4) if quick else (16, 32),
            primary_metric="mse",
            **own,  # type: ignore[arg-type]
        )
        for start, own in STARTS.items()
        if not quick or start in (USUAL, BAD[1])
    }
