"""VAEs with the continuous Bernoulli law and with BCE at three contrasts of MNIST.

Three of the nine warps of the study `cb_warp`, binary, raw and flat, to look at in a
report.

Command: ./run.sh sweep --config=configs/cb_warp.py --config.datasets=idx:DIR
         ./run.sh reproduce cb_warp --data=mnist=idx:DIR (all nine)
Device and time: 2 CPU cores, about 5 minutes (the study's runs took 12 s each).
Data: MNIST, 10,000 / 909 / 1,818 images of 28x28.
Expected: at every warp the test elbo_cb of continuous_bernoulli above the elbo_cb_mean
          of bce, and that above its elbo_cb.
"""

from ml_collections import ConfigDict

from experiments import cb_warp
from lossjax.suite.config import sweep


def get_config() -> ConfigDict:
    grid = vars(cb_warp.grids(quick=False)["warp"])
    three = tuple(cb_warp.model(gamma) for gamma in (-0.5, 0.0, 0.3))
    return sweep(**{**grid, "models": three})
