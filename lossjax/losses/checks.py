"""What is refused, and the one line the caller reads."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.syntax import nearest


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A hyperparameter of a family: its default and the closed range it may take."""

    name: str
    default: float
    low: float
    high: float
    meaning: str

    def check(self, family: str, value: float) -> float:
        """The value as a float; ValueError where it is out of range or not finite."""
        if not (math.isfinite(value) and self.low <= value <= self.high):
            raise ValueError(
                f"{family}: {self.name}={literal(value)} must be between "
                f"{literal(self.low)} and {literal(self.high)} ({self.meaning})"
            )
        # + 0.0 turns -0.0 into 0.0: one value, one canonical name.
        return float(value) + 0.0


@dataclasses.dataclass(frozen=True)
class Choice:
    """An argument that is one of a few words."""

    name: str
    default: str
    valid: tuple[str, ...]
    meaning: str

    def check(self, family: str, value: str) -> str:
        """The word; ValueError with the valid ones where it is none of them."""
        if value not in self.valid:
            near = nearest(value, self.valid)
            hint = f"did you mean {near}? " if near else ""
            raise ValueError(
                f"{family}: {self.name}={value!r}: {hint}valid: "
                f"{', '.join(self.valid)} ({self.meaning})"
            )
        return value


def literal(value: float) -> str:
    """Shortest decimal that reads back as the same float; whole numbers bare."""
    value = float(value)
    return repr(int(value)) if value.is_integer() and abs(value) < 1e9 else repr(value)


def check_floating(function: str, argument: str, array: Any) -> None:
    """TypeError unless the array is floating."""
    dtype = jnp.result_type(array)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"{function}: {argument} must be floating, got {dtype}")


def as_floating(function: str, argument: str, array: Any) -> jax.Array:
    """The array as jax holds it; TypeError unless it is one, and floating."""
    try:
        found = jnp.asarray(array)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{function}: {argument} must be a floating array, got "
            f"{type(array).__name__}"
        ) from error
    check_floating(function, argument, found)
    return found


def working_dtype(*arrays: Any) -> jnp.dtype:
    """float64 where an array is, else float32: nothing is computed in less."""
    double = any(jnp.result_type(array) == jnp.float64 for array in arrays)
    return jnp.dtype(jnp.float64 if double else jnp.float32)


def check_targets(target: Any) -> None:
    """Refuse targets that a reconstruction loss is not defined on; not for use in jit.

    Raises:
      TypeError: not floating.
      ValueError: not finite, or outside [0, 1]; says how to rescale.

    >>> import numpy as np
    >>> check_targets(np.array([0.0, 0.5, 1.0]))
    """
    check_floating("check_targets", "target", target)
    values = np.asarray(target, np.float64)
    if not np.isfinite(values).all():
        raise ValueError("check_targets: target holds nan or inf")
    low, high = float(values.min(initial=0)), float(values.max(initial=0))
    if low < 0 or high > 1:
        if low >= -1 and high <= 1:
            advice = "looks like [-1, 1]: rescale by (target + 1) / 2"
        elif low >= 0 and high <= 255:
            advice = "looks like 0..255: rescale by target / 255"
        else:
            advice = "rescale by (target - min) / (max - min)"
        raise ValueError(
            f"check_targets: target must lie in [0, 1], found [{low:g}, {high:g}]; "
            f"{advice}"
        )
