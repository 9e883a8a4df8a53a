"""Trains runs on the devices and turns them into results.

One `Worker` owns the devices, the resident data and the compiled programs; the sweep
asks it for one pack of runs at a time.
"""

import dataclasses
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from lossjax import METRICS, NUMERICS, platform, resolve
from lossjax.metrics.diagnostics import DIAGNOSTICS, QUARTER, steps_to
from lossjax.models import autoencoders
from lossjax.suite.cli.errors import Interrupted
from lossjax.suite.config import Sweep
from lossjax.suite.data import Dataset, Outline
from lossjax.suite.store.parameters import Parameters
from lossjax.suite.store.results import Result, Run
from lossjax.suite.store.test_images import Kept
from lossjax.suite.sweep.chunk import Chunk, Saved, Tick
from lossjax.suite.sweep.latent import LatentMeasure
from lossjax.suite.sweep.packing import Slots, slots_of
from lossjax.suite.sweep.programs import ProgramKind, kinds
from lossjax.suite.sweep.resident import Resident
from lossjax.training.program import Program, Trainer
from lossjax.training.replicas import Layout, Replica, make_mesh
from lossjax.training.weights import named

_COMPILERS = 8  # programs under compilation at once, at most: one may take 3 GB
_TRIALS = 5  # calls of which the fastest counts


class RunGroup(NamedTuple):
    """What is trained together: runs of one kind of program on one dataset."""

    dataset: str
    kind: ProgramKind


class Prepared(NamedTuple):
    """A kind's program under compilation, and what comes before and after training."""

    trainer: Future[Trainer]
    rehearsals: tuple[Future[None], ...]
    pace: list[int]  # steps of a call, those of all runs together


