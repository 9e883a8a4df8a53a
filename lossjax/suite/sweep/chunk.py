"""A chunk of runs under training: stepped, looked at, saved, resumed."""

import functools
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from lossjax.suite.store import checkpoint
from lossjax.suite.store.results import Run
from lossjax.training.probes import PROBE_BLOCKS, Progress
from lossjax.training.program import Trainer
from lossjax.training.replicas import Blocks, Replica, put
from lossjax.training.step import State

Curve = dict[str, list[float]]
Tick = Callable[[int], None]  # told how many steps of runs were done; may raise

_CALL_SECONDS = 1.0  # how long one call to the devices may take; Ctrl-C waits for it
_SAVE_SECONDS = 30.0  # how much of a long run a crash may cost
_SAVE_SHARE = 20  # and that many times what saving took: at most a twentieth is lost
_CURVES = ("step", "train_loss", "validation_loss", "validation_mse")


@dataclass(frozen=True)
class Saved:
    """Where and by whom states are saved.

    `made_by` is all that must be equal for the bits to go on as they were; `say` is
    told of a state that is damaged.
    """

    out: Path
    made_by: Mapping[str, Any]
    say: Callable[[str], None]

    @functools.cached_property
    def states(self) -> checkpoint.States:
        """What holds them."""
        return checkpoint.states_of(self.out)

    def of(self, run: Run) -> checkpoint.Checkpoint | None:
        """The state of a run that can be gone on with, if there is one."""
        try:
            return self.states.read(run, self.made_by)
        except ValueError as error:
            self.say(f"damaged, begun again: {error}")
            self.states.discard([run])
            return None

    def step_of(self, run: Run) -> int:
        """How many steps of a run are saved."""
        saved = self.of(run)
        return 0 if saved is None else saved.step


class Chunk:
    """Runs that one program trains together; all begin at the same saved step.

    `packed` are the runs with their slots. `pace` is how many steps a call takes, those
    of all runs together: what the chunk before came to. It grows until a call takes
    long enough.
    """

    def __init__(
        self,
        trainer: Trainer,
        replicas: Replica,
        packed: Sequence[tuple[Run, int]],
        saved: Saved,
        mesh: Mesh,
        pace: int,
    ) -> None:
        self._trainer, self.replicas = trainer, replicas
        self._saved, self._mesh = saved, mesh
        runs, self.slots = zip(*packed, strict=True)
        self.runs: Sequence[Run] = runs
        self.curves: list[Curve] = [{name: [] for name in _CURVES} for _ in runs]
        self.state: State = trainer.init(replicas)
        self.step = 0
        self.steps_per_call = max(trainer.program.trips, pace // len(runs))
        self.validation_loss = np.full(trainer.layout.replicas, np.nan)
        self._resume()

    def train(
        self, train_u8: jax.Array, validation: Blocks, looks: Sequence[int], tick: Tick
    ) -> None:
        """Go on to the last of `looks`, the steps at which runs are looked at."""
        everything = len(validation.images)
        saved, wait = time.monotonic(), _SAVE_SECONDS
        scored = False
        replicas = put(self.replicas, self._mesh)
        while not scored:
            called = time.monotonic()
            look = next((look for look in looks if look > self.step), looks[-1])
            stop = min(self.step + self.steps_per_call, look)
            scored = stop == looks[-1]
            blocks = everything if scored else min(PROBE_BLOCKS, everything)
            self.state, progress = self._trainer.advance(
                replicas,
                self.state,
                train_u8,
                validation,
                self.step,
                stop,
                blocks if stop == look else 0,
                fresh=self.step in looks,
            )
            jax.block_until_ready(progress)
            if stop == look > self.step:
                self._look(look, progress)
            done, self.step = stop - self.step, stop
            took = time.monotonic() - called
            self._set_pace(done, took)
            tick(done * len(self.runs))
            if (began := time.monotonic()) - saved > wait:
                self.save()
                saved = time.monotonic()
                wait = max(_SAVE_SECONDS, _SAVE_SHARE * (saved - began))
        self.validation_loss = np.asarray(progress.validation_loss)

    @property
    def pace(self) -> int:
        """Steps of a call, those of all runs together."""
        return self.steps_per_call * len(self.runs)

    def save(self) -> None:
        """Save every run's state, to be gone on with by whoever comes next."""
        leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(self.state)]
        made_by, step = self._saved.made_by, self.step
        self._saved.states.save(
            (
                run,
                checkpoint.Checkpoint(
                    step, tuple(leaf[place] for leaf in leaves), curve, made_by
                ),
            )
            for run, place, curve in zip(
                self.runs, self.slots, self.curves, strict=True
            )
        )

    def _set_pace(self, steps: int, took: float) -> None:
        """A call of some steps and seconds says how many steps the next one takes."""
        if took < _CALL_SECONDS / 2 and steps == self.steps_per_call:
            self.steps_per_call *= 2
        elif took > _CALL_SECONDS:
            least = self._trainer.program.trips
            self.steps_per_call = max(least, self.steps_per_call // 2)

    def _resume(self) -> None:
        """Take up the saved states, if there are any."""
        saved = [self._saved.of(run) for run in self.runs]
        steps = {0 if one is None else one.step for one in saved}
        if steps == {0}:
            return
        if len(steps) > 1:
            raise ValueError(f"Chunk: runs at different steps {sorted(steps)}")
        leaves, tree = jax.tree.flatten(self.state)
        held = [np.array(leaf) for leaf in leaves]
        for run, place, one in zip(self.runs, self.slots, saved, strict=True):
            if one is None or not _fits(one, [whole[place] for whole in held]):
                self._saved.say(f"begun again: the state of {run.run_id} does not fit")
                return
        for place, curve, one in zip(self.slots, self.curves, saved, strict=True):
            assert one is not None
            curve.update({name: list(values) for name, values in one.curve.items()})
            for whole, leaf in zip(held, one.leaves, strict=True):
                whole[place] = leaf
        self.state = put(jax.tree.unflatten(tree, held), self._mesh)
        self.step = steps.pop()

    def _look(self, step: int, progress: Progress) -> None:
        """Add a point to every run's learning curve; nan where no step was taken."""
        steps = np.asarray(self.state.train_steps)
        total = np.asarray(self.state.train_total)
        train = total / np.where(steps > 0, steps, np.nan)
        probe = np.asarray(progress.probe_loss), np.asarray(progress.probe_mse)
        for curve, place in zip(self.curves, self.slots, strict=True):
            curve["step"].append(float(step))
            for name, values in zip(_CURVES[1:], (train, *probe), strict=True):
                # The seven digits that a float32 carries.
                curve[name].append(float(f"{values[place]:.7g}"))


def _fits(saved: checkpoint.Checkpoint, leaves: Sequence[np.ndarray]) -> bool:
    """Whether a saved state has a run's arrays and curves, whoever sealed it."""
    kinds = [(leaf.shape, leaf.dtype) for leaf in leaves]
    return (
        [(leaf.shape, leaf.dtype) for leaf in saved.leaves] == kinds
        and set(saved.curve) == set(_CURVES)
        and len({len(values) for values in saved.curve.values()}) == 1
    )
