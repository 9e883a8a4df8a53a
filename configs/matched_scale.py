"""BCE and MSE VAEs look different: how much of that is only the noise scale?

The grids of the study `matched_scale`, to look at their reports: `sum` (the default)
adds the loss up over pixels, `mean` averages it, which is beta = 784.

Command: ./run.sh sweep --config=configs/matched_scale.py --config.datasets=idx:DIR
         ./run.sh sweep --config=configs/matched_scale.py:mean
         ./run.sh reproduce matched_scale --data=mnist=idx:DIR
Device and time: 2 CPU cores, about 11 minutes.
Data: MNIST, cut to 14,000 images of 28x28.
Expected: KL 15.1 nats with bce, 8.6 with mse; a Gaussian of sigma 0.41 has bce's KL and
99 % of the difference in squared error gone. With a mean over pixels KL is 0.
"""

from ml_collections import ConfigDict

from experiments import matched_scale
from lossjax.suite.config import sweep


def get_config(part: str = "sum") -> ConfigDict:
    return sweep(**vars(matched_scale.grids(quick=False)[part]))
