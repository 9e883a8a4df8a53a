"""Is it the loss, or its pairing with the sigmoid? One condition of the loss surgery.

bce and mse with every part of mse's gradient taken away or given: saturation, weighting
of pixels, scale; mse with the sigmoid's derivative taken as 1; losses on a linear
output. The argument names one of the 16 conditions of the study `surgery`: optimiser,
how the last layer starts, and whether every arm has its own best rate. All of them, and
the shares: ./run.sh reproduce surgery

Command: ./run.sh sweep --config=configs/surgery.py:adam-white-tuned
Device and time: 2 CPU cores, about one minute.
Data: 1,797 real 8x8 scans of digits that come with scikit-learn; no download.
Expected: `mse` ends at 4.6 times the test mse of `bce`, `mse[straight_through]` at 1.00
times and `mse_linear` at 0.67 times.
"""

import dataclasses

from ml_collections import ConfigDict

from experiments import surgery
from lossjax.suite.cli.errors import unknown
from lossjax.suite.config import sweep


def get_config(condition: str = "adam-white-tuned") -> ConfigDict:
    conditions = {
        name.replace(", ", "-").replace(" ", ""): planned
        for name, planned in surgery.grids(quick=False).items()
    }
    if condition not in conditions:
        raise unknown("condition of configs/surgery.py", condition, conditions)
    planned = conditions[condition]
    names = [field.name for field in dataclasses.fields(planned)]
    return sweep(**{name: getattr(planned, name) for name in names})
