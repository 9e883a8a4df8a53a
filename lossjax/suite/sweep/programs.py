"""What a sweep compiles: the kinds of its programs, and how much memory they need."""

import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from scipy.special import expit

from lossjax import resolve
from lossjax.losses.links import sigmoid
from lossjax.losses.loss import Loss
from lossjax.losses.one_of import OneOf
from lossjax.models import autoencoders
from lossjax.models.pixels import BYTES, Pixels
from lossjax.suite import protocol
from lossjax.suite.config import Sweep
from lossjax.suite.data import Outline
from lossjax.suite.data.dataset import Noise
from lossjax.suite.data.noise import noisy_targets
from lossjax.suite.store.results import Run
from lossjax.training.diagnoser import Diagnoser
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
from lossjax.training.variational import VariationalScorer

# A compiler pads arrays, keeps copies in another order, and its code lies there too:
# for v5e and v6e the shipped configs need CODE and 1.3 times what their traces say, at
# most.
SLACK = 2.0
CODE = 4 * 2**20  # bytes of one program
AHEAD = 2  # programs that compile while one trains
_EPOCHS = 64  # whose orders of images a call draws at once, at most


@functools.lru_cache(maxsize=64)
def network_of(
    sweep: Sweep,
    image: tuple[int, int, int],
    model: str,
    latent_dim: int,
    channels: int,
    lowering: str = "",
    pixels: Pixels = BYTES,
) -> autoencoders.Network:
    """The network of a model for images of that shape.

    Args:
      sweep: says how large it is.
      image: (height, width, channels).
      model: its canonical name.
      latent_dim: numbers that the code has.
      channels: of raw output for each image channel, as the loss has it.
      lowering: as `autoencoders.build` takes it.
      pixels: of the images.
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
    built = autoencoders.build(model, shape, lowering)
    return dataclasses.replace(built, pixels=pixels)


def start_of(loss: Loss, mean: np.ndarray, logit: float | None) -> np.ndarray:
    """Raw output that the head's bias starts at: of the mean image, or of a logit's."""
    if logit is None:
        return loss.start(mean)
    start = loss.start(np.full_like(mean, expit(logit)))
    if loss.link is sigmoid:
        # Not by way of an image, which is kept half a grey level from 0 and 1.
        start[: len(mean)] = logit
    return start


def settings_of(sweep: Sweep, train_steps: int, noise: Noise | None) -> Settings:
    """How a program of the sweep trains for so long on a dataset with that noise."""
    return Settings(
        train_steps,
        sweep.batch_size,
        _targets(noise),
        sweep.optimiser,
        sweep.schedule,
        kl_cycles=sweep.kl_cycles,
        kl_rise=sweep.kl_rise,
    )


def _targets(noise: Noise | None) -> Any:
    return None if noise is None else functools.partial(noisy_targets, noise)


class Instruments(NamedTuple):
    """What measures trained runs of one network."""

    scorer: Scorer
    diagnoser: Diagnoser
    variational: VariationalScorer | None


@dataclasses.dataclass(frozen=True)
class ProgramKind:
    """What a compiled program depends on: the one key of all that is compiled.

    It has the shapes of data, not the data, so that one program serves every dataset of
    the same split sizes and noise, and all losses that can share it.

    Attributes:
      train: shape of the training images.
      validation: shape of the validation images.
      noise: of the targets.
      pixels: what they are.
      model: its canonical name.
      latent_dim: numbers of the code.
      train_steps: of a run.
      families: of the losses, in the order of the sweep.
    """

    train: tuple[int, int, int, int]
    validation: tuple[int, int, int, int]
    noise: Noise | None
    pixels: Pixels
    model: str
    latent_dim: int
    train_steps: int
    families: tuple[str, ...]

    @property
    def channels(self) -> int:
        """Of raw output for each image channel."""
        return resolve(self.families[0]).channels

    def network(self, sweep: Sweep, layout: Layout) -> autoencoders.Network:
        """What is trained."""
        image, sizes = self.train[1:], (self.model, self.latent_dim, self.channels)
        return network_of(sweep, image, *sizes, layout.lowering, self.pixels)

    def settings(self, sweep: Sweep) -> Settings:
        """And how."""
        interval = -(-self.train_steps // sweep.curve_points)
        epochs = _EPOCHS * (self.train[0] // sweep.batch_size)
        return dataclasses.replace(
            settings_of(sweep, self.train_steps, self.noise),
            stretch=min(interval, epochs),
        )

    def instruments(self, sweep: Sweep, layout: Layout, mesh: Mesh) -> Instruments:
        """What measures the runs that it trained, in whatever lowering."""
        gpu = mesh.devices.flat[0].platform == "gpu"
        layout = dataclasses.replace(layout, lowering="taps" if gpu else "")
        losses = [resolve(name) for name in sweep.trained]
        links = {x.link: x.name for x in losses if x.channels == self.channels}
        return _instruments(
            self.network(sweep, layout),
            settings_of(sweep, 1, None),
            tuple(links.values()),
            self.noise,
            layout,
            mesh,
        )

    def variants(self, sweep: Sweep) -> list[int]:
        """Runs of each family with one seed on one dataset."""
        counts = Counter[str]()
        for loss, rates in protocol.tried(sweep).items():
            counts[resolve(loss).family] += len(rates)
        return [counts[family] for family in self.families]

    def segments(self, sweep: Sweep, slots: int) -> tuple[int, ...]:
        """Slots of each family in a row of one seed, of at most so many slots.

        Where not all variants of a seed fit a row, it takes several equal ones.
        """
        counts = self.variants(sweep)
        for rows in range(1, max(counts) + 1):
            cut = tuple(-(-count // rows) for count in counts)
            if sum(cut) <= slots:
                return cut
        return (1,) * len(counts)

    def replica(self, run: Run, start: np.ndarray) -> Replica:
        """A run of it as a replica."""
        loss, among = resolve(run.loss), [resolve(name) for name in self.families]
        shares = not loss.scalars or len(among) > 1
        variational = autoencoders.resolve(self.model).variational
        chosen = OneOf.of(loss, among) if shares and not variational else loss
        return Replica(run.seed, run.learning_rate, chosen, start, True)

    def program(
        self, sweep: Sweep, layout: Layout, mesh: Mesh, segments: tuple[int, ...]
    ) -> Program:
        """What trains it."""
        network, settings = self.network(sweep, layout), self.settings(sweep)
        return Program(network, settings, layout, mesh, segments)

    def shapes(
        self, layout: Layout, segments: tuple[int, ...]
    ) -> tuple[Replica, Any, Blocks]:
        """What its program's `compile` takes, without any data."""
        loss = resolve(self.families[0])
        start = loss.start(np.full(self.train[3], 0.5))
        sizes = self.latent_dim, self.train_steps
        run = Run("", self.model, loss.name, 1e-3, 0, *sizes, {})
        batched = stack([self.replica(run, start)], layout, row=sum(segments))
        train = jax.ShapeDtypeStruct(self.train, self.pixels.kept)
        held = np.broadcast_to(np.zeros((), self.pixels.kept), self.validation)
        blocks = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), blocks_of(held)
        )
        return batched, train, blocks

    def replica_bytes(self, sweep: Sweep, device: Any) -> int:
        """What one replica needs on such a device, in training or when it is scored.

        As `peak_bytes` counts: read from the trace, nothing is compiled. The mean over
        one replica of each loss family.
        """
        losses = [resolve(family) for family in self.families]
        segments = (1,) * len(losses)
        layout = Layout(1, len(losses), "vmap")
        mesh = Mesh(np.array([device]), (REPLICA,))
        program = self.program(sweep, layout, mesh, segments)
        scorer = Scorer(self.network(sweep, layout), losses, layout, mesh)
        block = jax.ShapeDtypeStruct((BLOCK, *self.train[1:]), self.pixels.kept)
        training = program.replica_bytes(*self.shapes(layout, segments))
        return max(training, scorer.replica_bytes(block))


