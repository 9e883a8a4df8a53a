"""What a directory of stored runs says about the sweep it belongs to.

Which runs belong, which are missing and which one a seed chose is asked of `protocol`,
the same functions that the sweep trains by.
"""

import collections
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lossjax.suite import protocol, statistics
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.shipped import ROOT
from lossjax.suite.statistics import Interval, Ranking, Scores
from lossjax.suite.store import results as store
from lossjax.suite.store.results import Result, Run

UNRANKED = "none"  # direction of what is measured and not compared


@dataclasses.dataclass(frozen=True)
class Seed:
    """One seed of an arm: its results, and the one that counts."""

    seed: int
    results: tuple[Result, ...]
    chosen: Result | None  # None: no rate survived, or none is stored


@dataclasses.dataclass(frozen=True)
class ArmEvidence:
    """One arm and the results stored for it."""

    arm: protocol.Arm
    seeds: tuple[Seed, ...]
    missing: tuple[Run, ...]
    edge: float | None  # a learning rate at the edge that a third of the seeds chose

    @property
    def loss(self) -> str:
        return self.arm.loss

    @property
    def results(self) -> tuple[Result, ...]:
        """Every stored run, by seed, then learning rate."""
        return tuple(result for seed in self.seeds for result in seed.results)

    @property
    def counted(self) -> Iterator[tuple[Result, bool]]:
        """Every stored run, and whether its seed counts by it."""
        for seed in self.seeds:
            for result in seed.results:
                yield result, result is seed.chosen

    @property
    def chosen(self) -> tuple[Result, ...]:
        """The run that counts of each seed that has one."""
        return tuple(seed.chosen for seed in self.seeds if seed.chosen is not None)

    @property
    def lost(self) -> int:
        """Seeds of which no learning rate survived."""
        return len(self.seeds) - len(self.chosen)

    @property
    def rates(self) -> Mapping[float, int]:
        """How many seeds chose each learning rate, the most frequent first."""
        count = collections.Counter(r.run.learning_rate for r in self.chosen)
        return dict(sorted(count.items(), key=lambda one: (-one[1], one[0])))

    @property
    def dial(self) -> Mapping[str, int]:
        """How many seeds chose each loss, the most frequent first; empty without one.

        Losses are the values of the dial.
        """
        if not self.arm.tuned:
            return {}
        order = list(self.arm.rates)
        count = collections.Counter(r.run.loss for r in self.chosen)
        return dict(sorted(count.items(), key=lambda x: (-x[1], order.index(x[0]))))

    @property
    def members(self) -> "Mapping[str, ArmEvidence]":
        """The arm by the loss that was trained: itself, where it has no dial.

        Of each value of a dial a seed counts only where it chose that value.
        """
        if not self.arm.tuned:
            return {self.loss: self}
        return {loss: self._member(loss) for loss in self.arm.rates}

    def _member(self, loss: str) -> "ArmEvidence":
        arm = dataclasses.replace(
            self.arm, loss=loss, rates={loss: self.arm.rates[loss]}
        )
        seeds = [
            Seed(
                seed.seed,
                tuple(r for r in seed.results if r.run.loss == loss),
                seed.chosen if seed.chosen and seed.chosen.run.loss == loss else None,
            )
            for seed in self.seeds
        ]
        missing = tuple(run for run in self.missing if run.loss == loss)
        return ArmEvidence(arm, tuple(seeds), missing, self.edge)

    @property
    def shown(self) -> Result | None:
        """The run whose pictures stand for the arm: the first that has some."""
        return next((r for r in self.chosen if r.gallery is not None), None)

    def status(self, status: str) -> tuple[Result, ...]:
        return tuple(r for r in self.results if r.status == status)

    def scores(self, score: Callable[[Result], float]) -> Scores:
        """A score of the chosen runs in the order of the seeds; NaN for a lost seed."""
        values = [
            math.nan if seed.chosen is None else score(seed.chosen)
            for seed in self.seeds
        ]
        diverged, failed = (len(self.status(s)) for s in ("diverged", "failed"))
        return Scores(np.array(values, float), self.lost, diverged, failed)


