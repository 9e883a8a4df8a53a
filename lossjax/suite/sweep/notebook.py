"""A sweep that is asked for in Python: its images, its time, its signals."""

import contextlib
import dataclasses
import hashlib
import importlib.util
import os
import signal
import sys
import uuid
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import jax
import numpy as np

from lossjax.suite import config, shipped, statistics
from lossjax.suite.cli.environment import STOPS
from lossjax.suite.cli.errors import Interrupted, UserError, unknown
from lossjax.suite.cli.signals import Interrupts
from lossjax.suite.cli.terminal import Terminal
from lossjax.suite.data import Dataset
from lossjax.suite.data.idx_names import find_idx
from lossjax.suite.report.display import Comparison
from lossjax.suite.store import ownership, parameters, places, sealing
from lossjax.suite.store import results as store
from lossjax.suite.sweep import (
    backend,
    data_checks,
    datasets,
    grid,
    output,
    timing,
    validation,
)
from lossjax.suite.sweep.description import describe
from lossjax.suite.wording import count

_RATES = (1e-3, 3e-3, 1e-2, 3e-2)
_FILES = (".npy", ".npz", ".h5", ".hdf5")


def compare(
    images: Any,
    asked: Mapping[str, Any],
    minutes: float | None,
    labels: Any,
    mask: Any,
    out: str | PathLike[str] | None,
    keep_models: str | None,
) -> Comparison:
    """See `lossjax.compare`; `asked` are fields of a config, a name in place of one."""
    refuse_wide("compare")
    if keep_models not in (None, *parameters.WHICH):
        raise unknown("keep_models", keep_models, parameters.WHICH)
    console = console_here()
    limit = None if "train_steps" in asked else minutes
    if limit is not None and not limit > 0:
        raise UserError(f"minutes = {limit}: must be a number above 0, or None")
    with contextlib.ExitStack() as refused:
        sweep = asked_for(named(images, labels, mask, refused), asked)
        backend.prepare(sweep)
        sweep = validation.validate(sweep)
        place = _place(sweep, limit, out)
        output.check(place)
        ownership.check(place)
        loaded = datasets.load(sweep)
        backend.start(sweep, None, console)
        notes = data_checks.check(sweep, loaded)
        refused.pop_all()
    if limit is not None:
        sweep = _within(sweep, loaded, limit, place, console)
    with resumable("compare"):
        description = describe(sweep, loaded)
        output.make(place)
        for line in notes:
            console.print(line, soft_wrap=True)
        train(sweep, loaded, description, place, console, keep_models)
    comparison = Comparison.of(place)
    console.print(f"the same sweep by itself: {comparison.command}", soft_wrap=True)
    return comparison


@contextlib.contextmanager
def resumable(name: str) -> Iterator[None]:
    """What stops a program, as Python says it."""
    try:
        yield
    except Interrupted as error:
        raise KeyboardInterrupt(
            f"{error}; every finished run is kept: call {name} again with the same "
            "arguments to resume"
        ) from None


def refuse_wide(name: str) -> None:
    """UserError where jax computes in 64 bits."""
    if jax.dtypes.canonicalize_dtype(np.float64) == np.float64:
        raise UserError(
            f"{name}: jax computes in 64 bits here, and a sweep does not: "
            "jax.config.update('jax_enable_x64', False) first"
        )


def asked_for(dataset: str, asked: Mapping[str, Any]) -> config.Sweep:
    """The config that is asked for; as many seeds as can decide, unless given.

    Nobody has looked at these images before: the learning rates reach further up than a
    config's do.
    """
    fields = {"datasets": (dataset,), **asked}
    for name, value in fields.items():
        if name in config.FIELDS and config.FIELDS[name].many:
            alone = isinstance(value, str | int | float)
            fields[name] = (value,) if alone else tuple(value)
    fields.setdefault("learning_rates", _RATES)
    if "seeds" not in fields:
        needed = statistics.seeds_needed(len(fields["losses"]) - 1)
        fields["seeds"] = tuple(range(needed))
    return config.resolve(config.sweep(**fields))


