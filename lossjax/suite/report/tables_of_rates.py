"""Tables of the learning rates: chosen, untuned beside tuned, and the whole curve."""

from collections.abc import Iterator
from typing import Any

from lossjax.suite.report import untuned
from lossjax.suite.report.evidence import Evidence, Group, StoredCell
from lossjax.suite.report.forms import number
from lossjax.suite.report.untuned import Point, Row
from lossjax.suite.statistics import Interval

Table = tuple[str, tuple[str, ...], list[list[Any]]]  # stem, columns, rows


def tuned(evidence: Evidence) -> Iterator[Table]:
    """Every table, by the stem of its files."""
    cells = list(evidence.cells())
    yield "rates", RATE_COLUMNS, [_rate_row(group, cell) for group, cell in cells]
    every = [row for group, cell in cells for row in _curve_rows(evidence, group, cell)]
    yield "rate-response", CURVE_COLUMNS, every
    pairs = [
        _untuned_row(group, metric, row)
        for group in evidence.groups
        for metric in evidence.metrics
        for row in untuned.rows(evidence, group, metric)
    ]
    yield "untuned", UNTUNED_COLUMNS, pairs


RATE_COLUMNS = (
    "dataset",
    "model",
    "loss",
    "learning_rate",
    "edge",
    "tried",
    "tuning_runs",
    "final_runs",
    "missing",
    "diverged",
    "failed",
)


def _rate_row(group: Group, cell: StoredCell) -> list[Any]:
    return [
        group.dataset,
        group.model,
        cell.loss,
        "" if cell.plan.learning_rate is None else cell.plan.learning_rate,
        cell.plan.edge,
        " ".join(f"{rate:g}" for rate in cell.plan.learning_rates),
        len(cell.tuning),
        len(cell.final),
        len(cell.plan.pending),
        len(cell.status("diverged")),
        len(cell.status("failed")),
    ]


CURVE_COLUMNS = (
    "dataset",
    "model",
    "loss",
    "learning_rate",
    "chosen",
    "extension",
    "metric",
    "center",
    "low",
    "high",
    "least",
    "most",
    "n",
    "diverged",
    "lost",
)


def _curve_rows(
    evidence: Evidence, group: Group, cell: StoredCell
) -> Iterator[list[Any]]:
    """Every rate: the loss's own value and the primary metric, on validation images."""
    for name in ("validation_loss", f"val_{evidence.primary}"):
        for point in untuned.curve(evidence, cell, name):
            yield [
                group.dataset,
                group.model,
                cell.loss,
                point.rate,
                point.rate == cell.plan.learning_rate,
                point.extension,
                name,
                *_three(point.value),
                *(number(value) for value in point.seen),
                point.n,
                point.diverged,
                point.lost,
            ]


UNTUNED_COLUMNS = (
    "dataset",
    "model",
    "loss",
    "metric",
    "common_rate",
    "untuned_center",
    "untuned_low",
    "untuned_high",
    "untuned_place",
    "own_rate",
    "tuned_center",
    "tuned_low",
    "tuned_high",
    "tuned_place",
    "gain",
    "gain_low",
    "gain_high",
    "n",
    "untuned_lost",
    "tuned_lost",
)


def _untuned_row(group: Group, metric: str, row: Row) -> list[Any]:
    def side(point: Point, place: int) -> list[Any]:
        return [point.rate, *_three(point.value), place]

    return [
        group.dataset,
        group.model,
        row.loss,
        metric,
        *side(row.untuned, row.places[0]),
        *side(row.tuned, row.places[1]),
        *_three(row.gain),
        row.untuned.n,
        row.untuned.lost,
        row.tuned.lost,
    ]


def _three(value: Interval) -> list[float | str]:
    return [number(v) for v in (value.center, value.low, value.high)]