class Worker:
    """Compiles and runs everything a sweep needs on this machine's devices."""

    def __init__(
        self,
        sweep: Sweep,
        datasets: dict[str, Dataset],
        out: Path,
        say: Callable[[str], None],
        layout: Layout,
        source: str,
        *,
        keep_models: bool = False,
    ) -> None:
        self._sweep, self._datasets = sweep, datasets
        self._keep_models = keep_models
        self._out, self._say = out, say
        self._mesh = make_mesh(layout)
        self._resident: dict[str, Resident] = {}
        self._programs: dict[ProgramKind, Prepared] = {}
        cores = len(os.sched_getaffinity(0))
        compilers = min(max(2, cores), _COMPILERS)
        self._compilers = ThreadPoolExecutor(compilers, thread_name_prefix="compile")
        self._made = platform.describe() | {"numerics": NUMERICS, "source": source}
        self._families: int | None = None
        self._lay_out(layout)

    def _lay_out(self, layout: Layout) -> None:
        """Take up a layout: what was compiled for another is forgotten."""
        self.layout = layout
        self._programs.clear()
        outlines = {name: Outline.of(data) for name, data in self._datasets.items()}
        most = None if layout.mapping == "map" else layout.each
        limits = [limit for limit in (most, self._families) if limit is not None]
        self._groups = {
            (name, kind.model, kind.latent_dim, kind.train_steps, text): RunGroup(
                name, kind
            )
            for kind, name, texts in kinds(
                self._sweep, outlines, layout.mapping, min(limits, default=None)
            )
            for text in texts
        }
        self.saved = Saved(
            self._out,
            {
                **{k: self._made[k] for k in ("numerics", "versions", "device_kind")},
                "mapping": layout.mapping,
            },
            self._say,
        )

    @property
    def undecided(self) -> bool:
        """Whether `choose` is to be asked for the lowering of convolutions."""
        gpu = self._mesh.devices.flat[0].platform == "gpu"
        return gpu and self.layout.mapping == "vmap" and not self.layout.lowering

    def choose(self, group: RunGroup) -> Sequence[Future[Any]]:
        """Lay out with the faster lowering of convolutions: each trains for a moment.

        Native ones of many replicas are grouped, which some libraries are slow at.
        Meanwhile what measures is compiled, which is the same for both.

        Returns:
          What is done as soon as the group can be trained.
        """
        slots, program, batched = self._made_for(group.kind, self.layout)
        rehearsals = self._rehearsals(group, slots, program, batched)
        compiling = {
            lowering: self._compilers.submit(self._lowered, group, lowering)
            for lowering in autoencoders.LOWERINGS
        }
        choice = self._compilers.submit(self._choose, group, compiling, rehearsals)
        return choice, *rehearsals

    def _lowered(self, group: RunGroup, lowering: str) -> tuple[Trainer, Replica]:
        """A group's trainer in that lowering, and replicas to try it on."""
        data, layout = self._data(group.dataset), self.layout
        layout = dataclasses.replace(layout, lowering=lowering)
        _, program, batched = self._made_for(group.kind, layout)
        return program.compile(batched, data.train, data.validation), batched

    def _choose(
        self,
        group: RunGroup,
        compiling: Mapping[str, Future[tuple[Trainer, Replica]]],
        rehearsals: tuple[Future[None], ...],
    ) -> None:
        data = self._data(group.dataset)
        failures = [future.exception() for future in compiling.values()]
        trainers = {k: v.result() for k, v in compiling.items() if not v.exception()}
        if not trainers:
            raise next(filter(None, failures))
        taken: dict[str, float] = {}
        for lowering, (trainer, batched) in trainers.items():
            state, trips, times = trainer.init(batched), trainer.program.trips, []
            for _ in range(1 + _TRIALS):  # the first call loads the program
                began = time.monotonic()
                state, progress = trainer.advance(
                    batched, state, data.train, data.validation, 0, trips, 0
                )
                jax.block_until_ready((state, progress))
                times.append((time.monotonic() - began) / trips)
            taken[lowering] = min(times)
        best = min(taken, key=lambda lowering: taken[lowering])
        self._made["seconds_a_step"] = taken
        self._lay_out(dataclasses.replace(self.layout, lowering=best))
        chosen: Future[Trainer] = Future()
        chosen.set_result(trainers[best][0])
        self._programs[group.kind] = Prepared(chosen, rehearsals, [1])

    def _made_for(
        self, kind: ProgramKind, layout: Layout
    ) -> tuple[Slots, Program, Replica]:
        """A kind's slots, its program, and replicas to compile that for."""
        slots = slots_of(self._sweep, kind, layout)
        made = slots.layout, self._mesh, slots.segments
        batched, _, _ = kind.shapes(slots.layout, slots.segments)
        return slots, kind.program(self._sweep, *made), batched

    def group_of(self, run: Run) -> RunGroup:
        """What a run is trained with."""
        sizes = run.latent_dim, run.train_steps
        return self._groups[run.dataset, run.model, *sizes, run.loss]

    def prepare(self, group: RunGroup) -> Sequence[Future[Any]]:
        """Start compiling what a group needs in the background, once.

        Returns:
          What is done as soon as the group can be trained.
        """
        data, kind = self._data(group.dataset), group.kind
        if kind not in self._programs:
            slots, program, batched = self._made_for(kind, self.layout)
            compiling = self._compilers.submit(
                program.compile, batched, data.train, data.validation
            )
            rehearsals = self._rehearsals(group, slots, program, batched)
            self._programs[kind] = Prepared(compiling, rehearsals, [1])
        trainer, rehearsals, _ = self._programs[kind]
        return trainer, *rehearsals

    def keep(self, groups: Iterable[RunGroup]) -> None:
        """Forget the programs and the data that none of these groups needs."""
        groups = list(groups)
        names, kept = {g.dataset for g in groups}, {g.kind for g in groups}
        before = len(self._programs)
        self._programs = {k: p for k, p in self._programs.items() if k in kept}
        self._resident = {k: r for k, r in self._resident.items() if k in names}
        if 0 < len(self._programs) < before:
            platform.return_memory()

    def pack(self, runs: Iterable[Run]) -> list[Run]:
        """Of runs of one group the first that go into one program from one step on."""
        runs = list(runs)
        slots = slots_of(self._sweep, self.group_of(runs[0]).kind, self.layout)
        packed = [run for run, _ in slots.pack(runs)]
        steps = [self.saved.step_of(run) for run in packed]
        return [
            run for run, step in zip(packed, steps, strict=True) if step == steps[0]
        ]

    def relieved(self, error: BaseException, runs: Sequence[Run]) -> bool:
        """Whether these runs, which failed together, may be tried in smaller programs.

        Where memory ran out side by side, half as many replicas go into a program;
        where a program that losses share does not compile, each family gets its own.
        """
        group = self.group_of(runs[0])
        full = "RESOURCE_EXHAUSTED" in str(error) and self.layout.mapping == "vmap"
        if full and self.layout.each > 1:
            half = self.layout.devices * (self.layout.each // 2)
            self._say(f"memory ran out: a program now trains up to {half} runs")
            self._lay_out(dataclasses.replace(self.layout, replicas=half))
            return True
        failed = any(future.exception() for future in self.prepare(group))
        if failed and len(group.kind.families) > 1:
            self._families = 1
            self._lay_out(self.layout)
            return True
        return False

    def train(self, runs: Sequence[Run], tick: Tick) -> Iterator[Result]:
        """Train and score runs that `pack` gave.

        All have the same `saved.step_of`, and go on from there. `tick` is called
        between steps with the number of steps done since the last call, and may raise
        Interrupted: the state of every run is then saved.
        """
        began = time.monotonic()
        group = self.group_of(runs[0])
        sweep, kind, data = self._sweep, group.kind, self._data(group.dataset)
        self.prepare(group)
        prepared = self._programs[kind]
        trainer = prepared.trainer.result()
        for rehearsal in prepared.rehearsals:
            rehearsal.result()
        slots = slots_of(sweep, kind, self.layout)
        tools = kind.instruments(sweep, slots.layout, self._mesh)
        packed = slots.pack(runs)
        runs, places = zip(*packed, strict=True)
        losses = [resolve(run.loss) for run in runs]
        replicas = slots.stack(sweep, kind, packed, data.mean)
        in_slot = dict(zip(places, losses, strict=True))
        pace = prepared.pace
        chunk = Chunk(trainer, replicas, packed, self.saved, self._mesh, pace[0])
        try:
            chunk.train(data.train, data.validation, self._looks(kind), tick)
            pace[0] = chunk.pace
            weights, latent = chunk.state.weights, None
            if tools.variational is not None:
                network = kind.network(sweep, slots.layout)
                latent = LatentMeasure(tools.variational, network, replicas, weights)
            scored = data.scores(
                tools.scorer,
                weights,
                replicas.active,
                [in_slot.get(k, losses[0]) for k in range(slots.layout.replicas)],
                worst_by=self._worst_by,
                tick=tick,
                latent=latent,
            )
            dataset = self._datasets[group.dataset]
            measured = tools.diagnoser.measure(
                replicas,
                weights,
                np.asarray(dataset.train.images),
                np.asarray(dataset.validation.images),
                tick,
            )
        except Interrupted:
            chunk.save()
            raise

        diverged = np.asarray(chunk.state.diverged_step)
        provenance = self._made | {
            "layout": self.layout.record,
            "sharing": kind.families,
            "steps_per_call": chunk.steps_per_call,
            "seconds": round((time.monotonic() - began) / len(runs), 4),
        }
        if slots.layout.mapping == "vmap":
            provenance["segments"] = slots.segments
        for (run, place), curve in zip(packed, chunk.curves, strict=True):
            if self._keep_models:
                self._save_model(run, kind, np.asarray(weights[place]))
            lost = int(diverged[place])
            diagnosed = {name: float(each[place]) for name, each in measured.items()}
            seen = curve["step"], curve["validation_mse"]
            quarter = QUARTER * data.spread
            diagnosed["steps_to_quarter"] = steps_to(quarter, data.spread, *seen)
            yield Result(
                run,
                "ok" if lost < 0 else "diverged",
                diverged_step=None if lost < 0 else lost,
                validation_loss=float(chunk.validation_loss[place]),
                metrics={
                    name: float(values[place])
                    for name, values in scored.metrics.items()
                }
                | {f"diag_{name}": diagnosed[name] for name in DIAGNOSTICS},
                curve=curve,
                gallery=scored.gallery[place],
                kept=self._kept(run, scored.kept[place]),
                drawn=scored.drawn[place]
                if scored.drawn and self._first(run)
                else None,
                provenance=provenance,
            )

    def _save_model(self, run: Run, kind: ProgramKind, weights: np.ndarray) -> None:
        network = kind.network(self._sweep, self.layout)
        arrays = named(network, resolve(run.loss), weights)
        height, width, channels = kind.train[1:]
        image = height, width, channels
        Parameters(run, self._sweep.to_json(), image, arrays).save(self._out)

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

    def _looks(self, kind: ProgramKind) -> list[int]:
        """Steps at which the learning curve is looked at, 0 first."""
        steps, points = kind.train_steps, self._sweep.curve_points
        return sorted({round(steps * k / points) for k in range(points + 1)})

    def _data(self, name: str) -> Resident:
        if name not in self._resident:
            mapping = self.layout.mapping
            self._resident[name] = Resident(self._datasets[name], self._mesh, mapping)
        return self._resident[name]

    def _rehearsals(
        self, group: RunGroup, slots: Slots, program: Program, batched: Replica
    ) -> tuple[Future[None], ...]:
        """Start compiling what comes before and after training; every slot rests."""
        resting = batched._replace(active=np.zeros_like(batched.active))
        # Made here: two threads would make them twice.
        tools = group.kind.instruments(self._sweep, slots.layout, self._mesh)
        data, dataset = self._data(group.dataset), self._datasets[group.dataset]
        loss = resolve(group.kind.families[0])
        begun = self._compilers.submit(program.init, resting)

        def scores() -> None:
            data.rehearse_scores(tools.scorer, begun.result().weights, loss)

        def codes() -> None:
            data.rehearse_codes(tools.scorer, begun.result().weights)

        def diagnostics() -> None:
            weights = begun.result().weights
            parts = dataset.train.images, dataset.validation.images
            tools.diagnoser.rehearse(resting, weights, *map(np.asarray, parts))

        jobs = scores, codes, diagnostics
        return tuple(self._compilers.submit(job) for job in jobs)
