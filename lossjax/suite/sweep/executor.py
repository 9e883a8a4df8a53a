"""Trains runs on the devices and turns them into results.

One `Executor` owns the devices, the resident data and the compiled programs; the sweep
asks it for one chunk of runs at a time.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
from scipy.special import expit

from lossjax import METRICS, NUMERICS, platform, resolve
from lossjax.losses.links import sigmoid
from lossjax.losses.loss import Loss
from lossjax.losses.one_of import OneOf
from lossjax.metrics.diagnostics import DIAGNOSTICS, QUARTER, steps_to
from lossjax.models import autoencoders
from lossjax.suite.cli.errors import Interrupted
from lossjax.suite.config import Sweep
from lossjax.suite.data import Dataset
from lossjax.suite.data.dataset import Noise
from lossjax.suite.store.results import Result, Run
from lossjax.suite.store.test_images import Kept
from lossjax.suite.sweep.chunk import Chunk, Saved, Tick
from lossjax.suite.sweep.latent import LatentMeasure
from lossjax.suite.sweep.programs import network_of, settings_of
from lossjax.suite.sweep.resident import Resident
from lossjax.suite.sweep.source import source_hash
from lossjax.training.diagnoser import Diagnoser
from lossjax.training.program import Program, Trainer
from lossjax.training.replicas import Layout, Replica, make_mesh, stack
from lossjax.training.scoring import Scorer
from lossjax.training.settings import Settings
from lossjax.training.variational import VariationalScorer


@dataclass(frozen=True)
class Family:
    """What trains together: cells that share all but hyperparameters."""

    dataset: str
    model: str
    latent_dim: int
    train_steps: int
    loss: str


def family_of(run: Run) -> Family:
    """The family of a run."""
    return Family(
        run.dataset,
        run.model,
        run.latent_dim,
        run.train_steps,
        resolve(run.loss).family,
    )


@dataclass(frozen=True)
class _Kind:
    """What a compiled program depends on: the shapes of a family's data, not the data.

    So one program serves every dataset of the same split sizes and noise, and all loss
    families that can share it.
    """

    train: tuple[int, ...]
    validation: tuple[int, ...]
    noise: Noise | None
    model: str
    latent_dim: int
    train_steps: int
    losses: tuple[str, ...]


class Executor:
    """Compiles and runs everything a sweep needs on this machine's devices."""

    def __init__(
        self,
        sweep: Sweep,
        datasets: dict[str, Dataset],
        out: Path,
        say: Callable[[str], None],
        layout: Layout,
    ) -> None:
        self._sweep, self._datasets = sweep, datasets
        self.layout = layout
        self._mesh = make_mesh(self.layout)
        self._resident: dict[str, Resident] = {}
        self._networks: dict[
            tuple[tuple[int, int, int], str, int, int],
            tuple[autoencoders.Network, Scorer],
        ] = {}
        self._diagnosers: dict[
            tuple[autoencoders.Network, Noise | None], Diagnoser
        ] = {}
        self._programs: dict[_Kind, Future[Trainer]] = {}
        self._paces: dict[_Kind, int] = {}
        self._rehearsals: dict[_Kind, Future[None]] = {}
        self._variational: dict[_Kind, VariationalScorer] = {}
        self._compilers = ThreadPoolExecutor(2, thread_name_prefix="compile")
        self._provenance = platform.describe() | {
            "numerics": NUMERICS,
            "layout": vars(self.layout),
            "source": source_hash(),
        }
        made_by = {
            "numerics": NUMERICS,
            "versions": self._provenance["versions"],
            "device_kind": self._provenance["device_kind"],
            "mapping": self.layout.mapping,
        }
        self._saved = Saved(out, made_by, say)

    def prepare(self, family: Family) -> None:
        """Start compiling what a family needs in the background, once."""
        # Made here: two threads would make them twice.
        data, (network, _) = self._data(family), self._network(family)
        self._diagnoser(family)
        kind = self._kind(family)
        if kind in self._programs:
            return
        program = Program(network, self._settings(family), self.layout, self._mesh)
        place = family.dataset, family.model, family.loss
        run = Run(*place, 1e-3, 0, family.latent_dim, family.train_steps, {})
        replicas = stack([self._replica(run, data)], self.layout)
        shapes = replicas, data.train, data.validation
        self._programs[kind] = self._compilers.submit(program.compile, *shapes)
        resting = replicas._replace(active=np.zeros_like(replicas.active))
        self._rehearsals[kind] = self._compilers.submit(
            self._rehearse, family, program, resting
        )

    def ready(self, family: Family) -> bool:
        """Whether `prepare` has finished for the family."""
        return self._programs[self._kind(family)].done()

    def keep(self, families: Sequence[Family]) -> None:
        """Forget the programs and the data that none of these families needs."""
        kinds = {self._kind(family) for family in families}
        names = {family.dataset for family in families}
        kept = {k: p for k, p in self._programs.items() if k in kinds}
        done = 0 < len(kept) < len(self._programs)
        self._programs = kept
        self._rehearsals = {k: r for k, r in self._rehearsals.items() if k in kinds}
        self._variational = {k: v for k, v in self._variational.items() if k in kinds}
        self._resident = {k: r for k, r in self._resident.items() if k in names}
        if done:
            platform.return_memory()

    def step_of(self, run: Run) -> int:
        """How many steps of a run are saved."""
        return self._saved.step_of(run)

    def train(self, runs: Sequence[Run], tick: Tick) -> Iterator[Result]:
        """Train and score runs of one family, at most `layout.replicas` of them.

        All runs have the same `step_of`, and go on from there. `tick` is called between
        steps with the number of steps done since the last call, and may raise
        Interrupted: the state of every run is then saved.
        """
        began = time.monotonic()
        family = family_of(runs[0])
        kind = self._kind(family)
        trainer = self._programs[kind].result()
        self._rehearsed(kind, tick)
        data = self._data(family)
        _, scorer = self._network(family)
        replicas = stack([self._replica(run, data) for run in runs], self.layout)
        pace = self._paces.get(kind, 1)
        chunk = Chunk(trainer, replicas, runs, self._saved, self._mesh, pace)
        try:
            chunk.train(data.train, data.validation, self._looks(family), tick)
            self._paces[kind] = chunk.pace
            scored = data.scores(
                scorer,
                chunk.state.weights,
                replicas.active,
                resolve(family.loss),
                worst_by=self._worst_by,
                tick=tick,
                latent=self._latent(family, replicas, chunk.state.weights),
            )
            measured = self._diagnosed(family, chunk, tick)
        except Interrupted:
            chunk.save()
            raise

        diverged = np.asarray(chunk.state.diverged_step)
        provenance = self._provenance | {
            "sharing": kind.losses,
            "steps_per_call": chunk.steps_per_call,
            "seconds": round((time.monotonic() - began) / len(runs), 4),
        }
        for index, (run, place) in enumerate(zip(runs, chunk.slots, strict=True)):
            lost = int(diverged[place])
            yield Result(
                run,
                "ok" if lost < 0 else "diverged",
                diverged_step=None if lost < 0 else lost,
                validation_loss=float(chunk.validation_loss[place]),
                metrics={
                    name: float(values[place])
                    for name, values in scored.metrics.items()
                }
                | measured[index],
                curve=chunk.curves[index],
                gallery=scored.gallery[place],
                kept=self._kept(run, scored.kept[place]),
                drawn=scored.drawn[place]
                if scored.drawn and self._first(run)
                else None,
                provenance=provenance,
            )

    def _diagnosed(
        self, family: Family, chunk: Chunk, tick: Tick
    ) -> list[dict[str, float]]:
        """Every diagnostic of every run of a chunk, `diag_` before its name."""
        dataset, spread = self._datasets[family.dataset], self._data(family).spread
        measured = self._diagnoser(family).measure(
            chunk.replicas,
            chunk.state.weights,
            np.asarray(dataset.train.images),
            np.asarray(dataset.validation.images),
            tick,
        )
        found = []
        for place, curve in zip(chunk.slots, chunk.curves, strict=True):
            values = {name: float(each[place]) for name, each in measured.items()}
            seen = curve["step"], curve["validation_mse"]
            values["steps_to_quarter"] = steps_to(QUARTER * spread, spread, *seen)
            found.append({f"diag_{name}": values[name] for name in DIAGNOSTICS})
        return found

    @property
    def _worst_by(self) -> str:
        """What makes a test image the worst: the primary metric where it is one's."""
        primary = self._sweep.primary_metric
        return primary if primary in METRICS else "mse"

    def _kept(self, run: Run, kept: Kept) -> Kept:
        """Pictures of the worst test images only where they are shown: first seeds."""
        return kept if self._first(run) else dataclasses.replace(kept, worst=None)

    def _first(self, run: Run) -> bool:
        return run.seed == self._sweep.seeds[0]

    def _latent(
        self, family: Family, replicas: Replica, weights: jax.Array
    ) -> LatentMeasure | None:
        """What measures the runs of a variational family; None for any other."""
        network, _ = self._network(family)
        if network.latent is None:
            return None
        kind = self._kind(family)
        if kind not in self._variational:
            made = VariationalScorer(network, self.layout, self._mesh)
            self._variational[kind] = made
        return LatentMeasure(self._variational[kind], network, replicas, weights)

    def _looks(self, family: Family) -> list[int]:
        """Steps at which the learning curve is looked at, 0 first."""
        steps, points = family.train_steps, self._sweep.curve_points
        return sorted({round(steps * k / points) for k in range(points + 1)})

    def _replica(self, run: Run, data: Resident) -> Replica:
        loss = resolve(run.loss)
        among = [resolve(name) for name in self._sharing(run.model, loss)]
        chosen = OneOf.of(loss, among) if among else loss
        start = start_of(loss, data.mean, self._sweep.start_logit)
        return Replica(run.seed, run.learning_rate, chosen, start, True)

    def _sharing(self, model: str, loss: Loss) -> tuple[str, ...]:
        """The families that share a program with a loss; none where it has its own.

        Compiling a network once more costs more than a branch that is not taken. Side
        by side every branch is taken, scalars that are trained differ in number, and
        of a variational model some losses train on dequantised pixels.
        """
        variational = autoencoders.resolve(model).variational
        if self.layout.mapping != "map" or loss.scalars or variational:
            return ()
        named = [resolve(name) for name in self._sweep.losses]
        alike = [o for o in named if o.channels == loss.channels and not o.scalars]
        return tuple(dict.fromkeys(other.family for other in alike))

    def _kind(self, family: Family) -> _Kind:
        dataset = self._datasets[family.dataset]
        return _Kind(
            dataset.train.images.shape,
            dataset.validation.images.shape,
            dataset.noise,
            family.model,
            family.latent_dim,
            family.train_steps,
            self._sharing(family.model, resolve(family.loss)) or (family.loss,),
        )

    def _data(self, family: Family) -> Resident:
        name = family.dataset
        if name not in self._resident:
            self._resident[name] = Resident(self._datasets[name], self._mesh)
        return self._resident[name]

    def _network(self, family: Family) -> tuple[autoencoders.Network, Scorer]:
        """The network of a family, and what scores it: shared by losses alike."""
        sweep, channels = self._sweep, resolve(family.loss).channels
        image = self._datasets[family.dataset].image_shape
        key = (image, family.model, family.latent_dim, channels)
        if key not in self._networks:
            network = network_of(
                sweep, image, family.model, family.latent_dim, channels
            )
            losses = [resolve(name) for name in sweep.losses]
            alike = [loss for loss in losses if loss.channels == channels]
            scorer = Scorer(network, alike, self.layout, self._mesh)
            self._networks[key] = network, scorer
        return self._networks[key]

    def _settings(self, family: Family) -> Settings:
        noise = self._datasets[family.dataset].noise
        return settings_of(self._sweep, family.train_steps, noise)

    def _diagnoser(self, family: Family) -> Diagnoser:
        network, _ = self._network(family)
        key = network, self._datasets[family.dataset].noise
        if key not in self._diagnosers:
            settings = self._settings(family)
            self._diagnosers[key] = Diagnoser(
                network, settings, self.layout, self._mesh
            )
        return self._diagnosers[key]

    def _rehearse(self, family: Family, program: Program, resting: Replica) -> None:
        """Compile what comes before and after training."""
        data, (_, scorer) = self._data(family), self._network(family)
        weights = program.init(resting).weights
        data.rehearse(scorer, weights, resolve(family.loss))
        dataset = self._datasets[family.dataset]
        parts = dataset.train.images, dataset.validation.images
        self._diagnoser(family).rehearse(resting, weights, *map(np.asarray, parts))

    def _rehearsed(self, kind: _Kind, tick: Tick) -> None:
        """Wait until all is compiled: two threads that ask at once compile twice."""
        future = self._rehearsals[kind]
        while not future.done():
            tick(0)
            time.sleep(0.02)
        future.result()


def start_of(loss: Loss, mean: np.ndarray, logit: float | None) -> np.ndarray:
    """Raw output that the head's bias starts at: of the mean image, or of a logit's."""
    if logit is None:
        return loss.start(mean)
    start = loss.start(np.full_like(mean, expit(logit)))
    if loss.link is sigmoid:
        # Not by way of an image, which is kept half a grey level from 0 and 1.
        start[: len(mean)] = logit
    return start
