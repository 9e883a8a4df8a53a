"""The programs: configs, data, sweeps, stored results, statistics, reports."""

import sys

# So Python has it while it looks for the module of `python -m lossjax.suite...`, before
# that module imports jax or matplotlib.
if sys.argv[:1] == ["-m"]:
    from lossjax.suite.cli.environment import settle

    settle()
