"""Whether the stored runs are all there, whole, and made alike."""

import collections
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lossjax.suite.store.results import unpack
from lossjax.suite.store.test_images import sizes
from lossjax.suite.sweep.source import source_hash
from lossjax.suite.verify.archive import Archive, digest
from lossjax.suite.wording import count

# What must be equal between runs that are compared seed by seed.
ALIKE = ("numerics", "precision", "backend", "layout")


def problems(archive: Archive) -> Iterator[str]:
    """What is wrong with the runs themselves, each in one line."""
    for path, wrong in archive.damaged.items():
        yield f"{path}: {wrong}"
    missing: dict[str, list[str]] = collections.defaultdict(list)
    for run_id, run in archive.missing.items():
        missing[f"{archive.name(run)} / {run['loss']}"].append(run_id)
    for arm, runs in missing.items():
        yield f"{arm}: {count(len(runs), 'run')} missing, {runs[0]} one"
    yield from _counted(archive)
    yield from _mixed(archive)
    yield from _unalike(archive)
    for run_id, result in archive.runs.items():
        yield from _groups(archive, run_id, result)


def warnings(archive: Archive) -> Iterator[str]:
    """What a reader should know although every number holds."""
    made = {run_id: _made(r, "source") for run_id, r in archive.runs.items()}
    current = source_hash()
    other = [run_id for run_id, source in made.items() if source != current]
    if other:
        runs = count(len(other), "stored run")
        yield (
            f"other computing code than this version's made {runs}, {other[0]} one; "
            f"./run.sh sweep --retrain trains them anew"
        )
    if (versions := len(set(made.values()))) > 1:
        yield f"runs of {versions} versions of the computing code are mixed"
    if archive.foreign:
        runs = count(len(archive.foreign), "stored run")
        yield f"not in the current grid, not used: {runs}"


def _counted(archive: Archive) -> Iterator[str]:
    """Pixels that count: some of every split, no more than there are, all unmasked."""
    for name, described in archive.description["datasets"].items():
        if (facts := described.get("pixels")) is None:
            continue
        for split in ("train", "validation", "test"):
            most = described[split] * math.prod(described["shape"])
            found = facts["counted"].get(split, 0)
            if not 0 < found <= most or (found < most and not facts["masked"]):
                yield f"sweep.json: {name}: {found} of {most} {split} pixels count"


def _mixed(archive: Archive) -> Iterator[str]:
    """Runs of another NUMERICS or precision beside those of the grid."""
    for title, name, expected in (
        ("NUMERICS", "numerics", archive.description["provenance"]["numerics"]),
        ("precision", "precision", archive.sweep.precision),
    ):
        for run_id, result in archive.foreign.items():
            if (found := result["run"]["fixed"].get(name)) != expected:
                yield f"mixed {title}: the sweep has {expected}, {run_id} has {found}"
                break


def _unalike(archive: Archive) -> Iterator[str]:
    """Runs of one comparison are paired, so they must be made alike."""
    made: dict[tuple[str, str], dict[str, tuple[Any, str]]] = {}
    for run_id, result in archive.runs.items():
        if result["status"] == "failed":
            continue
        for name in ALIKE:
            value = _made(result, name)
            each = made.setdefault((archive.name(result["run"]), name), {})
            each.setdefault(digest(value), (value, run_id))
    for (comparison, name), values in made.items():
        if len(values) > 1:
            listed = ", ".join(
                f"{value} ({example})" for value, example in values.values()
            )
            yield f"{comparison}: mixed {name} in one comparison: {listed}"


def _made(result: Mapping[str, Any], name: str) -> Any:
    """How a run was made, as far as its bits depend on it."""
    value = result["provenance"].get(name, result["run"]["fixed"].get(name))
    if name == "layout" and isinstance(value, dict) and value.get("mapping") == "map":
        return "map"  # one mapped after the other is as if alone
    return value


def _groups(archive: Archive, run_id: str, result: Mapping[str, Any]) -> Iterator[str]:
    """What was kept of groups of test images must average to the score of all.

    So must what was kept of their classes.
    """
    facts = archive.description["datasets"][result["run"]["dataset"]]
    kept = result["kept"]
    if not facts.get("test") or kept is None:
        return
    parts = {"groups": sizes(facts["test"])}
    if "classes" in facts and "classes" in kept:
        parts["classes"] = np.array(facts["classes"]["counts"])
    for part, counts in parts.items():
        shape = len(kept["metrics"]), len(counts)
        means = unpack(kept[part]).astype(float)
        if means.shape != shape or not counts.sum() > 0:
            yield f"{run_id}: its {part} of test images are {means.shape}, not {shape}"
            continue
        wholes = np.average(means, axis=1, weights=counts)
        for name, whole in zip(kept["metrics"], wholes, strict=True):
            score = result["metrics"].get(f"test_{name}")
            score = np.nan if score is None else score
            if not np.isclose(whole, score, rtol=1e-4, atol=0, equal_nan=True):
                yield (
                    f"{run_id}: its {part} of test images give {name} {whole:.6g}, its "
                    f"score is {score:.6g}"
                )