@functools.lru_cache(maxsize=8)
def _instruments(
    network: autoencoders.Network,
    settings: Settings,
    losses: tuple[str, ...],
    noise: Noise | None,
    layout: Layout,
    mesh: Mesh,
) -> Instruments:
    """One set for all kinds, and sweeps, that differ in steps and in losses alike.

    `losses` are one of each link, `settings` those without noise.
    """
    settings = dataclasses.replace(settings, targets=_targets(noise))
    return Instruments(
        Scorer(network, [resolve(name) for name in losses], layout, mesh),
        Diagnoser(network, settings, layout, mesh),
        None if network.latent is None else VariationalScorer(network, layout, mesh),
    )


def kinds(
    sweep: Sweep, outlines: Mapping[str, Outline], mapping: str, most: int | None = None
) -> Iterator[tuple[ProgramKind, str, tuple[str, ...]]]:
    """Every kind with a dataset and those losses of the sweep that it trains.

    Losses share a program whose raw output has as many channels. Mapped one after the
    other only the branch of one loss is taken, and trained scalars have a program of
    their own; side by side each has its slots. A variational model feeds some losses
    dequantised pixels, so that there each family has its own.

    Args:
      sweep: the grid.
      outlines: of its datasets, by name.
      mapping: of the layout.
      most: families of a program; None for all that can share it.
    """
    grid = itertools.product(
        outlines, sweep.models, sweep.code_sizes, sweep.step_counts
    )
    for name, model, latent_dim, train_steps in grid:
        outline = outlines[name]
        alike: dict[object, dict[str, list[str]]] = {}
        for text in sweep.trained:
            loss = resolve(text)
            alone = autoencoders.resolve(model).variational or (
                mapping == "map" and bool(loss.scalars)
            )
            key = loss.channels, loss.family if alone else ""
            alike.setdefault(key, {}).setdefault(loss.family, []).append(text)
        for families in alike.values():
            whole = tuple(families)
            size = most or len(whole)
            for some in (whole[k : k + size] for k in range(0, len(whole), size)):
                kind = ProgramKind(
                    outline.images("train"),
                    outline.images("validation"),
                    outline.noise,
                    outline.pixels,
                    model,
                    latent_dim,
                    train_steps,
                    some,
                )
                texts = [text for family in some for text in families[family]]
                yield kind, name, tuple(texts)
