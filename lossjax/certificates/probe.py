"""Measuring a compiled loss on constant images and on random laws of a pixel."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from lossjax.losses.claims import own_names
from lossjax.losses.loss import Loss

GRID = np.linspace(-60, 60, 1201)
LAWS = 6
BATCH = 128
# Where value and derivatives must be finite: no gap that a defect could hide in. From
# 16 to 112 sigmoids round, under- and overflow in float32.
SIZES = np.concatenate(
    [10.0 ** np.arange(-12, 1), np.arange(2, 112), 10.0 ** np.arange(2.25, 38.5, 0.5)]
)
LOGITS = np.concatenate([-SIZES[::-1], [-3e38, 0.0, 3e38], SIZES])
FINE = np.linspace(-0.0995, 0.0995, 100)
# Structure has room for two scales.
STRUCTURED = 16


class Probe:
    """Value, gradient and curvature in the first raw output of a constant image."""

    def __init__(self, loss: Loss) -> None:
        self.loss = loss
        self.names = own_names(loss.hyper, loss.scalars)
        self._minima: dict[float, float] = {}

    def __call__(self, z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        """Value, gradient and curvature wherever z and y broadcast to."""
        z, y = np.broadcast_arrays(np.asarray(z, float), np.asarray(y, float))
        found = in_batches(measure, self.loss, z.ravel(), y.ravel())
        return tuple(each.reshape(z.shape) for each in found)

    def minimum(self, y: np.ndarray) -> np.ndarray:
        """z of the smallest value at each target: a grid, then the gradient's root.

        The grid is finer around the target, where a basin may be narrower than a step.
        """
        new = np.array([one for one in y if one not in self._minima])
        if new.size:
            grid = _grid(new[:, None])
            values = self(grid, new[:, None])[0]
            found = bisect(lambda z: self(z, new)[1], *_bracket(grid, values))
            self._minima |= zip(new, found, strict=True)
        return np.array([self._minima[one] for one in y])

    def elicited(self, atoms: np.ndarray, chance: np.ndarray) -> np.ndarray:
        """Read-out that minimises the expected loss under each law (laws, atoms)."""
        grid = _grid(atoms)
        wide = [np.repeat(x, grid.shape[1], axis=0) for x in (atoms, chance)]
        values, _ = in_batches(_expected, self.loss, grid.ravel(), *wide)
        slope = lambda z: in_batches(_expected, self.loss, z, atoms, chance)[1]  # noqa: E731
        return self.read_out(bisect(slope, *_bracket(grid, values.reshape(grid.shape))))

    def read_out(self, z: np.ndarray) -> np.ndarray:
        return in_batches(_read_out, self.loss, z.ravel())[0].reshape(z.shape)


# The loss is an argument of what is compiled, so that one program serves a family.
def side(loss: Loss) -> int:
    return 1 if loss.tile_invariant else STRUCTURED


def in_batches(
    program: Callable[..., tuple[jax.Array, ...]], loss: Loss, *points: np.ndarray
) -> list[np.ndarray]:
    """What a program gives of any number of points; one size, so that one serves."""
    count = len(points[0])
    length = -(-count // BATCH) * BATCH
    whole = [np.resize(x, (length, *x.shape[1:])) for x in points]
    parts = [
        program(loss, *(x[i : i + BATCH] for x in whole))
        for i in range(0, length, BATCH)
    ]
    return [np.concatenate(each)[:count] for each in zip(*parts, strict=True)]


@jax.jit
def measure(loss: Loss, z: jax.Array, y: jax.Array) -> tuple[jax.Array, ...]:
    """Value, gradient and curvature of constant images, (images,) each."""

    def score(z: jax.Array, y: jax.Array) -> jax.Array:
        width = side(loss)
        raw = jnp.zeros((1, width, width, loss.channels), z.dtype).at[..., 0].set(z)
        return loss.fn(raw, jnp.full((1, width, width, 1), y, z.dtype))[0]

    slope = jax.grad(score)

    def each(z: jax.Array, y: jax.Array) -> tuple[jax.Array, ...]:
        gradient, bend = jax.jvp(lambda x: slope(x, y), (z,), (jnp.ones_like(z),))
        return score(z, y), gradient, bend

    return jax.vmap(each)(z, y)


@jax.jit
def _read_out(loss: Loss, z: jax.Array) -> tuple[jax.Array]:
    """Output grey of constant images, (images,)."""
    raw = jnp.zeros((z.size, 1, 1, loss.channels)).at[:, 0, 0, 0].set(z)
    return (loss.read_out(raw)[:, 0, 0, 0],)


@jax.jit
def _expected(
    loss: Loss, z: jax.Array, atoms: jax.Array, chance: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Mean score of each z over its law (laws, atoms), and its gradient."""

    def mean(z: jax.Array, atoms: jax.Array, chance: jax.Array) -> jax.Array:
        shape = (atoms.size, 1, 1)
        raw = jnp.zeros((*shape, loss.channels)).at[..., 0].set(z)
        spread = lambda x: jnp.broadcast_to(x[:, None, None, None], (*shape, 1))  # noqa: E731
        # As weights too: a scale that is fitted to the batch must see the law.
        each = loss.fn(raw, spread(atoms), weights=spread(chance))
        return jnp.sum(chance * each)

    return jax.vmap(jax.value_and_grad(mean))(z, atoms, chance)


def _grid(targets: np.ndarray) -> np.ndarray:
    """Where to look for the minimum at each row of targets, (rows, z), rising."""
    with np.errstate(divide="ignore"):
        logits = np.log(targets) - np.log1p(-targets)
    near = np.clip(logits, GRID[0], GRID[-1])[:, :, None] + FINE
    coarse = np.broadcast_to(GRID, (len(targets), GRID.size))
    return np.sort(np.concatenate([coarse, near.reshape(len(targets), -1)], axis=1))


def _bracket(grid: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The neighbours of the smallest value of each row."""
    best = np.clip(np.argmin(values, axis=1), 1, grid.shape[1] - 2)
    rows = np.arange(len(grid))
    return grid[rows, best - 1], grid[rows, best + 1]


def bisect(
    slope: Callable[[np.ndarray], np.ndarray], low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Root of an increasing function in each bracket."""
    for _ in range(60):
        middle = (low + high) / 2
        below = slope(middle) < 0
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return (low + high) / 2


def laws() -> tuple[np.ndarray, np.ndarray]:
    """Random discrete target laws: atoms in (0, 1) and their chances."""
    rng = np.random.default_rng(20)
    return rng.uniform(0.05, 0.95, (LAWS, 5)), rng.dirichlet(np.ones(5), LAWS)


def median(atoms: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Weighted median of each law."""
    order = np.argsort(atoms, axis=1)
    mass = np.cumsum(np.take_along_axis(chance, order, 1), axis=1)
    first = np.argmax(mass > 0.5, axis=1)
    return np.take_along_axis(np.take_along_axis(atoms, order, 1), first[:, None], 1)[
        :, 0
    ]
