"""The files of a report against what was recomputed, line by line.

A file is read as anybody would read it: JSON, and CSV by the names of its columns.
"""

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lossjax.suite.verify import agreement, expectations
from lossjax.suite.verify.archive import Archive
from lossjax.suite.verify.expectations import Expected, Sampled
from lossjax.suite.verify.recomputation import Recomputation, comparisons
from lossjax.suite.verify.standings import BEHIND, ENDS

# What summary.json says of a loss on a metric.
STANDING = (
    *("loss", *ENDS, "n", "lost", "diverged", "failed"),
    *("best_set", "word", *BEHIND, "p_holm"),
)


def problems(archive: Archive, report: Path) -> Iterator[str]:
    """Where the report differs from what was recomputed."""
    runs = archive.table()
    found = list(comparisons(archive, runs))
    yield from _summary(report / "summary.json", found)
    for name, expected in (
        ("rows", expectations.rows(archive, runs)),
        ("tables/pixels", expectations.pixels(archive)),
        *((f"tables/{stem}", each) for stem, each in expectations.tables(found)),
    ):
        path = report / f"{name}.csv"
        try:
            yield from _lines(f"report/{name}.csv", _read(path), expected)
        except (OSError, ValueError) as error:
            yield f"report/{name}.csv: not to be read: {error}"
    ranked = [one for one in found if one.ranked]
    several = [one for one in ranked if len(one.arms) > 1]
    metrics = archive.description["metrics"]
    for kind, matrices in (
        ("comparison", {one.name: expectations.compared(one) for one in ranked}),
        ("behind", {one.name: expectations.behind(one, metrics) for one in several}),
    ):
        yield from _matrices(report / "tables", kind, matrices)


def _summary(path: Path, found: Sequence[Recomputation]) -> Iterator[str]:
    """summary.json against every comparison."""
    name = f"report/{path.name}"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        stated = {
            (dataset, model): facts
            for dataset, models in content["datasets"].items()
            for model, facts in models["models"].items()
        }
        for one in found:
            facts = stated.pop((one.dataset, one.model), None)
            if facts is None:
                yield f"{name}: {one.name} is missing"
            else:
                yield from _stated(f"{name}: {one.name}", one, facts)
        for dataset, model in stated:
            yield f"{name}: {dataset} / {model} was not recomputed"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        yield f"{name}: not to be read: {type(error).__name__}: {error}"


def _stated(where: str, one: Recomputation, facts: Mapping[str, Any]) -> Iterator[str]:
    """One model of one dataset in summary.json."""
    yield from _different(where, {"settled": one.settled}, facts)
    if sorted(facts["pareto"]) != sorted(one.pareto):
        yield f"{where}: pareto is {facts['pareto']}, recomputed {list(one.pareto)}"
    metrics = facts["metrics"]
    if set(metrics) != set(one.ranked):
        yield f"{where}: metrics are {list(metrics)}, recomputed {list(one.ranked)}"
    for metric, ranked in one.ranked.items():
        if metric not in metrics:
            continue
        stated = metrics[metric]
        expected: dict[str, Any] = {
            "direction": ranked.direction,
            "derived_from": one.derived.get(metric),
            "margin": next(iter(ranked.lines.values()))["margin"],
        }
        here = f"{where} / {metric}"
        yield from _different(here, expected, stated)
        order = [line["loss"] for line in stated["ranking"]]
        if order != ranked.defined:
            yield f"{here}: the order is {order}, recomputed {ranked.defined}"
        for line in stated["ranking"]:
            loss = line["loss"]
            if loss in ranked.lines:
                own = {"loss": loss} | expectations.standing(ranked, loss)
                own = {name: own[name] for name in STANDING if name in own}
                yield from _different(f"{here} / {loss}", own, _flat(line))


def _flat(line: Mapping[str, Any]) -> dict[str, Any]:
    """A loss in summary.json under the names that ranking.csv has for its values."""
    behind = line["behind"] or dict.fromkeys(ENDS)
    ends = dict(zip(BEHIND, (behind[end] for end in ENDS), strict=True))
    return {**line, **ends, "p_holm": line["p"]}


def _matrices(
    tables: Path, kind: str, expected: Mapping[str, Expected]
) -> Iterator[str]:
    """The tables of one setting each: every setting must have one that is its own."""
    found = {}
    for path in tables.glob(f"{kind}-*.csv"):
        # Another check names what is not a table at all.
        with contextlib.suppress(OSError, ValueError):
            found[path] = _read(path)
    for name, each in expected.items():
        where = f"report/tables/{kind}-*.csv: {name}"
        tried = []
        for path, table in found.items():
            tried.append(list(_lines(where, table, each)))
            if not tried[-1]:
                del found[path]
                break
        # Of none that agrees the one that is nearest.
        yield from min(
            tried,
            key=lambda lines: sum(map(len, lines)),
            default=[f"{where}: is missing"],
        )


def _read(path: Path) -> pd.DataFrame:
    """A table as text, cell by cell."""
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def _lines(where: str, found: pd.DataFrame, expected: Expected) -> Iterator[str]:
    """A table against the lines that it must have."""
    if absent := [name for name in expected.key if name not in found]:
        yield f"{where}: has no column {', '.join(absent)}"
        return
    stated: dict[tuple[str, ...], Mapping[str, Any]] = {}
    for line in found.to_dict("records"):
        key = tuple(line[name] for name in expected.key)
        if key in stated:
            yield f"{where}: {_named(key)} is there twice"
        stated[key] = line
    for key, line in expected.lines.items():
        if key in stated:
            yield from _different(
                f"{where}: {_named(key)}", line, stated[key], expected.exact
            )
        else:
            yield f"{where}: {_named(key)} is missing"
    for key in stated.keys() - expected.lines.keys():
        yield f"{where}: {_named(key)} was not recomputed"


def _named(key: Iterable[str]) -> str:
    return " / ".join(key)


def _different(
    where: str,
    expected: Mapping[str, Any],
    found: Mapping[str, Any],
    exact: bool = False,
) -> Iterator[str]:
    """One sentence for all of a line that is not as expected."""
    wrong = []
    for name, value in expected.items():
        if name not in found:
            wrong.append(f"{name} is missing")
        elif isinstance(value, Sampled):
            if not agreement.cell(value.value, found[name], doubt=value.doubt):
                wrong.append(f"{name} is {found[name]!r}, recomputed {value.value!r}")
        elif not agreement.cell(value, found[name], exact=exact):
            wrong.append(f"{name} is {found[name]!r}, recomputed {value!r}")
    if wrong:
        yield f"{where}: {'; '.join(wrong)}"
