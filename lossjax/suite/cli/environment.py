"""What the user's shell has no say in: numbers, figures, and how a program ends."""

import contextlib
import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

# Settings of JAX and Flax change numbers. Only where to compute is the user's to say.
_SETTINGS = ("JAX_", "FLAX_", "NNX_")
OBEYED = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME")
_SHOWN = "JAX_TRACEBACK_FILTERING"  # changes what is said of an error, and no number
_GONE = (errno.EPIPE, errno.EIO, errno.EBADF)
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def settle() -> None:
    """Call first of all, before jax or matplotlib is imported."""
    _settle_streams()
    for name in list(os.environ):
        if name.startswith(_SETTINGS) and name not in (*OBEYED, _SHOWN):
            del os.environ[name]
    # A notebook exports a backend that only its own environment has.
    os.environ.pop("MPLBACKEND", None)
    os.environ["MATPLOTLIBRC"] = os.devnull
    if os.path.lexists("matplotlibrc"):  # in the working directory, it comes first
        with contextlib.chdir(os.sep):
            import matplotlib  # noqa: F401


def _settle_streams() -> None:
    """Streams that are closed, or whose reader leaves, swallow what is written."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for number, name in enumerate(("stdout", "stderr"), start=1):
        old = getattr(sys, name)
        stream = io.TextIOWrapper(
            io.BufferedWriter(_Outlet(number, "w", closefd=False)),
            encoding=getattr(old, "encoding", None) or "utf-8",
            errors="backslashreplace",
            line_buffering=True,
        )
        setattr(sys, name, stream)


class _Outlet(io.FileIO):
    """A file whose reader may leave, `head` or a terminal: work goes on without."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data) or 0
        except OSError as error:
            if error.errno not in _GONE:
                raise
            return len(data)


def on_stops(handler: Callable[[int, Any], None]) -> None:
    """Call `handler` when told to stop; not at a hang-up that `nohup` has us ignore."""
    for number in STOPS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)
