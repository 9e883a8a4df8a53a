"""Reconstruction losses with read-outs, floors and certificates, in pure JAX.

Import it before jax makes its first array: that sets the flag that keeps XLA for CPU
from wrong numbers. A loss that is computed in a process where it came too late warns.
"""

import lazy_loader

from lossjax import guard as guard  # first: nothing may start jax before it

# Raised by hand whenever a change moves a number that a sweep stores.
NUMERICS: int = 3

__getattr__, _, __all__ = lazy_loader.attach_stub(__name__, __file__)
__all__ += ["NUMERICS"]


def __dir__() -> list[str]:
    return sorted(__all__)
