"""What a sweep compiles: its programs, and how much memory they need."""

import dataclasses
import functools
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from lossjax import resolve
from lossjax.models import autoencoders
from lossjax.suite.config import Sweep
from lossjax.suite.data import Outline
from lossjax.suite.data.dataset import Noise
from lossjax.suite.data.noise import noisy_targets
from lossjax.training.program import Program
from lossjax.training.replicas import (
    BLOCK,
    REPLICA,
    Blocks,
    Layout,
    Replica,
    blocks_of,
    stack,
)
from lossjax.training.scoring import Scorer
from lossjax.training.settings import Settings

# A compiler pads arrays, keeps copies in another order, and its code lies there too:
# for v5e and v6e the shipped configs need CODE and 1.3 times what their traces say, at
# most.
SLACK = 2.0
CODE = 4 * 2**20  # bytes of one program
AHEAD = 2  # families that compile while one trains


def network_of(
    sweep: Sweep,
    image: tuple[int, int, int],
    model: str,
    latent_dim: int,
    channels: int,
) -> autoencoders.Network:
    """The network of a model for images of that shape.

    Args:
      sweep: says how large it is.
      image: (height, width, channels).
      model: its canonical name.
      latent_dim: numbers that the code has.
      channels: of raw output for each image channel, as the loss has it.
    """
    shape = autoencoders.Shape(
        image,
        channels,
        latent_dim,
        sweep.width,
        sweep.hidden,
        sweep.precision,
        sweep.head_scale,
    )
    return autoencoders.build(model, shape)


def settings_of(sweep: Sweep, train_steps: int, noise: Noise | None) -> Settings:
    """How a program of the sweep trains for so long on a dataset with that noise."""
    targets = None if noise is None else functools.partial(noisy_targets, noise)
    return Settings(
        train_steps,
        sweep.batch_size,
        targets,
        sweep.optimiser,
        sweep.schedule,
    )


@dataclasses.dataclass(frozen=True)
class Planned:
    """A program of a sweep where no two losses share one.

    Attributes:
      names: dataset, model and loss family that it is the first to serve.
      latent_dim: numbers of the code.
      train_steps: of a run.
      outline: of the dataset.
      loss: a loss of the family, with its hyperparameters.
    """

    names: tuple[str, str, str]
    latent_dim: int
    train_steps: int
    outline: Outline
    loss: str

    def made(
        self, sweep: Sweep, layout: Layout, mesh: Mesh
    ) -> tuple[Program, tuple[Replica, Any, Blocks]]:
        """The program, and shapes for its `compile`."""
        loss, image = resolve(self.loss), self.outline.image
        network = self._network(sweep)
        settings = settings_of(sweep, self.train_steps, self.outline.noise)
        start = loss.start(np.full(image[2], 0.5))
        batched = stack([Replica(0, 1e-3, loss, start, True)], layout)
        train = jax.ShapeDtypeStruct(self.outline.images("train"), jnp.uint8)
        held = np.broadcast_to(np.uint8(0), self.outline.images("validation"))
        blocks = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), blocks_of(held)
        )
        return Program(network, settings, layout, mesh), (batched, train, blocks)

    def replica_bytes(self, sweep: Sweep, device: Any) -> int:
        """What one replica needs on such a device, in training or when it is scored.

        As `peak_bytes` counts: read from the trace, nothing is compiled.
        """
        alone, mesh = Layout(1, 1, "vmap"), Mesh(np.array([device]), (REPLICA,))
        program, (replica, train, blocks) = self.made(sweep, alone, mesh)
        loss, image = resolve(self.loss), self.outline.image
        network = self._network(sweep)
        scorer = Scorer(network, [loss], alone, mesh)
        block = jax.ShapeDtypeStruct((BLOCK, *image), jnp.uint8)
        training = program.replica_bytes(replica, train, blocks)
        return max(training, scorer.replica_bytes(block))

    def _network(self, sweep: Sweep) -> autoencoders.Network:
        channels = resolve(self.loss).channels
        image, model = self.outline.image, self.names[1]
        return network_of(sweep, image, model, self.latent_dim, channels)


def programs(sweep: Sweep, outlines: Mapping[str, Outline]) -> Iterator[Planned]:
    """Every distinct program of a sweep, once."""
    done = set()
    grid = itertools.product(
        outlines, sweep.models, sweep.code_sizes, sweep.step_counts, sweep.losses
    )
    for name, model, latent_dim, train_steps, loss in grid:
        outline, family = outlines[name], resolve(loss).family
        shapes = tuple(map(outline.images, outline.counts))
        kind = shapes, outline.noise, model, latent_dim, train_steps, family
        if kind not in done:
            done.add(kind)
            names = name, model, family
            yield Planned(names, latent_dim, train_steps, outline, loss)
