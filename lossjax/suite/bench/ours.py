"""Our side of a pair: the trainer of a sweep, told from outside how far to go.

`python -m lossjax.suite.bench.ours WORK [LOSS ...] KEY=VALUE ...` says it is ready with
one JSON line, then answers every number on its standard input with one: that many steps
were taken, in so many seconds. Several losses share a program; "LOSS STEPS" takes
steps with another than the first.
"""

import dataclasses
import json
import os
import resource
import sys
import time
from typing import Any

from lossjax import platform
from lossjax.suite.bench.works import asked
from lossjax.suite.cli.errors import Exit
from lossjax.suite.cli.signals import run
from lossjax.suite.sweep import backend

MATRIX = 2048  # side of the matrices whose product is the machine's rate


def main(arguments: list[str]) -> int:
    name, *options = arguments or [""]
    losses = [option for option in options if "=" not in option] or ["bce"]
    given = dict(option.split("=") for option in options if "=" in option)
    work = asked(name)
    replicas = int(given.get("replicas", work.replicas))
    cores = len(os.sched_getaffinity(0))
    backend.devices(min(cores, replicas))
    trainer = _Trainer(
        dataclasses.replace(work, replicas=replicas),
        given.get("precision", "float32"),
        losses,
    )
    _say(trainer.facts)
    rates = {"gemm": _gemm, "products": trainer.products}
    for line in sys.stdin:
        if measure := rates.get(rate := line.strip()):
            _say({rate: measure()})
            continue
        *loss, steps = line.split()
        seconds = trainer.go(int(steps), loss[0] if loss else losses[0])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        _say({"seconds": seconds, "peak": peak})
    return Exit.DONE


class _Trainer:
    def __init__(self, work: Any, precision: str, losses: list[str]) -> None:
        import jax
        import numpy as np

        from lossjax import resolve
        from lossjax.losses.one_of import OneOf
        from lossjax.models import autoencoders
        from lossjax.training import replicas
        from lossjax.training.program import Program
        from lossjax.training.settings import Settings

        shape = autoencoders.Shape(
            work.image,
            resolve(losses[0]).channels,
            work.latent_dim,
            work.width,
            precision=precision,
        )
        network = autoencoders.build("conv_ae", shape)
        backend, devices = jax.default_backend(), len(jax.local_devices())
        layout = replicas.plan_layout(backend, devices, work.replicas)
        mesh = replicas.make_mesh(layout)
        self._work, self._mesh = work, mesh
        self._products: Any = None
        among = [resolve(name) for name in losses]
        images = _images(work)

        def batch_of(name: str) -> Any:
            loss = resolve(name)
            chosen = loss if loss.scalars else OneOf.of(loss, among)
            start = loss.start(np.full(work.image[2], images.mean() / 255))
            one = replicas.Replica(0, 1e-3, chosen, start, True)
            runs = [one._replace(seed=seed) for seed in range(work.replicas)]
            return replicas.stack(runs, layout)

        self._batches = {name: batch_of(name) for name in losses}
        program = Program(network, Settings(10**6, work.batch), layout, mesh)
        train = replicas.put_everywhere(images, mesh)
        # Of one block, scoring none of it would still be computed in every call.
        blocks = replicas.blocks_of(images[: 2 * replicas.BLOCK])
        self._data = train, replicas.put_everywhere(blocks, mesh)
        first = self._batches[losses[0]]
        began = time.monotonic()
        self._trainer = program.compile(first, *self._data)
        seconds = time.monotonic() - began
        self._state, self._step = program.init(first), 0
        memory = self._trainer.compiled.memory_analysis()
        self.facts = {
            "compile": seconds,
            "layout": layout.record,
            "temporary": memory.temp_size_in_bytes,
            "state": sum(leaf.nbytes for leaf in jax.tree.leaves(self._state)),
            "parameters": self._state.weights.shape[1],
            **platform.describe(),
        }

    def products(self) -> float:
        """Seconds of a step's matrix products alone."""
        from lossjax.suite.bench.products import Products

        if self._products is None:
            self._products = Products(self._work, self._trainer.layout, self._mesh)
        return self._products.seconds()

    def go(self, steps: int, loss: str) -> float:
        import jax

        began = time.monotonic()
        self._state, progress = self._trainer.advance(
            self._batches[loss],
            self._state,
            *self._data,
            self._step,
            self._step + steps,
            0,
        )
        jax.block_until_ready(progress)
        self._step += steps
        return time.monotonic() - began


def _images(work: Any) -> Any:
    import numpy as np

    generator = np.random.default_rng(0)
    return generator.integers(0, 256, (work.images, *work.image), dtype=np.uint8)


def _gemm() -> float:
    """float32 matrix products on all cores, operations a second: the best of five."""
    import jax
    import jax.numpy as jnp

    square = jnp.ones((MATRIX, MATRIX), jnp.float32)
    product = jax.jit(lambda a: a @ a)
    product(square).block_until_ready()
    times = []
    for _ in range(5):
        began = time.monotonic()
        product(square).block_until_ready()
        times.append(time.monotonic() - began)
    return 2 * MATRIX**3 / min(times)


def _say(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)


if __name__ == "__main__":
    run(main, sys.argv[1:])
