"""The matrix products of a network's step and nothing else: what a step could cost."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lossjax.models.batch_last import weighted
from lossjax.suite.bench.works import Work
from lossjax.training.replicas import Layout, put, spread

_SECONDS = 0.3  # how long a measurement takes, about


class Products:
    """Compiled for a work's shapes, laid out on the devices like its trainer."""

    def __init__(self, work: Work, layout: Layout, mesh: Mesh) -> None:
        generator = np.random.default_rng(0)
        backwards = [product.backwards for product in work.products]

        def step(_: Any, carry: Any) -> Any:
            moved = []
            for (kernel, columns), count in zip(carry, backwards, strict=True):
                out, back = jax.vjp(weighted, kernel, columns)
                slope, into = back(out)
                # Every product is made again in every step, and none is dropped.
                kept = into if count == 2 else columns
                moved.append((kernel + 1e-30 * slope, kept))
            return moved

        def steps(carry: Any, count: jax.Array) -> Any:
            return jax.lax.fori_loop(0, count, step, carry)

        def laid(inputs: int, outputs: int, places: int) -> tuple[Any, Any]:
            kernel = _projecting(generator, inputs, outputs)
            columns = generator.normal(size=(inputs, places * work.batch))
            return kernel, columns.astype(np.float32)

        pairs = [laid(each.inputs, each.outputs, each.places) for each in work.products]
        slots = jax.tree.map(
            lambda one: np.broadcast_to(one, (layout.replicas, *one.shape)), pairs
        )
        self._carry = put(slots, mesh)
        self._steps = spread(steps, mesh, layout, shared=1)
        self._count = 1
        self._timed(1)
        self._count = max(1, round(_SECONDS * 2 / self._timed(2)))

    def seconds(self) -> float:
        """Of one step of all replicas."""
        return self._timed(self._count) / self._count

    def _timed(self, count: int) -> float:
        began = time.monotonic()
        self._carry = self._steps(self._carry, jnp.int32(count))
        jax.block_until_ready(self._carry)
        return time.monotonic() - began


def _projecting(generator: Any, inputs: int, outputs: int) -> np.ndarray:
    """A kernel that changes no length: columns stay what they are over many steps."""
    tall = generator.normal(size=(max(inputs, outputs), min(inputs, outputs)))
    kernel = np.linalg.qr(tall)[0].astype(np.float32)
    return kernel if inputs >= outputs else kernel.T
