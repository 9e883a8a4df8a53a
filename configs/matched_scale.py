"""BCE and MSE VAEs look different: how much of that is only the noise scale?

The grids of the study `matched_scale`, to look at their reports: `sum` (the default)
adds the loss up over pixels, `mean` averages it, which is beta = 784.

Command: ./run.sh sweep --config=configs/matched_scale.py --config.datasets=idx:DIR
         ./run.sh sweep --config=configs/matched_scale.py:mean
         ./run.sh reproduce matched_scale --data=mnist=idx:DIR
Device and time: MINUTES
Data: MNIST, cut to 14,000 images of 28x28.
Expected: HEADLINE
"""

from ml_collections import ConfigDict

from experiments.config import sweep
from experiments.studies import matched_scale


def get_config(part: str = "sum") -> ConfigDict:
    return sweep(**vars(matched_scale.grids(quick=False)[part]))
