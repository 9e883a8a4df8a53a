"""Trains runs on the devices and turns them into results.

One `Executor` owns the devices, the resident data and the compiled programs; the sweep
asks it for one chunk of runs at a time.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from experiments.commandline import ROOT
from experiments.config import Sweep
from experiments.data import Dataset
from experiments.store import Result, Run
from lossjax import CODE_METRICS, METRICS, NUMERICS, Loss, models, platform, resolve
from lossjax.training import (
    PROBE_BLOCKS,
    Blocks,
    Program,
    Replica,
    Scorer,
    Settings,
    State,
    blocks_of,
    make_mesh,
    plan_layout,
    slot,
    stack,
)

GALLERY = 8  # test images whose read-outs are kept with every final run
_CODE_IMAGES = 10_000  # most training images whose codes judge a code
_CALL_SECONDS = 1.0  # how long one call to the devices may take; Ctrl-C waits for it

Tick = Callable[[int], None]  # told how many steps of runs were done; may raise


@dataclass(frozen=True)
class Family:
    """What one compiled program serves: cells that share all but hyperparameters."""

    dataset: str
    model: str
    loss: str


def family_of(run: Run) -> Family:
    """The family of a run."""
    return Family(run.dataset, run.model, resolve(run.loss).family)


@dataclass(frozen=True)
class _Resident:
    """A dataset on the devices."""

    source: Dataset
    mean: np.ndarray  # (channels,), intensity, over the training split
    train: jax.Array
    validation: Blocks
    scored: dict[str, Blocks]  # validation, test, and train for its codes


class Executor:
    """Compiles and runs everything a sweep needs on this machine's devices."""

    def __init__(self, sweep: Sweep, datasets: dict[str, Dataset]) -> None:
        self._sweep = sweep
        at_once = max(
            len(sweep.seeds), len(sweep.learning_rates) * len(sweep.tuning_seeds)
        )
        devices = jax.local_devices()
        self.layout = plan_layout(jax.default_backend(), len(devices), at_once)
        self._mesh = make_mesh(self.layout)
        self._settings = Settings(sweep.train_steps, sweep.batch_size)
        self._everywhere = NamedSharding(self._mesh, PartitionSpec())
        self._datasets = datasets
        self._resident: dict[str, _Resident] = {}
        self._networks: dict[tuple[str, str, int], models.Network] = {}
        self._scorers: dict[tuple[str, str, int], Scorer] = {}
        self._code_metrics: dict[tuple[str, str], Any] = {}
        self._programs: dict[Family, Future[Program]] = {}
        self._compilers = ThreadPoolExecutor(2, thread_name_prefix="compile")
        self._provenance = platform.describe() | {
            "numerics": NUMERICS,
            "layout": vars(self.layout),
            "source": _source_hash(),
        }

    def prepare(self, family: Family) -> None:
        """Start compiling a family's program in the background, once."""
        if family not in self._programs:
            self._resident_of(family.dataset)
            self._network(family.dataset, family.model, resolve(family.loss).channels)
            self._programs[family] = self._compilers.submit(self._compile, family)

    def ready(self, family: Family) -> bool:
        """Whether `prepare` has finished for the family."""
        return self._programs[family].done()

    def release(self, family: Family) -> None:
        """Forget a program that no run needs any more."""
        self._programs.pop(family, None)

    def train(self, runs: Sequence[Run], tick: Tick) -> Iterator[Result]:
        """Train and score runs of one family, at most `layout.replicas` of them.

        `tick` is called between steps with the number of steps done since the last
        call, and may raise to stop: nothing of the chunk is then kept.
        """
        began = time.monotonic()
        family = family_of(runs[0])
        program = self._programs[family].result()
        data = self._resident_of(family.dataset)
        replicas = stack([self._replica(run, data) for run in runs], self.layout)
        state, curves, final_loss = self._steps(
            program, replicas, data, len(runs), tick
        )
        slots = [slot(index, self.layout) for index in range(len(runs))]
        network = (family.dataset, family.model, resolve(family.loss).channels)
        final = any(run.stage == "final" for run in runs)
        scores, gallery = self._scores(
            network, resolve(family.loss), state, data, final
        )
        diverged = np.asarray(state.diverged_step)
        provenance = self._provenance | {
            "seconds": round((time.monotonic() - began) / len(runs), 4)
        }
        for run, place in zip(runs, slots, strict=True):
            lost = int(diverged[place])
            kept = "" if run.stage == "final" else "val_"
            yield Result(
                run,
                "ok" if lost < 0 else "diverged",
                diverged_step=None if lost < 0 else lost,
                validation_loss=float(final_loss[place]),
                metrics={
                    name: float(values[place])
                    for name, values in scores.items()
                    if name.startswith(kept)
                },
                curve={
                    name: _listed(values[:, place]) for name, values in curves.items()
                }
                | {"step": [float(look) for look in self._looks()[1:]]},
                gallery=gallery[place] if run.stage == "final" else None,
                provenance=provenance,
            )

    def _steps(
        self,
        program: Program,
        replicas: Replica,
        data: _Resident,
        runs: int,
        tick: Tick,
    ) -> tuple[State, dict[str, np.ndarray], np.ndarray]:
        """All steps of a chunk, looked at as often as the config says."""
        state = program.init(replicas)
        everything = len(data.validation.images)
        rows: dict[str, list[np.ndarray]] = {
            "train_loss": [],
            "validation_loss": [],
            "validation_mse": [],
        }
        looks = self._looks()
        pace = 1  # steps a call; grows until a call takes long enough
        step = 0
        total = taken = np.zeros(self.layout.replicas)
        for look in looks[1:]:
            while step < look:
                stop = min(step + pace, look)
                blocks = 0
                if stop == look:
                    blocks = everything if look == looks[-1] else PROBE_BLOCKS
                called = time.monotonic()
                state, progress = program.advance(
                    replicas,
                    state,
                    data.train,
                    data.validation,
                    step,
                    stop,
                    min(blocks, everything),
                )
                total = total + np.asarray(progress.train_total, np.float64)
                taken = taken + np.asarray(progress.train_steps)
                if time.monotonic() - called < _CALL_SECONDS / 2:
                    pace *= 2
                elif time.monotonic() - called > _CALL_SECONDS:
                    pace = max(1, pace // 2)
                tick((stop - step) * runs)
                step = stop
            with np.errstate(invalid="ignore"):
                rows["train_loss"].append(np.asarray(total / taken))
            rows["validation_loss"].append(np.asarray(progress.probe_loss))
            rows["validation_mse"].append(np.asarray(progress.probe_mse))
            total = taken = np.zeros(self.layout.replicas)
        curves = {name: np.stack(values) for name, values in rows.items()}
        return state, curves, np.asarray(progress.validation_loss)

    def _looks(self) -> list[int]:
        """Steps at which the learning curve is looked at, 0 first."""
        steps, points = self._sweep.train_steps, self._sweep.curve_points
        return sorted({round(steps * k / points) for k in range(points + 1)})

    def _scores(
        self,
        key: tuple[str, str, int],
        loss: Loss,
        state: State,
        data: _Resident,
        final: bool,
    ) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Means of every metric, {prefix_metric: (slots,)}, and test read-outs."""
        scorer = self._scorers[key]
        scores: dict[str, np.ndarray] = {}
        gallery = np.zeros(0, np.uint8)
        for split in ("val", "test") if final else ("val",):
            blocks = data.scored[split]
            parts = []
            for images in blocks.images:
                metrics, read_outs = scorer.scores(state.weights, loss, images)
                parts.append({name: np.asarray(v) for name, v in metrics.items()})
                if split == "test" and len(parts) == 1:
                    gallery = np.asarray(read_outs[:, :GALLERY])
            for name in METRICS:
                values = _whole([part[name] for part in parts], blocks)
                scores[f"{split}_{name}"] = values.mean(1, dtype=np.float64)
        if final and data.source.train.labels is not None:
            codes = {
                split: _whole(
                    [
                        np.asarray(scorer.codes(state.weights, images))
                        for images in blocks.images
                    ],
                    blocks,
                )
                for split, blocks in data.scored.items()
            }
            scores |= self._code_scores(data, codes)
        return scores, gallery

    def _code_scores(
        self, data: _Resident, codes: dict[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """What the codes say of the labels, where there are labels."""
        scores: dict[str, np.ndarray] = {}
        known = data.source.train.labels
        for split, there in (
            ("val", data.source.validation),
            ("test", data.source.test),
        ):
            if known is None or there.labels is None:
                continue
            for name, metric in CODE_METRICS.items():
                key = (data.source.name, f"{split}_{name}")
                if key not in self._code_metrics:
                    near = jnp.asarray(known[: codes["train"].shape[1]])
                    far = jnp.asarray(there.labels)
                    self._code_metrics[key] = jax.jit(
                        lambda a, b, fn=metric.fn, near=near, far=far: fn(
                            a, near, b, far
                        )
                    )
                scored = self._code_metrics[key]
                scores[f"{split}_{name}"] = np.array(
                    [
                        float(scored(a, b))
                        for a, b in zip(codes["train"], codes[split], strict=True)
                    ]
                )
        return scores

    def _replica(self, run: Run, data: _Resident) -> Replica:
        loss = resolve(run.loss)
        return Replica(run.seed, run.learning_rate, loss, loss.start(data.mean), True)

    def _resident_of(self, name: str) -> _Resident:
        if name not in self._resident:
            source = self._datasets[name]
            train = np.asarray(source.train.images)
            coded = train[:_CODE_IMAGES]
            held = {
                "val": blocks_of(np.asarray(source.validation.images)),
                "test": blocks_of(np.asarray(source.test.images)),
                "train": blocks_of(coded),
            }
            held = {k: jax.device_put(v, self._everywhere) for k, v in held.items()}
            mean = train.mean((0, 1, 2), dtype=np.float64) / 255
            on_device = jax.device_put(train, self._everywhere)
            self._resident[name] = _Resident(source, mean, on_device, held["val"], held)
        return self._resident[name]

    def _network(self, dataset: str, model: str, channels: int) -> models.Network:
        key = (dataset, model, channels)
        if key not in self._networks:
            sweep = self._sweep
            shape = models.Shape(
                self._datasets[dataset].image_shape,
                channels,
                sweep.latent_dim,
                sweep.width,
                sweep.hidden,
            )
            self._networks[key] = models.build(model, shape)
            losses = [resolve(name) for name in sweep.losses]
            alike = [loss for loss in losses if loss.channels == channels]
            self._scorers[key] = Scorer(
                self._networks[key], alike, self.layout, self._mesh
            )
        return self._networks[key]

    def _compile(self, family: Family) -> Program:
        loss = resolve(family.loss)
        data = self._resident_of(family.dataset)
        network = self._network(family.dataset, family.model, loss.channels)
        program = Program(network, loss, self._settings, self.layout, self._mesh)
        replica = Replica(0, 1e-3, loss, loss.start(data.mean), True)
        example = stack([replica], self.layout)
        program.compile(example, data.train, data.validation)
        return program


def _whole(parts: list[np.ndarray], blocks: Blocks) -> np.ndarray:
    """(slots, images, ...) of a split from its blocks', without the filling."""
    return np.concatenate(parts, axis=1)[:, np.asarray(blocks.weights).reshape(-1) > 0]


def _listed(values: np.ndarray) -> list[float]:
    """Floats of a curve, to the seven digits that a float32 carries."""
    return [
        float(f"{value:.7g}") if math.isfinite(value) else math.nan for value in values
    ]


def _source_hash() -> str:
    """sha256 of the code that computed, in path order."""
    files = [
        *Path(ROOT, "lossjax").rglob("*.py"),
        *Path(ROOT, "experiments").rglob("*.py"),
    ]
    text = b"".join(file.read_bytes() for file in sorted(files))
    return hashlib.sha256(text).hexdigest()
