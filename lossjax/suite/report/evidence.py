"""What a directory of stored runs says about the sweep it belongs to.

Which runs belong, which are missing and which rate was chosen is asked of
`protocol.plan`, the same function that the sweep trains by.
"""

import collections
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lossjax.suite import protocol, statistics
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.shipped import ROOT
from lossjax.suite.statistics import Arm, Interval, Ranking
from lossjax.suite.store import results as store
from lossjax.suite.store.results import Result, Run

UNRANKED = "none"  # direction of what is measured and not compared


@dataclasses.dataclass(frozen=True)
class StoredCell:
    """One cell: its place in the protocol and the results stored for it."""

    plan: protocol.Plan
    tuning: tuple[Result, ...]
    final: tuple[Result, ...]

    @property
    def loss(self) -> str:
        return self.plan.cell.loss

    def status(self, status: str) -> tuple[Result, ...]:
        return tuple(r for r in (*self.tuning, *self.final) if r.status == status)

    @property
    def shown(self) -> Result | None:
        """The run whose pictures stand for the cell: the first that has some."""
        return next((r for r in self.final if r.gallery is not None), None)


@dataclasses.dataclass(frozen=True)
class Group:
    """Every loss on one dataset and model: what is compared with each other."""

    dataset: str
    model: str
    cells: Mapping[str, StoredCell]  # by loss, in display order
    arms: Mapping[str, Mapping[str, Arm]]  # by metric, then loss: scores by seed
    rankings: Mapping[str, Ranking]  # by metric; empty while runs are missing
    measures: Mapping[str, Mapping[str, Interval]]  # not ranked: by name, then loss
    unscored: tuple[str, ...]  # metrics that no run carries
    primary: str  # the metric that decides the headline
    collapsed: tuple[str, ...]  # losses that show every image as the same picture
    silent: Mapping[str, int]  # losses -> seeds whose code says nothing of the image
    partial: tuple[str, ...]  # metrics that only some losses have: no part of a regret

    @property
    def name(self) -> str:
        return f"{self.dataset} / {self.model}"

    @property
    def missing(self) -> tuple[Run, ...]:
        return tuple(run for cell in self.cells.values() for run in cell.plan.pending)

    @property
    def shared(self) -> Mapping[str, Ranking]:
        """The rankings that every loss has a part in, by its nature: for regrets."""
        return {
            metric: ranking
            for metric, ranking in self.rankings.items()
            if metric not in self.partial
        }


@dataclasses.dataclass(frozen=True)
class Evidence:
    """All that the report is built from."""

    sweep: Sweep
    description: Mapping[str, Any]  # sweep.json
    groups: tuple[Group, ...]
    damaged: Mapping[str, str]  # path -> what is wrong with it
    foreign: tuple[Run, ...]  # stored runs that are not in the grid
    out: str  # the directory, as commands name it

    @property
    def losses(self) -> tuple[str, ...]:
        return tuple(self.description["losses"])

    @property
    def metrics(self) -> Mapping[str, Mapping[str, Any]]:
        """sweep.json's metrics, the primary one first."""
        return _ordered(self.description["metrics"], self.primary)

    @property
    def diagnostics(self) -> Mapping[str, Mapping[str, str]]:
        """sweep.json's diagnostics: unit and note of each; none in an older one."""
        return self.description.get("diagnostics", {})

    @property
    def primary(self) -> str:
        return self.sweep.primary_metric

    @property
    def missing(self) -> tuple[Run, ...]:
        return tuple(run for group in self.groups for run in group.missing)

    def cells(self) -> Iterator[tuple[Group, StoredCell]]:
        for group in self.groups:
            for cell in group.cells.values():
                yield group, cell

    def results(self) -> Iterator[Result]:
        """Every stored run of the grid: by cell, tuning first, then rate and seed."""
        for _, cell in self.cells():
            yield from cell.tuning
            yield from cell.final

    def status(self, status: str) -> tuple[Result, ...]:
        return tuple(r for _, cell in self.cells() for r in cell.status(status))


