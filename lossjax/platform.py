"""What jax must be told before its backend starts, and the self-test that follows.

`prepare` sets XLA's flags, the guard of `lossjax.guard` first; `self_test` compiles
known-bad patterns and a few losses on whatever backend runs and compares them with
float64 numpy, so that no number is ever computed on a platform that fails.
"""

import ctypes
import functools
import gc
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

from lossjax import canary, guard, trust
from lossjax.losses import LOSSES
from lossjax.models.convolution import convolve

_FUSED, _LEVEL = "xla_cpu_use_fusion_emitters", "xla_backend_optimization_level"
_DEVICES = "--xla_force_host_platform_device_count"
# No sum of a GPU's in another order than before, and no choice by what was faster.
_DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
_OURS = re.compile(rf"{guard.FLAG}|{_DEVICES}=\d+|{_DETERMINISTIC}")
# Packages whose versions decide what an accelerator computes.
_LIBRARIES = {
    "gpu": r"jax-cuda\d+-plugin|nvidia-(cublas|cudnn|cuda-runtime|cuda-nvcc)(-cu\d+)?",
    "tpu": "libtpu",
}
_TOLERANCE = {"cpu": 2e-5, "gpu": 2e-4, "tpu": 1e-3}  # relative to the largest value


class PlatformError(RuntimeError):
    """The backend computes wrong numbers; nothing may be trained on it."""


def prepare(cpu_devices: int | None = None, *, deterministic: bool = False) -> None:
    """Set XLA's flags and jax's precision; call before the first array is made.

    The user's own XLA_FLAGS are kept; a flag that is there already is not touched.

    Args:
      cpu_devices: virtual CPU devices, one per core that should train; None leaves
        their number to XLA_FLAGS. Too late once jax has started, which is a warning.
      deterministic: a GPU gives the same bits every time, as a CPU does anyway.

    Raises:
      ValueError: XLA_FLAGS hold what XLA does not start with, or jax has started
        without the flag that makes a GPU deterministic.
      PlatformError: jax has started without the guard, and computes wrong numbers.
    """
    jax.config.update("jax_default_matmul_precision", "highest")
    flags = guard.flags(os.environ.get("XLA_FLAGS", ""))
    more = cpu_devices is not None and _DEVICES not in flags
    lacking = deterministic and _DETERMINISTIC not in flags
    if canary.started():
        if lacking and jax.default_backend() == "gpu":
            raise ValueError(
                f"jax has started without XLA_FLAGS={_DETERMINISTIC}: no GPU is "
                f"deterministic in this process"
            )
        if not canary.holds():
            raise PlatformError(canary.LATE)
        count = jax.local_device_count()
        if more and jax.default_backend() == "cpu" and count != cpu_devices:
            warnings.warn(
                f"jax has started: its CPU devices stay {count}, not {cpu_devices}; "
                "call prepare before the first array is made",
                RuntimeWarning,
                stacklevel=2,
            )
        return
    added = [f"{_DEVICES}={cpu_devices}"] if more else []
    added += [_DETERMINISTIC] if lacking else []
    if added:  # behind the guard, before whatever XLA may not read
        rest = flags.removeprefix(guard.FLAG).strip()
        flags = guard.flags(" ".join([*added, rest]).strip())
    _check_flags(flags)
    os.environ["XLA_FLAGS"] = flags


