"""Makes a study's rows: trains its grids, runs its steps. The one that needs jax."""

import contextlib
import dataclasses
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from experiments import data, grid, store
from experiments import sweep as program
from experiments.commandline import Interrupts
from experiments.config import Sweep, UserError
from experiments.data import Dataset
from experiments.report.album import slug
from experiments.studies import folder, rows
from experiments.studies.study import Study, Task
from lossjax import NUMERICS, platform

_STEPS = "steps.json"


def check_data(studies: Sequence[Study], places: Mapping[str, str]) -> None:
    """Every dataset that a study needs must be there, before anything starts.

    Raises:
      UserError: one is not; the line has the command that gets it.
    """
    for study in studies:
        for name in study.needs:
            try:
                data.check(places.get(name, name))
            except data.DataError as error:
                where = "" if name in places else f"; or --data={name}=idx:DIR"
                raise UserError(f"study {study.name}: {error}{where}") from None


class Maker:
    """Makes rows of one study after another."""

    def __init__(
        self,
        studies: Sequence[Study],
        out: Path,
        places: Mapping[str, str],
        quick: bool,
        console: Console,
    ) -> None:
        program.check_out(out)
        self._out, self._places, self._quick = out, places, quick
        self._console, self._interrupts = console, Interrupts()
        self._loaded: dict[str, Dataset] = {}
        sweeps = [s for study in studies for s in study.grids(quick).values()]
        widest = max(sweeps, key=lambda sweep: sweep.at_once, default=Sweep())
        program.start_platform(widest, None, console)

    def make(self, study: Study) -> int:
        """What is missing of a study's rows; how many runs failed."""
        place = self._out / study.name
        peak = _Peak()
        found: list[rows.Row] = []
        made: dict[str, Any] = {
            "quick": self._quick,
            "judge": None,
            "runs": 0,
            "minutes": 0.0,
            "data": {},
        }
        failed = 0
        seconds = 0.0
        grids = study.grids(self._quick)
        for number, (name, planned) in enumerate(grids.items(), start=1):
            title = f"{study.name} {number}/{len(grids)}: {name}"
            directory = place / "grids" / slug(name)
            lost, described = self._train(planned, directory, title)
            failed += lost
            metric = planned.primary_metric
            margin = described["metrics"][metric]["margin"]
            made["judge"] = {
                "metric": metric,
                "direction": described["metrics"][metric]["direction"],
                "margin": margin["value"],
                "relative": margin["relative"],
            }
            back = {path: own for own, path in self._places.items()}
            found += rows.of_sweep(name, directory, back)
        if study.steps:
            place.mkdir(parents=True, exist_ok=True)
            seconds += self._compute(study, place)
        seconds += sum(result.provenance.get("seconds", 0) for _, result in found)
        made |= {
            "runs": len(found),
            "minutes": _minutes(seconds),
            "memory_mb": max(peak.megabytes(), _memory_before(place)),
            "data": {name: _facts(self._load(name)) for name in study.needs},
            "provenance": platform.describe() | {"numerics": NUMERICS},
        }
        if made["judge"]:
            metric = f"test_{made['judge']['metric']}"
            columns = tuple(dict.fromkeys((metric, *study.columns)))
            store.publish(place / folder.ROWS, rows.packed(found, columns))
        store.publish(place / folder.MADE, json.dumps(made, indent=1) + "\n")
        return failed

    def _train(
        self, planned: Sweep, directory: Path, title: str
    ) -> tuple[int, dict[str, Any]]:
        """Train a grid; the number of failed runs, and sweep.json's content."""
        names = tuple(self._places.get(name, name) for name in planned.datasets)
        sweep = program.checked(dataclasses.replace(planned, datasets=names))
        datasets = program.load(sweep)
        described = program.describe(sweep, datasets)
        self._console.print(f"{title}, {len(datasets)} datasets", highlight=False)
        directory.mkdir(parents=True, exist_ok=True)
        store.write_sweep(directory, described)
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

    def _compute(self, study: Study, place: Path) -> float:
        """Run the steps that are not stored yet; the seconds that all of them took."""
        path = place / _STEPS
        known = json.loads(path.read_text()) if path.is_file() else {}
        needed = {name: self._load(name) for name in study.needs}
        seconds = 0.0
        for name, step in study.steps.items():
            key = self._key(study, needed)
            kept = known.get(name, {}).get("key") == key
            if not (kept and (place / f"{name}.csv.gz").is_file()):
                self._console.print(f"{study.name}: {name}", highlight=False)
                began = time.monotonic()
                table = step(Task(self._quick, needed))
                took = round(time.monotonic() - began, 2)
                folder.write_step(place, name, table)
                known[name] = {"key": key, "seconds": took}
                store.publish(path, json.dumps(known, indent=1) + "\n")
            seconds += known[name]["seconds"]
        return seconds

    def _key(self, study: Study, needed: Mapping[str, Dataset]) -> str:
        """What a step's table depends on: its file, its data, the size, NUMERICS."""
        source = Path(str(study.module.__file__)).read_bytes()
        facts = (
            hashlib.sha256(source).hexdigest(),
            [dataset.fingerprint for dataset in needed.values()],
            self._quick,
            NUMERICS,
        )
        return store.digest(facts)

    def _load(self, name: str) -> Dataset:
        if name not in self._loaded:
            try:
                self._loaded[name] = data.load(self._places.get(name, name))
            except data.DataError as error:
                raise UserError(str(error)) from None
        return self._loaded[name]


def _minutes(seconds: float) -> float:
    """To a tenth, or two digits where they are less."""
    return round(seconds / 60, 1) if seconds > 60 else float(f"{seconds / 60:.2g}")


def _facts(dataset: Dataset) -> dict[str, Any]:
    """Which images they were, wherever they lay."""
    return {
        "fingerprint": dataset.fingerprint,
        "shape": list(dataset.image_shape),
        **{name: len(split) for name, split in dataset.splits.items()},
    }


class _Peak:
    """The most memory that this process held since this was made."""

    def __init__(self) -> None:
        # Where it may not be reset it is the peak since the process began.
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")

    def megabytes(self) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        (peak,) = (line for line in lines if line.startswith("VmHWM:"))
        return round(int(peak.split()[1]) / 1024)


def _memory_before(place: Path) -> int:
    """What an earlier call took, that made the rows which this one found stored."""
    try:
        return int(json.loads((place / folder.MADE).read_text())["memory_mb"])
    except (OSError, ValueError, KeyError):
        return 0
