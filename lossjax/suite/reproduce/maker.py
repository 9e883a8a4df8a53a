"""Makes a study's rows: trains its grids, runs its steps. The one that needs jax."""

import contextlib
import dataclasses
import hashlib
import json
import os
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from lossjax import NUMERICS, platform
from lossjax.models.pixels import BYTES
from lossjax.suite import data
from lossjax.suite.cli.errors import UserError
from lossjax.suite.cli.signals import Interrupts
from lossjax.suite.config import Sweep
from lossjax.suite.data import Dataset
from lossjax.suite.report.inert import slug
from lossjax.suite.reproduce import folder, rows
from lossjax.suite.reproduce.study import Size, Study, Task
from lossjax.suite.store import ownership, results, sealing
from lossjax.suite.sweep import backend, grid, output
from lossjax.suite.sweep.datasets import load
from lossjax.suite.sweep.description import describe
from lossjax.suite.sweep.validation import validate
from lossjax.suite.wording import count

_STEPS = "steps.json"


def check_data(
    studies: Sequence[Study], places: Mapping[str, str], *, wishes: bool = False
) -> list[str]:
    """Every dataset that a study needs must be there, before anything starts.

    Returns:
      A line for each that it only wishes for and that is absent.

    Raises:
      UserError: one is not; the line has the command that gets it. With `wishes`
        those that are wished for too, unless the study is in parts.
    """
    told = []
    for study in studies:
        for name in (*study.needs, *study.wishes):
            try:
                data.check(places.get(name, name))
            except data.DataError as error:
                where = "" if name in places else f"; or --data={name}=idx:DIR"
                line = f"study {study.name}: {error}{where}"
                must = wishes and not study.parts
                if name in study.needs or name in places or must:
                    raise UserError(line) from None
                told.append(f"left out of {line}")
    return told


class Maker:
    """Makes rows of one study after another."""

    def __init__(
        self,
        studies: Sequence[Study],
        out: Path,
        places: Mapping[str, str],
        size: Size,
        console: Console,
    ) -> None:
        output.check(out)
        self._out, self._size = out, size
        self._places = {name: data.canonical(place) for name, place in places.items()}
        self._console, self._interrupts = console, Interrupts()
        self._loaded: dict[str, Dataset] = {}
        sweeps = [s for study in studies for s in study.sweeps(size).values()]
        widest = max(sweeps, key=lambda sweep: sweep.at_once, default=Sweep())
        backend.start(widest, None, console)

    def make(self, study: Study) -> Iterator[int]:
        """What is missing of a study's rows; after each part how many runs failed."""
        place = self._out / study.name
        grids = study.sweeps(self._size)
        if not study.parts:
            yield self._make(study, grids, place, self._given(study), study.name)
            return
        for number, (name, planned) in enumerate(grids.items(), start=1):
            if all(map(self._there, planned.datasets)):
                given = {name: self._load(name) for name in planned.datasets}
                title = f"{study.name} {number}/{len(grids)}"
                part = folder.part_of(place, name)
                yield self._make(study, {name: planned}, part, given, title)

    def _make(
        self,
        study: Study,
        grids: Mapping[str, Sweep],
        place: Path,
        given: Mapping[str, Dataset],
        title: str,
    ) -> int:
        """The evidence of a study, or of a part of it; how many runs failed."""
        cost = _Cost(place)
        found: list[rows.Row] = []
        made: dict[str, Any] = {
            "quick": self._size == Size.QUICK,
            "judge": None,
            "judges": [],
            "runs": 0,
            "minutes": 0.0,
            "data": {},
        }
        if self._size == Size.FULL:
            made["full"] = True
        failed = 0
        judges: dict[str, Any] = {}
        task = Task(self._size == Size.QUICK, given)
        for number, (name, planned) in enumerate(grids.items(), start=1):
            directory = place / "grids" / slug(name)
            whole = title if study.parts else f"{title} {number}/{len(grids)}"
            with cost.counted(directory / "runs"):
                lost, described = self._train(planned, directory, f"{whole}: {name}")
            failed += lost
            judges = {name: _judge(described, name) for name in described["metrics"]}
            made["judge"] = judges[planned.primary_metric]
            found += rows.of_sweep(name, directory, _spelled(planned, described))
            if study.parts:
                task = Task(task.quick, given, name, planned, directory)
        if study.steps:
            place.mkdir(parents=True, exist_ok=True)
            with cost.counted(place / _STEPS):
                self._compute(study, place, task)
        made |= {
            "runs": len(found),
            "minutes": cost.minutes,
            "memory_mb": cost.megabytes,
            "data": {name: _facts(d) for name, d in given.items()},
            "provenance": platform.describe() | {"numerics": NUMERICS},
        }
        if made["judge"]:
            metric = f"test_{made['judge']['metric']}"
            columns = tuple(dict.fromkeys((metric, *study.columns)))
            known = {f"test_{name}" for name in judges}
            made["judges"] = [j for n, j in judges.items() if f"test_{n}" in columns]
            sealing.publish(place / folder.ROWS, rows.packed(found, columns, known))
        sealing.publish(place / folder.MADE, json.dumps(made, indent=1) + "\n")
        return failed

    def _train(
        self, planned: Sweep, directory: Path, title: str
    ) -> tuple[int, dict[str, Any]]:
        """Train a grid; the number of failed runs, and sweep.json's content."""
        names = tuple(self._places.get(name, name) for name in planned.datasets)
        sweep = validate(dataclasses.replace(planned, datasets=names))
        datasets = load(sweep)
        described = describe(sweep, datasets)
        self._console.print(f"{title}, {count(len(datasets), 'dataset')}")
        directory.mkdir(parents=True, exist_ok=True)
        ownership.check(directory)
        results.write_sweep(directory, described)
        with self._interrupts.held():
            failed = grid.train(
                sweep,
                datasets,
                described,
                directory,
                (0, 1),
                self._interrupts,
                self._console,
                quiet=True,
            )
        return failed, described

    def _compute(self, study: Study, place: Path, task: Task) -> None:
        """Run the steps that are not stored yet."""
        path = place / _STEPS
        known = json.loads(path.read_text()) if path.is_file() else {}
        for name, step in study.steps.items():
            key = self._key(study, task.data)
            if known.get(name) != key or not (place / f"{name}.csv.gz").is_file():
                self._console.print(f"{study.name}: {name}")
                folder.write_step(place, name, step(task))
                known[name] = key
                sealing.publish(path, json.dumps(known, indent=1) + "\n")

    def _given(self, study: Study) -> dict[str, Dataset]:
        """What the study needs, and what is there of what it wishes for."""
        wished = filter(self._there, study.wishes)
        return {name: self._load(name) for name in (*study.needs, *wished)}

    def _there(self, name: str) -> bool:
        with contextlib.suppress(data.DataError):
            data.check(self._places.get(name, name))
            return True
        return False

    def _key(self, study: Study, given: Mapping[str, Dataset]) -> str:
        """What a step's table depends on: its file, its data, the size, NUMERICS."""
        facts = (
            hashlib.sha256(study.file.read_bytes()).hexdigest(),
            [[name, d.fingerprint] for name, d in given.items()],
            self._size == Size.QUICK,
            NUMERICS,
        )
        return sealing.digest(facts)

    def _load(self, name: str) -> Dataset:
        if name not in self._loaded:
            place = self._places.get(name, name)
            found = data.load(place)
            if found.pixels != BYTES:
                raise UserError(f"--data={name}={place}: studies take 8-bit images")
            self._loaded[name] = found
        return self._loaded[name]


