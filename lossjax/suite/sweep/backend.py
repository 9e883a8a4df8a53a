"""Starts jax's backend for a sweep, and tests that it computes right numbers."""

import os
import re
from pathlib import Path

from rich.console import Console

from lossjax import platform
from lossjax.suite.cli.errors import SelfTestFailed, UserError, unknown
from lossjax.suite.config import Sweep

_PLATFORMS = ("cpu", "gpu", "tpu")
# What only such a machine has. A guest's /dev/vfio may be any card, so that a TPU is
# known by its maker; in WSL2 there is no /dev/nvidia*.
_ACCELERATORS = {
    "gpu": ("dev/nvidia[0-9]*", "usr/lib/wsl/lib/libcuda.so*"),
    "tpu": ("dev/accel[0-9]*",),
}
_GOOGLE = "0x1ae0"
# A GPU shows a screen, too, and other processes compute there.
_SHARING = "XLA_PYTHON_CLIENT_PREALLOCATE"


def start(sweep: Sweep, wanted: str | None, console: Console) -> None:
    """Start jax's backend, name it, and test that it computes right numbers."""
    if wanted is not None and wanted not in _PLATFORMS:
        raise unknown("--platform", wanted, _PLATFORMS)
    os.environ.setdefault(_SHARING, "false")
    platform.prepare(cpu_devices=min(len(os.sched_getaffinity(0)), sweep.at_once))
    import jax

    if wanted is not None:
        jax.config.update("jax_platforms", {"gpu": "cuda"}.get(wanted, wanted))
    try:
        devices = jax.devices()
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"--platform={wanted}: no such device: {reason}") from None
    backend = jax.default_backend()
    present = accelerators()
    if backend == "cpu" and wanted is None and present:
        raise UserError(
            f"this machine has a {present[0]} that jax does not use; install its lock "
            f"with LOSSJAX_DEVICE, or compute on the CPU with --platform=cpu"
        )
    cores = f" (one per core of a {_processor()})" if backend == "cpu" else ""
    console.print(
        f"{backend}: {len(devices)} x {devices[0].device_kind}{cores}, "
        f"jax {jax.__version__}",
    )
    try:
        platform.self_test()
    except platform.PlatformError as error:
        raise SelfTestFailed(error) from None


def accelerators(root: Path = Path("/")) -> list[str]:
    """The kinds of accelerators that a machine has, whether jax can use them or not."""
    found = [
        kind
        for kind, paths in _ACCELERATORS.items()
        if any(any(root.glob(path)) for path in paths)
    ]
    cards = root.glob("sys/bus/pci/devices/*/vendor") if "tpu" not in found else ()
    if any(card.read_text().strip() == _GOOGLE for card in cards) and any(
        root.glob("dev/vfio/[0-9]*")
    ):
        found.append("tpu")
    return found


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "CPU"
    match = re.search(r"model name\s*:\s*(.+)", text)
    return match[1].strip() if match else "CPU"
