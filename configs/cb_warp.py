"""VAEs with the continuous Bernoulli law and with BCE, over the contrast of MNIST.

The grid of the study `cb_warp`, to look at its report.

Command: ./run.sh sweep --config=configs/cb_warp.py --config.datasets=idx:DIR
         ./run.sh reproduce cb_warp --data=mnist=idx:DIR
Device and time: 2 CPU cores, about 15 minutes.
Data: MNIST, 10,000 / 909 / 1,818 images of 28x28.
Expected: at every warp the test elbo_cb of continuous_bernoulli above the elbo_cb_mean
          of bce, and that above its elbo_cb.
"""

from ml_collections import ConfigDict

from experiments.config import sweep
from experiments.studies import cb_warp


def get_config() -> ConfigDict:
    return sweep(**vars(cb_warp.grids(quick=False)["warp"]))