@dataclasses.dataclass(frozen=True)
class Group:
    """Every loss in one setting: what is compared with each other."""

    dataset: str
    model: str  # with the values of axes that have several, [latent_dim=16] say
    arms: Mapping[str, ArmEvidence]  # by loss, in display order
    scores: Mapping[str, Mapping[str, Scores]]  # by metric, then loss
    rankings: Mapping[str, Ranking]  # by metric; empty while runs are missing
    measures: Mapping[str, Mapping[str, Interval]]  # not ranked: by name, then loss
    unscored: tuple[str, ...]  # metrics that no run carries
    primary: str  # the metric that is named first
    derived: Mapping[str, str]  # metric -> the metric that it is a function of
    collapsed: tuple[str, ...]  # losses that show every image as the same picture
    silent: Mapping[str, int]  # losses -> seeds whose code says nothing of the image
    partial: tuple[str, ...]  # metrics that only some losses have

    @property
    def name(self) -> str:
        return f"{self.dataset} / {self.model}"

    @property
    def setting(self) -> tuple[str, str, int, int]:
        return next(iter(self.arms.values())).arm.setting

    @property
    def members(self) -> "Iterator[tuple[str, ArmEvidence]]":
        """Every loss that is trained, and before it the loss of the arm it is of."""
        for loss, arm in self.arms.items():
            for member in arm.members.values():
                yield loss, member

    @property
    def missing(self) -> tuple[Run, ...]:
        return tuple(run for arm in self.arms.values() for run in arm.missing)

    @property
    def counted(self) -> Mapping[str, Ranking]:
        """The rankings that counts are made of: of metrics derived from no other."""
        return {
            metric: ranking
            for metric, ranking in self.rankings.items()
            if metric not in self.derived and metric not in self.partial
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

    def arms(self) -> Iterator[tuple[Group, ArmEvidence]]:
        for group in self.groups:
            for arm in group.arms.values():
                yield group, arm

    def results(self) -> Iterator[tuple[Result, bool]]:
        """Every stored run of the grid, by arm, seed, rate; and whether it counts."""
        for _, arm in self.arms():
            yield from arm.counted

    def status(self, status: str) -> tuple[Result, ...]:
        return tuple(r for _, arm in self.arms() for r in arm.status(status))

    @property
    def judged(self) -> tuple[Group, ...]:
        """The settings of which a verdict is given.

        Of what an advisor compares the first: half of the steps only bear on it.
        """
        return self.groups[:1] if "advice" in self.description else self.groups

    def half(self, group: Group) -> Group | None:
        """The same setting at half of the training steps, where there is one."""
        dataset, model, latent_dim, steps = group.setting
        wanted = (dataset, model, latent_dim, steps // 2)
        return next((g for g in self.groups if g.setting == wanted), None)


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
        _check(sweep, description)
        judge = protocol.DialJudge.of(description)
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
    settings: dict[tuple[str, str, int, int], dict[str, ArmEvidence]] = {}
    for arm in protocol.arms(sweep, fixed):
        mine = _arm(sweep, judge, arm, stored.results)
        used.update(result.run.run_id for result in mine.results)
        settings.setdefault(arm.setting, {})[arm.loss] = mine
    groups = tuple(
        _group(sweep, setting, arms, description) for setting, arms in settings.items()
    )
    foreign = tuple(
        result.run for name, result in stored.results.items() if name not in used
    )
    return Evidence(sweep, description, groups, stored.damaged, foreign, named(out))


def _check(sweep: Sweep, description: Mapping[str, Any]) -> None:
    """ValueError where the parts of sweep.json do not fit each other."""
    datasets, metrics = description["datasets"], description["metrics"]
    if absent := [name for name in sweep.datasets if name not in datasets]:
        raise ValueError(f"sweep.json does not describe the dataset {absent[0]!r}")
    if list(sweep.losses) != description["losses"]:
        raise ValueError("sweep.json lists other losses than its config")
    if sweep.primary_metric not in metrics:
        raise ValueError(f"sweep.json lacks the metric {sweep.primary_metric!r}")
    for name, row in metrics.items():
        if row["direction"] not in ("lower", "higher", UNRANKED):
            raise ValueError(f"sweep.json: {name!r} has no direction")
        if not 0 <= row["margin"]["value"] < math.inf:
            raise ValueError(f"sweep.json: {name!r} has no margin")
    for name in sweep.datasets:
        strange = {*(derived := datasets[name].get("derived", {})), *derived.values()}
        if strange := strange - set(metrics):
            raise ValueError(f"sweep.json lacks the metric {min(strange)!r}")
        if (gallery := datasets[name].get("gallery")) is not None:
            shape = store.unpack(gallery).shape
            if len(shape) != 4 or not min(shape):
                raise ValueError(f"sweep.json: pictures of shape {shape}")


def named(out: Path) -> str:
    """A directory as a command names it from the clone's folder."""
    place = out.absolute()
    return str(place.relative_to(ROOT) if place.is_relative_to(ROOT) else place)


def _ordered(
    metrics: Mapping[str, Mapping[str, Any]], primary: str
) -> dict[str, Mapping[str, Any]]:
    return {name: metrics[name] for name in sorted(metrics, key=lambda m: m != primary)}


def _arm(
    sweep: Sweep,
    judge: protocol.DialJudge,
    arm: protocol.Arm,
    results: Mapping[str, Result],
) -> ArmEvidence:
    seeds: list[Seed] = []
    missing: list[Run] = []
    for seed in sweep.seeds:
        runs = arm.runs(seed)
        found = tuple(results[r.run_id] for r in runs if r.run_id in results)
        missing += [run for run in runs if run.run_id not in results]
        # Of an incomplete seed nothing counts: the best run may be the one to come.
        whole = len(found) == len(runs)
        chosen = protocol.choose(found, judge) if whole else None
        seeds.append(Seed(seed, found, chosen))
    rates = [s.chosen.run.learning_rate for s in seeds if s.chosen is not None]
    edge = protocol.edge_of(sweep.learning_rates, rates)
    return ArmEvidence(arm, tuple(seeds), tuple(missing), edge)


def ranked(
    scores: Mapping[str, statistics.Scores], row: Mapping[str, Any]
) -> statistics.Ranking:
    """The losses ranked by a metric, as its row of sweep.json says."""
    return statistics.rank(
        scores,
        direction=row["direction"],
        margin=row["margin"]["value"],
        relative=row["margin"]["relative"],
    )


def _group(
    sweep: Sweep,
    setting: tuple[str, str, int, int],
    arms: Mapping[str, ArmEvidence],
    description: Mapping[str, Any],
) -> Group:
    dataset = setting[0]
    described = description["datasets"][dataset]
    metrics = _ordered(description["metrics"], sweep.primary_metric)
    rankings: dict[str, Ranking] = {}
    measures: dict[str, dict[str, Interval]] = {}
    scores: dict[str, dict[str, Scores]] = {}
    unscored = []
    incomplete = any(arm.missing for arm in arms.values())
    for metric, row in metrics.items():
        own = {loss: scores_of(arm, metric) for loss, arm in arms.items()}
        if not any(np.isfinite(one.values).any() for one in own.values()):
            # Nobody expects it of a model whose code is a point.
            unscored += [] if row.get("variational") else [metric]
        elif incomplete:
            continue
        elif row["direction"] == UNRANKED:
            measures[metric] = {
                loss: statistics.interval(one.values)
                for loss, one in own.items()
                if one.complete
            }
        else:
            scores[metric] = own
            rankings[metric] = ranked(own, row)
    return Group(
        dataset,
        protocol.model_label(sweep, setting),
        arms,
        scores,
        rankings,
        measures,
        tuple(unscored),
        sweep.primary_metric,
        described.get("derived", {}),
        _collapsed(arms, described.get("gallery")),
        _silent(arms),
        tuple(name for name, row in metrics.items() if row.get("partial")),
    )


def scores_of(arm: ArmEvidence, metric: str) -> Scores:
    """An arm's test scores in the order of the seeds."""
    return arm.scores(lambda result: result.metrics.get(f"test_{metric}", math.nan))


def _collapsed(
    arms: Mapping[str, ArmEvidence], gallery: Mapping[str, Any] | None
) -> tuple[str, ...]:
    """Losses whose pictures vary by less than a twentieth of what the originals do."""
    if gallery is None:
        return ()
    spread = _spread(store.unpack(gallery))
    return tuple(
        loss
        for loss, arm in arms.items()
        if arm.shown is not None
        and arm.shown.gallery is not None
        and _spread(arm.shown.gallery) < spread / 20
    )


def _silent(arms: Mapping[str, ArmEvidence]) -> dict[str, int]:
    """Losses with seeds whose code has no active unit: the posterior is the prior."""
    counts = {
        loss: sum(r.metrics.get("test_active_units") == 0 for r in arm.chosen)
        for loss, arm in arms.items()
    }
    return {loss: count for loss, count in counts.items() if count}


def _spread(images_u8: np.ndarray) -> float:
    """How much a pixel varies from image to image, in levels; mean over pixels."""
    return float(np.std(images_u8.astype(float), axis=0).mean())
