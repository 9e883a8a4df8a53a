"""What a report must say, computed a second time from the stored runs.

Own code throughout, so that an error in the protocol, the statistics or the report is
not made twice: nothing here imports them.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from lossjax.suite.verify.archive import SETTING, Archive
from lossjax.suite.verify.standings import Ranked, rank


@dataclasses.dataclass(frozen=True)
class Recomputation:
    """Every loss in one setting: what is compared with each other."""

    dataset: str
    model: str  # as the report calls it
    ranked: Mapping[str, Ranked]  # by metric
    derived: Mapping[str, str]  # metric -> the metric that it is a function of
    pareto: Sequence[str]  # losses that no other beats by every underived metric
    settled: str  # whether half of the steps give the same
    half: Mapping[str, Ranked]  # the same at half of the steps; empty where not trained
    arms: Mapping[
        str, Mapping[str, Any]
    ]  # by loss: runs and the rates that were chosen

    @property
    def name(self) -> str:
        return f"{self.dataset} / {self.model}"

    def dial(self, loss: str) -> dict[str, Any]:
        """The column that a table has where some loss has a dial."""
        return {
            name: self.arms[loss][name] for name in ("dial",) if name in self.arms[loss]
        }


def comparisons(archive: Archive, table: pd.DataFrame) -> Iterator[Recomputation]:
    """Every setting of the grid, in display order, from the table of its runs."""
    ranked = {
        setting: dict(_metrics(archive, table[_within(table, setting)]))
        for setting in archive.settings()
    }
    described = archive.description["metrics"]
    for setting, metrics in ranked.items():
        dataset, model, latent_dim, steps = setting
        derived = archive.description["datasets"][dataset].get("derived") or {}
        half = ranked.get((dataset, model, latent_dim, steps // 2), {})
        # What decides: metrics derived from no other that every loss can have.
        now, before = (
            {
                metric: each[metric]
                for metric in each
                if metric not in derived and not described[metric].get("partial")
            }
            for each in (metrics, half)
        )
        yield Recomputation(
            dataset,
            archive.model(setting),
            metrics,
            derived,
            _unbeaten([each.means() for each in now.values()]),
            _settled(before, now),
            half,
            dict(_arms(archive, table[_within(table, setting)])),
        )


def _within(table: pd.DataFrame, setting: tuple[Any, ...]) -> pd.Series:
    """Which runs belong to a setting."""
    return (table[SETTING] == list(setting)).all(axis=1)


def _metrics(archive: Archive, runs: pd.DataFrame) -> Iterator[tuple[str, Ranked]]:
    """Every metric of one setting that is ranked and that some chosen run has."""
    seeds, losses = list(archive.sweep.seeds), list(archive.sweep.losses)
    chosen = runs[runs["chosen"]]
    counts = {
        loss: {name: arm[name] for name in ("lost", "diverged", "failed")}
        for loss, arm in _arms(archive, runs)
    }
    described = archive.description["metrics"]
    for metric in sorted(described, key=lambda m: m != archive.sweep.primary_metric):
        row = described[metric]
        column = f"test_{metric}"
        if row["direction"] == "none" or column not in chosen:
            continue
        scores = chosen.pivot(index="seed", columns="arm", values=column)
        scores = scores.reindex(index=seeds, columns=losses)
        if np.isfinite(scores).any(axis=None):
            yield metric, rank(scores, counts, row["direction"], row["margin"])


def _arms(archive: Archive, runs: pd.DataFrame) -> Iterator[tuple[str, dict[str, Any]]]:
    """What became of every loss's runs and seeds, and which rates the seeds chose."""
    seeds, rates = len(archive.sweep.seeds), archive.sweep.learning_rates
    for loss in archive.sweep.losses:
        own = runs[runs["arm"] == loss]
        chosen = own.loc[own["chosen"], "learning_rate"]
        dial: dict[str, str] = {}
        if archive.sweep.tuned:
            values = archive.sweep.members[loss]
            counts = own.loc[own["chosen"], "loss"].value_counts()
            first = sorted(counts.items(), key=lambda x: (-x[1], values.index(x[0])))
            shown = ", ".join(f"{value} ({count})" for value, count in first)
            dial = {
                "dial": archive.mark(loss),
                "values": shown if len(values) > 1 else "",
            }
        often = sorted(chosen.value_counts().items(), key=lambda x: (-x[1], x[0]))
        edge = next(
            (
                rate
                for rate in (max(rates), min(rates))
                if len(rates) > 1 and 3 * (chosen == rate).sum() >= max(1, len(chosen))
            ),
            np.nan,
        )
        yield (
            loss,
            {
                "chosen": ", ".join(f"{rate:g} ({count})" for rate, count in often),
                "edge": float(edge),
                "seeds": seeds,
                "lost": seeds - len(chosen),
                "runs": len(own),
                "diverged": int((own["status"] == "diverged").sum()),
                "failed": int((own["status"] == "failed").sum()),
                **dial,
            },
        )


def _unbeaten(means: Sequence[Mapping[str, float]]) -> list[str]:
    """The losses than which no other has a better mean everywhere, best first."""
    if not means:
        return []
    losses = [loss for loss in means[0] if all(loss in each for each in means)]
    return [
        loss
        for loss in losses
        if not any(all(each[other] < each[loss] for each in means) for other in losses)
    ]


def _settled(half: Mapping[str, Ranked], full: Mapping[str, Ranked]) -> str:
    """Whether the tied losses and every significant order are those at half the steps.

    An order turns where a loss that is worse than the best at one budget has the
    better mean of the two at the other. Not known where nothing can be significant.
    """
    every = [*half.values(), *full.values()]
    if not full or half.keys() != full.keys():
        return "not known"
    if any(ranked.best is None or ranked.needed is not None for ranked in every):
        return "not known"
    for metric, after in full.items():
        before = half[metric]
        if set(before.tied) != set(after.tied):
            return "not settled"
        if _turns(before, after) or _turns(after, before):
            return "not settled"
    return "settled"


def _turns(one: Ranked, other: Ranked) -> bool:
    """Whether a loss is worse than the best in one and ahead of it in the other."""
    means = other.means()
    first = means.get(one.best or "", -np.inf)
    return any(means[loss] < first for loss in one.worse() if loss in means)
