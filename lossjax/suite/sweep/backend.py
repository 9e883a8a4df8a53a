"""Starts jax's backend for a sweep, and tests that it computes right numbers."""

import glob
import os
import re
from pathlib import Path
from typing import Any

from rich.console import Console

from lossjax import platform
from lossjax.suite.cli import environment
from lossjax.suite.cli.errors import SelfTestFailed, UserError, unknown
from lossjax.suite.config import Sweep

_PLATFORMS = ("cpu", "gpu", "cuda", "tpu")
_ACCELERATORS = {
    "gpu": ("/dev/nvidia[0-9]*",),
    "tpu": ("/dev/accel[0-9]*", "/dev/vfio/[0-9]*"),
}


def check(wanted: str | None) -> None:
    """UserError where --platform names none."""
    if wanted is not None and wanted not in _PLATFORMS:
        raise unknown("--platform", wanted, _PLATFORMS)


def devices(cpu_devices: int | None = None, wanted: str | None = None) -> list[Any]:
    """What jax computes on, its backend started.

    Args:
      cpu_devices: virtual CPU devices; None leaves their number to XLA_FLAGS.
      wanted: the platform; None leaves it to JAX_PLATFORMS, and else to jax.

    Raises:
      UserError: there is no such device, or XLA does not start with XLA_FLAGS.
      SelfTestFailed: jax has started before, and computes wrong numbers.
    """
    try:
        platform.prepare(cpu_devices)
    except ValueError as error:
        raise UserError(error) from None
    except platform.PlatformError as error:
        raise SelfTestFailed(error) from None
    import jax

    if wanted is not None:
        jax.config.update("jax_platforms", {"gpu": "cuda"}.get(wanted, wanted))
    try:
        return jax.devices()
    except (RuntimeError, AssertionError) as error:  # the latter for cuda
        asked = f"--platform={wanted}" if wanted else _asked()
        reason = next(iter(str(error).splitlines()), "jax found none")
        raise UserError(f"{asked}: no such device: {reason}") from None


def _asked() -> str:
    """The user's variable that says where to compute."""
    names = (name for name in environment.OBEYED if os.environ.get(name))
    return next((f"{name}={os.environ[name]}" for name in names), "jax")


def start(sweep: Sweep, wanted: str | None, console: Console) -> None:
    """Start jax's backend, name it, and test that it computes right numbers."""
    check(wanted)
    found = devices(min(len(os.sched_getaffinity(0)), sweep.at_once), wanted)
    import jax

    backend = jax.default_backend()
    present = [
        kind for kind, paths in _ACCELERATORS.items() for p in paths if glob.glob(p)
    ]
    if backend == "cpu" and wanted is None and present:
        raise UserError(
            f"this machine has a {present[0]} that jax does not use; install its lock "
            f"with LOSSJAX_DEVICE, or compute on the CPU with --platform=cpu"
        )
    cores = f" (one per core of a {_processor()})" if backend == "cpu" else ""
    console.print(
        f"{backend}: {len(found)} x {found[0].device_kind}{cores}, "
        f"jax {jax.__version__}",
    )
    try:
        platform.self_test()
    except platform.PlatformError as error:
        raise SelfTestFailed(error) from None


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "CPU"
    match = re.search(r"model name\s*:\s*(.+)", text)
    return match[1].strip() if match else "CPU"
