"""The programs: configs, data, sweeps, stored results, statistics, reports."""

import os
import signal
import sys


def _stop(number: int, _: object) -> None:
    os.write(2, b"\nlossjax: stopped; nothing had begun\n")
    os._exit(75)


# `python -m experiments.VERB` is starting, and imports take seconds: a Ctrl-C in them
# is one line, not a traceback. `experiments.commandline` takes over from here.
if sys.argv[:1] == ["-m"]:
    for _number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(_number, _stop)
