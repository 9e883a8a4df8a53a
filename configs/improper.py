"""bce, focal and GCE on the digits: what a loss costs that moves grey levels.

The sweep of the study `improper`.

Command: ./run.sh sweep --config=configs/improper.py
         ./run.sh reproduce improper
Device and time: 2 CPU cores, about 10 seconds.
Data: 1,797 real 8x8 scans of digits that come with scikit-learn; no download.
"""

from ml_collections import ConfigDict

from lossjax.suite.config import Sweep
from lossjax.suite.reproduce.configs import one_of


def get_config(name: str = "digits") -> ConfigDict:
    return one_of(sweeps(), name)


def sweeps(size: str = "usual") -> dict[str, Sweep]:
    """Three losses on the digits."""
    quick = size == "quick"
    return {
        "digits": Sweep(
            losses=("bce", "focal", "gce"),
            learning_rates=(1e-3, 3e-3, 1e-2),
            seeds=tuple(range(3 if quick else 10)),
            train_steps=40 if quick else 200,
            curve_points=1,
            primary_metric="mse",
        )
    }
