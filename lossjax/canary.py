"""Whether XLA for CPU computes right numbers in this process; see `lossjax.guard`."""

import functools
import warnings
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np

from lossjax import guard

LATE = (
    "XLA for CPU computes wrong numbers in this process, because jax started before "
    "lossjax was imported: restart Python and import lossjax before the first array "
    f"is made, or set XLA_FLAGS={guard.FLAG}"
)
_TOLERANCE = 2e-5  # of rounding in a dot product of 300 float32 numbers


def started() -> bool:
    """Whether jax's backend has started, and XLA reads its flags no more."""
    name = "jax_num_cpu_devices"
    kept = getattr(jax.config, name)
    try:
        jax.config.update(name, kept + 1)  # which jax refuses from then on
    except RuntimeError:
        return True
    jax.config.update(name, kept)
    return False


def warn_where_late() -> None:
    """Warn, once, where the CPU computes wrong numbers; nothing before jax started."""
    if not guard.IN_FORCE and started() and not holds():
        _warn()


@functools.cache
def _warn() -> None:
    warnings.warn(LATE, RuntimeWarning, stacklevel=4)


@functools.cache
def holds() -> bool:
    """Whether the backend, started by this at the latest, computes right numbers."""
    if jax.default_backend() != "cpu":
        return True
    # In a thread of its own: the caller may be inside any transformation of jax's.
    with ThreadPoolExecutor(1) as thread:
        compiled, reference = thread.submit(energies).result()
    error = np.max(np.abs(compiled - reference)) / np.max(np.abs(reference))
    return bool(error <= _TOLERANCE)  # false also where the error is nan


def energies() -> tuple[np.ndarray, np.ndarray]:
    """What the known-bad pattern gives compiled, and in float64 numpy."""
    square = np.random.default_rng(0).normal(size=(5, 300, 300)).astype(np.float32)
    factor = np.full_like(square, 0.37)

    @jax.jit
    def row_energy(x: jax.Array) -> jax.Array:
        return jnp.sum((x @ jnp.full_like(x, 0.37)) * x, -1)

    with jax.disable_jit(False), jax.debug_nans(False), jax.debug_infs(False):
        compiled = np.asarray(row_energy(square), np.float64)
    wide = square.astype(np.float64)
    return compiled, np.sum((wide @ factor.astype(np.float64)) * wide, -1)