def read(out: Path) -> Evidence:
    """The evidence under a sweep's directory; UserError says what is not there."""
    if not out.is_dir():
        raise UserError(f"--out={out}: no such directory; ./run.sh sweep writes it")
    try:
        description = store.read_sweep(out)
        sweep = Sweep.from_json(description["config"])
        fixed = protocol.fixed_values(
            sweep, description["datasets"], description["provenance"]["numerics"]
        )
    except FileNotFoundError:
        raise UserError(
            f"--out={out}: holds no sweep.json; ./run.sh sweep --out={out} writes it"
        ) from None
    except (ValueError, OSError) as error:
        raise UserError(f"--out={out}: {error}") from error
    except (KeyError, TypeError) as error:
        raise UserError(
            f"--out={out}: sweep.json is of another version of the suite: {error}"
        ) from error
    stored = store.load(out)
    used: set[str] = set()
    cells: dict[tuple[str, str], dict[str, StoredCell]] = {}
    for cell in protocol.cells(sweep, fixed):
        plan = protocol.plan(sweep, cell, stored.results)
        tuning = _stored(plan.tuning, stored.results)
        final = _stored(plan.final, stored.results)
        used.update(result.run.run_id for result in (*tuning, *final))
        mine = cells.setdefault((cell.dataset, cell.model), {})
        mine[cell.loss] = StoredCell(plan, tuning, final)
    metrics = _ordered(description["metrics"], sweep.primary_metric)
    groups = tuple(
        _group(
            dataset,
            model,
            mine,
            metrics,
            sweep.primary_metric,
            description["datasets"][dataset].get("gallery"),
        )
        for (dataset, model), mine in cells.items()
    )
    foreign = tuple(
        result.run for name, result in stored.results.items() if name not in used
    )
    return Evidence(sweep, description, groups, stored.damaged, foreign, named(out))


def named(out: Path) -> str:
    """A directory as a command names it from the clone's folder."""
    place = out.absolute()
    return str(place.relative_to(ROOT) if place.is_relative_to(ROOT) else place)


def _ordered(
    metrics: Mapping[str, Mapping[str, Any]], primary: str
) -> dict[str, Mapping[str, Any]]:
    return {name: metrics[name] for name in sorted(metrics, key=lambda m: m != primary)}


def _stored(runs: tuple[Run, ...], results: Mapping[str, Result]) -> tuple[Result, ...]:
    runs = tuple(sorted(runs, key=lambda run: run.learning_rate))
    ids = [run.run_id for run in runs]
    return tuple(results[run_id] for run_id in ids if run_id in results)


def _group(
    dataset: str,
    model: str,
    cells: Mapping[str, StoredCell],
    metrics: Mapping[str, Mapping[str, Any]],
    primary: str,
    gallery: Mapping[str, Any] | None,
) -> Group:
    rankings: dict[str, Ranking] = {}
    measures: dict[str, dict[str, Interval]] = {}
    scores: dict[str, dict[str, Arm]] = {}
    unscored = []
    incomplete = any(cell.plan.pending for cell in cells.values())
    for metric, row in metrics.items():
        arms = {loss: arm(cell, metric) for loss, cell in cells.items()}
        if not any(np.isfinite(arm.values).any() for arm in arms.values()):
            # Nobody expects it of a model whose code is a point.
            unscored += [] if row.get("variational") else [metric]
        elif incomplete:
            continue
        elif row["direction"] == UNRANKED:
            measures[metric] = {
                loss: statistics.interval(arm.values)
                for loss, arm in arms.items()
                if arm.complete
            }
        else:
            scores[metric] = arms
            rankings[metric] = statistics.rank(
                arms,
                direction=row["direction"],
                margin=row["margin"]["value"],
                relative=row["margin"]["relative"],
            )
    return Group(
        dataset,
        model,
        cells,
        scores,
        rankings,
        measures,
        tuple(unscored),
        primary,
        _collapsed(cells, gallery),
        _silent(cells),
        tuple(name for name, row in metrics.items() if row.get("partial")),
    )


def arm(cell: StoredCell, metric: str) -> Arm:
    """A cell's test scores in the order of the seeds, NaN where a run is not ok."""
    return arm_of(cell.final, lambda r: r.metrics.get(f"test_{metric}", math.nan))


def arm_of(final: Sequence[Result], score: Callable[[Result], float]) -> Arm:
    """A score of final runs in the order of the seeds, NaN where a run is not ok."""
    values = [score(r) if r.status == "ok" else math.nan for r in final]
    count = collections.Counter(result.status for result in final)
    return Arm(np.array(values, float), count["diverged"], count["failed"])


def _collapsed(
    cells: Mapping[str, StoredCell], gallery: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """Losses whose pictures vary by less than a twentieth of what the originals do."""
    if gallery is None:
        return ()
    spread = _spread(store.unpack(gallery))
    return tuple(
        loss
        for loss, cell in cells.items()
        if cell.shown is not None
        and cell.shown.gallery is not None
        and _spread(cell.shown.gallery) < spread / 20
    )


def _silent(cells: Mapping[str, StoredCell]) -> dict[str, int]:
    """Losses with seeds whose code has no active unit: the posterior is the prior."""
    counts = {
        loss: sum(r.metrics.get("test_active_units") == 0 for r in cell.final)
        for loss, cell in cells.items()
    }
    return {loss: count for loss, count in counts.items() if count}


def _spread(images_u8: np.ndarray) -> float:
    """How much a pixel varies from image to image, in levels; mean over pixels."""
    return float(np.std(images_u8.astype(float), axis=0).mean())