def named(images: Any, labels: Any, mask: Any, refused: contextlib.ExitStack) -> str:
    """The dataset's name; an array is kept as a file that the name leads to.

    Unless what is asked of it is refused: a new file then goes again.
    """
    beside = {"labels": labels, "mask": mask}
    beside = {name: one for name, one in beside.items() if one is not None}
    if isinstance(images, str | PathLike):
        if beside:
            raise UserError(
                f"{', '.join(beside)}: goes with an array; a file of arrays has its own"
            )
        path = Path(images).expanduser()
        if path.is_dir():
            return _folder(path.absolute())
        if path.suffix.lower() in _FILES and path.is_file():
            return f"arrays:{path.absolute()}"
        told = isinstance(images, PathLike) or images.startswith((".", "/", "~"))
        if told or (path.suffix and path.exists()):
            wrong = "is one file" if path.exists() else "does not exist"
            raise UserError(
                f"{images}: {wrong}; valid are a folder of pictures, a file of arrays "
                f"({', '.join(_FILES)}), or the name of a dataset"
            )
        return str(images)
    given = {"images": images, **beside}
    arrays = {name: np.asarray(one) for name, one in given.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "buif":
            raise UserError(
                f"compare: {name} of {array.dtype}; valid are arrays of numbers, a "
                "folder, a file, or the name of a dataset"
            )
    digest = hashlib.sha256()
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    file = (shipped.LOCAL / "arrays" / f"{digest.hexdigest()[:16]}.npz").absolute()
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh = file.with_name(f".{uuid.uuid4().hex}.npz")
        try:
            np.savez(fresh, **arrays)  # type: ignore[arg-type]
            os.replace(fresh, file)
            refused.callback(file.unlink, missing_ok=True)
        finally:
            fresh.unlink(missing_ok=True)
    return f"arrays:{file}"


def _folder(path: Path) -> str:
    """A folder's name as a dataset: of IDX files where it holds them, or pictures."""
    try:
        find_idx(str(path))
    except UserError:
        return f"images:{path}"
    return f"idx:{path}"


def _place(
    sweep: config.Sweep, minutes: float | None, out: str | PathLike[str] | None
) -> Path:
    """Where the sweep goes; another question goes elsewhere."""
    if out is not None:
        return places.parse(os.fspath(out))
    asked = {"config": sweep.to_json(), "minutes": minutes}
    return (shipped.LOCAL / f"compare-{sealing.digest(asked)[:8]}").absolute()


def _within(
    sweep: config.Sweep,
    loaded: Mapping[str, Dataset],
    minutes: float,
    out: Path,
    console: Terminal,
) -> config.Sweep:
    """The sweep with the steps that fit the minutes, or those of what is begun."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        if (held := begun(store.read_sweep(out), sweep, "train_steps")) is not None:
            return held
    steps, seconds = timing.steps_within(sweep, loaded, 60 * minutes)
    console.print(
        f"{count(sweep.arms * sweep.at_once, 'run')} of {steps} steps: about "
        f"{seconds / 60:.1f} minutes"
        + ("; fewer say little" if seconds > 60 * minutes else ""),
        soft_wrap=True,
    )
    return dataclasses.replace(sweep, train_steps=steps)


def begun(
    description: Mapping[str, Any], sweep: config.Sweep, *planned: str
) -> config.Sweep | None:
    """The sweep described, if only the fields that a plan decides are others."""
    held = config.Sweep.from_json(description["config"])
    same = {name: getattr(sweep, name) for name in planned}
    return held if dataclasses.replace(held, **same) == sweep else None


def train(
    sweep: config.Sweep,
    loaded: dict[str, Dataset],
    description: dict[str, Any],
    out: Path,
    console: Terminal,
    keep_models: str | None,
) -> None:
    """Store what the sweep is, and train what of it is not stored."""
    with _stoppable() as interrupts:
        ownership.discard_temporaries(out)
        store.write_sweep(out, description)
        with interrupts.held():
            grid.train(
                *(sweep, loaded, description, out, (0, 1), interrupts, console),
                keep_models=keep_models,
            )


@contextlib.contextmanager
def _stoppable() -> Iterator[Interrupts]:
    """Signals stop between steps in here; afterwards they do what they did."""
    before = {number: signal.getsignal(number) for number in STOPS}
    try:
        yield Interrupts()
    finally:
        for number, handler in before.items():
            with contextlib.suppress(ValueError):  # not in the main thread
                signal.signal(number, handler)


def console_here() -> Terminal:
    """Progress as a bar; plain lines in a notebook that has no widgets to show one."""
    bare = "IPython" in sys.modules and importlib.util.find_spec("ipywidgets") is None
    return Terminal(force_jupyter=False, width=100) if bare else Terminal()
