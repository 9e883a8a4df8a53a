"""Starts jax's backend for a sweep, and tests that it computes right numbers."""

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
# What only such a machine has. A guest's /dev/vfio may be any card, so that a TPU is
# known by its maker; in WSL2 there is no /dev/nvidia*.
_ACCELERATORS = {
    "gpu": ("dev/nvidia[0-9]*", "usr/lib/wsl/lib/libcuda.so*"),
    "tpu": ("dev/accel[0-9]*",),
}
_GOOGLE = "0x1ae0"
# A GPU shows a screen, too, and other processes compute there.
_SHARING = "XLA_PYTHON_CLIENT_PREALLOCATE"


def check(wanted: str | None) -> None:
    """UserError where --platform names none."""
    if wanted is not None and wanted not in _PLATFORMS:
        raise unknown("--platform", wanted, _PLATFORMS)


def prepare(sweep: Sweep) -> None:
    """Before any code of the user's: what must be said before it starts jax."""
    _prepare(_cpu_devices(sweep), deterministic=sweep.deterministic)


def _cpu_devices(sweep: Sweep) -> int:
    return min(len(os.sched_getaffinity(0)), sweep.at_once)


def _prepare(cpu_devices: int | None, *, deterministic: bool = False) -> None:
    os.environ.setdefault(_SHARING, "false")
    try:
        platform.prepare(cpu_devices, deterministic=deterministic)
    except ValueError as error:
        raise UserError(error) from None
    except platform.PlatformError as error:
        raise SelfTestFailed(error) from None


def devices(cpu_devices: int | None = None, wanted: str | None = None) -> list[Any]:
    """What jax computes on, its backend started.

    Args:
      cpu_devices: virtual CPU devices; None leaves their number to XLA_FLAGS.
      wanted: the platform; None leaves it to JAX_PLATFORMS, and else to jax.

    Raises:
      UserError: there is no such device, or XLA does not start with XLA_FLAGS.
      SelfTestFailed: jax has started before, and computes wrong numbers.
    """
    _prepare(cpu_devices)
    import jax

    if wanted is not None:
        jax.config.update("jax_platforms", {"gpu": "cuda"}.get(wanted, wanted))
    try:
        return jax.devices()
    except (RuntimeError, AssertionError) as error:  # the latter for cuda
        asked = f"--platform={wanted}" if wanted else _asked()
        reason = next(iter(str(error).splitlines()), "jax found none")
        raise UserError(f"{asked}: no such device: {reason}") from None


def check_precision(sweep: Sweep, platform: str) -> None:
    """UserError where this platform does not compute in what the sweep asks for."""
    from lossjax.models.autoencoders import PRECISIONS

    only = PRECISIONS[sweep.precision].backend
    if only not in ("", platform):
        raise UserError(
            f"config.precision={sweep.precision}: needs a {only}, this is a "
            f"{platform}: float32 computes here"
        )


def _asked() -> str:
    """The user's variable that says where to compute."""
    names = (name for name in environment.OBEYED if os.environ.get(name))
    return next((f"{name}={os.environ[name]}" for name in names), "jax")


def start(sweep: Sweep, wanted: str | None, console: Console) -> None:
    """Start jax's backend, name it, and test that it computes right numbers."""
    check(wanted)
    found = devices(_cpu_devices(sweep), wanted)
    import jax

    backend = jax.default_backend()
    present = accelerators()
    if backend == "cpu" and wanted is None and present:
        raise UserError(
            f"this machine has a {present[0]} that jax does not use; install its lock "
            f"with LOSSJAX_DEVICE, or compute on the CPU with --platform=cpu"
        )
    check_precision(sweep, backend)
    cores = f" (one per core of a {_processor()})" if backend == "cpu" else ""
    console.print(
        f"{backend}: {len(found)} x {found[0].device_kind}{cores}, "
        f"jax {jax.__version__}",
    )
    # Before the first program is compiled: those of the self-test are kept, too.
    platform.use_compilation_cache(compilation_cache())
    try:
        platform.self_test()
    except platform.PlatformError as error:
        raise SelfTestFailed(error) from None


def compilation_cache() -> str:
    """Where compiled programs are kept: private to the user, keyed by jax itself."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return str(Path(base) / "lossjax" / "compiled")


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