@functools.cache
def _check_flags(text: str) -> None:
    """Start XLA in another process, with any flag that is not ours: it may abort."""
    own = [flag for flag in text.split() if not _OURS.fullmatch(flag)]
    if not own or not sys.executable:
        return
    ended = subprocess.run(
        [sys.executable, "-c", "import jax; jax.devices('cpu')"],
        env=os.environ | {"XLA_FLAGS": text, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        errors="replace",
    )
    if ended.returncode:
        said = re.search(r"^[EF]\d{4} .*?\] (.*)", ended.stderr, re.MULTILINE)
        reason = said[1] if said else "XLA does not start with them"
        raise ValueError(f"XLA_FLAGS={' '.join(own)}: {reason[:300]}")


def compiler_options(
    device: jax.Device, *, small: bool = False, seldom: bool = False
) -> dict[str, int | bool]:
    """Options that shorten compilation for a device; none but for CPUs.

    A program of `small` arrays is as fast at LLVM's level 1 as at level 3, equal to the
    bit, and compiles in three quarters of the time; one of larger arrays would lose a
    twentieth of its speed. A program that runs `seldom` is compiled in half the time,
    runs slower by half, and its last bits are others.
    """
    if device.platform != "cpu":
        return {}
    wanted = {_LEVEL: 1} if small or seldom else {}
    wanted |= {_FUSED: False} if seldom else {}
    return {
        name: value for name, value in wanted.items() if _compiler_knows(name, value)
    }


@functools.cache
def _compiler_knows(name: str, value: int) -> bool:
    """Whether this jaxlib's XLA has an option; without it compiling fails."""
    try:
        jax.jit(lambda: 0, compiler_options={name: value}).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def self_test() -> None:
    """Compare compiled programs with float64 numpy; about a second.

    Raises:
      PlatformError: a result is off by more than the backend's rounding can explain.
    """
    tolerance = _TOLERANCE.get(jax.default_backend(), max(_TOLERANCE.values()))
    first, *rest = _PATTERNS
    # Nothing else is tried where the first is wrong; of the others a GPU's compiler
    # takes seconds each.
    for patterns in ([first], rest):
        with ThreadPoolExecutor() as pool:
            made = list(pool.map(lambda pattern: tuple(pattern()), patterns))
        for name, compiled, reference in (row for rows in made for row in rows):
            found = np.asarray(compiled, np.float64)
            error = np.max(np.abs(found - reference)) / np.max(np.abs(reference))
            if not error <= tolerance:  # also where the error is nan
                raise PlatformError(
                    f"self-test {name!r} on {jax.devices()[0]}: relative error "
                    f"{error:.1e}, at most {tolerance:.0e} is rounding; "
                    f"jaxlib {jaxlib.__version__}, "
                    f"XLA_FLAGS={os.environ.get('XLA_FLAGS', '')!r}"
                )


# Name, what the compiled program gives, what float64 numpy gives.
_Pattern = Iterator[tuple[str, Any, np.ndarray]]


def _energies() -> _Pattern:
    yield "matrix product, product, sum", *canary.energies()


def _convolutions() -> _Pattern:
    generator = np.random.default_rng(0)
    image = generator.uniform(size=(8, 14, 14, 3)).astype(np.float32)
    kernel = generator.normal(size=(4, 4, 3, 5)).astype(np.float32)

    @jax.jit
    def convolution(x: jax.Array, k: jax.Array) -> tuple[jax.Array, jax.Array]:
        def output(k: jax.Array) -> jax.Array:
            return convolve(x, k, (2, 2), ((1, 1), (1, 1)))

        out, pullback = jax.vjp(output, k)
        return out, pullback(jnp.ones_like(out))[0]

    out, weights = convolution(image, kernel)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(image.astype(np.float64), ((0, 0), (1, 1), (1, 1), (0, 0))),
        (4, 4),
        axis=(1, 2),
    )[:, ::2, ::2]
    kernels = np.einsum("nhwcij,ijco->nhwo", windows, kernel.astype(np.float64))
    yield "convolution", out, kernels
    sums = np.einsum("nhwcij->ijc", windows)[..., None] * np.ones(5)
    yield "weight gradient", weights, sums


def _gradients() -> _Pattern:
    generator = np.random.default_rng(1)
    raw = generator.normal(size=(32, 28, 28, 1)).astype(np.float32) * 4
    target = generator.uniform(size=raw.shape).astype(np.float32)

    @jax.jit
    def gradients(raw: jax.Array, target: jax.Array) -> dict[str, jax.Array]:
        names = ("bce", "mse")
        return {
            name: jax.grad(lambda r, loss=LOSSES[name]: loss.fn(r, target).sum())(raw)
            for name in names
        }

    compiled = gradients(raw, target)
    wide_raw = raw.astype(np.float64)
    p = 1 / (1 + np.exp(-wide_raw))
    pixels = raw[0].size
    yield "gradient of bce", compiled["bce"], (p - target) / pixels
    yield "gradient of mse", compiled["mse"], 2 * (p - target) * p * (1 - p) / pixels


_PATTERNS = (_energies, _convolutions, _gradients)


def describe() -> dict[str, object]:
    """Backend, devices and versions, JSON-ready, for provenance."""
    devices = jax.devices()
    return {
        "backend": jax.default_backend(),
        "devices": len(devices),
        "device_kind": devices[0].device_kind,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of what compiles and runs; on an accelerator of its libraries too."""
    found = {"jax": jax.__version__, "jaxlib": jaxlib.__version__}
    pattern = _LIBRARIES.get(jax.default_backend())
    if pattern is not None:
        for distribution in metadata.distributions():
            name = distribution.metadata["Name"].lower()
            if re.fullmatch(pattern, name):
                found[name] = distribution.version
    return dict(sorted(found.items()))


def return_memory() -> None:
    """Give back what compilation took: cycles, and pages that glibc would keep.

    Without it a process that compiles many programs grows by some 10 MB for each.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def use_compilation_cache(directory: str) -> None:
    """Keep compiled programs in a private directory; a bad cache only recompiles.

    One warning where it cannot be written; jax would warn once for every program.
    """
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        why = trust.refusal(directory)
    except OSError as error:
        why = str(error)
    if why:
        warnings.warn(f"no compilation cache: {why}", stacklevel=2)
        return
    if not os.access(directory, os.W_OK | os.X_OK):
        warnings.warn(f"compilation cache not writable: {directory}", stacklevel=2)
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation")
    jax.config.update("jax_compilation_cache_dir", directory)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