def _spelled(planned: Sweep, described: Mapping[str, Any]) -> dict[str, str]:
    """What was trained, by its canonical name, as the config and the study name it."""
    trained = described["config"]
    return {
        name: own
        for axis in ("datasets", "models", "losses")
        for name, own in zip(trained[axis], getattr(planned, axis), strict=True)
    }


def _judge(described: Mapping[str, Any], metric: str) -> dict[str, Any]:
    """What compares arms by a metric, as sweep.json describes it."""
    row = described["metrics"][metric]
    margin = {"margin": row["margin"]["value"], "relative": row["margin"]["relative"]}
    return {"metric": metric, "direction": row["direction"], **margin}


def _facts(dataset: Dataset) -> dict[str, Any]:
    """Which images they were, wherever they lay."""
    return {
        "fingerprint": dataset.fingerprint,
        "shape": list(dataset.image_shape),
        **{name: len(split) for name, split in dataset.splits.items()},
    }


class _Cost:
    """What a study took, over every call that made some of its rows.

    Minutes are CPU time over the cores at hand: other programs' share, and the time in
    which this one is stopped, do not count. The peak of memory is the process's.
    """

    def __init__(self, place: Path) -> None:
        self._path = place / "cost.json"
        self._spent = {"cpu_s": 0.0, "memory_mb": 0}
        with contextlib.suppress(OSError, ValueError):
            self._spent |= json.loads(self._path.read_text())

    @contextlib.contextmanager
    def counted(self, made: Path) -> Iterator[None]:
        """Count what happens in here, unless it leaves `made` as it was."""
        before, began = _age(made), time.process_time()
        try:
            yield
        finally:
            if _age(made) != before:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB
                memory_mb = max(self._spent["memory_mb"], round(peak / 1024))
                cpu_s = self._spent["cpu_s"] + time.process_time() - began
                self._spent = {"cpu_s": cpu_s, "memory_mb": memory_mb}
                sealing.publish(self._path, json.dumps(self._spent) + "\n")

    @property
    def minutes(self) -> float:
        """To a tenth, or two digits where they are less than one."""
        minutes = self._spent["cpu_s"] / 60 / len(os.sched_getaffinity(0))
        return round(minutes, 1) if minutes > 1 else float(f"{minutes:.2g}")

    @property
    def megabytes(self) -> int:
        return int(self._spent["memory_mb"])


def _age(path: Path) -> int:
    """Changes whenever a file is put there."""
    return path.stat().st_mtime_ns if path.exists() else 0
