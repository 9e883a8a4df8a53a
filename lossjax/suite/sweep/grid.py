"""Trains a grid: what is pending, family by family, until nothing is."""

import functools
import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from lossjax import NUMERICS, platform
from lossjax.suite import data, protocol
from lossjax.suite.cli.errors import Interrupted, UserError
from lossjax.suite.cli.signals import Interrupts
from lossjax.suite.config import Sweep
from lossjax.suite.store import checkpoint, places
from lossjax.suite.store import results as store
from lossjax.suite.sweep import layouts
from lossjax.suite.sweep.executor import Executor, Family, family_of
from lossjax.suite.sweep.programs import AHEAD
from lossjax.suite.sweep.source import source_hash
from lossjax.suite.wording import count


def blocks_of(
    sweep: Sweep, datasets: dict[str, dict[str, Any]], shard: tuple[int, int]
) -> Sequence[protocol.Block]:
    """This shard's part of the grid."""
    fixed = protocol.fixed_values(sweep, datasets, NUMERICS)
    return protocol.shard(protocol.blocks(sweep, fixed), *shard)


def good_results(blocks: Sequence[protocol.Block], out: Path) -> store.Stored:
    """What is stored and good, and what is damaged; a failed run is tried again.

    From an object store only these blocks' runs: a shard need not fetch the others'.
    """
    if not places.is_remote(out):
        stored = store.load(out)
        good = {k: r for k, r in stored.results.items() if r.status != "failed"}
        return store.Stored(good, stored.damaged)
    return store.Stored(store.find(out, protocol.pending(blocks, {})), {})


def other_code(stored: Iterable[store.Result]) -> set[str]:
    """The runs among these, by run_id, that another version of the code computed."""
    current = source_hash()
    return {r.run.run_id for r in stored if r.provenance.get("source") != current}


def train(
    sweep: Sweep,
    datasets: dict[str, data.Dataset],
    description: dict[str, Any],
    out: Path,
    shard: tuple[int, int],
    interrupts: Interrupts,
    console: Console,
    *,
    quiet: bool = False,
    retrain: bool = False,
) -> int:
    """Train what is pending; the number of runs that failed.

    `quiet` leaves out the line of each arm, for grids of hundreds of datasets;
    `retrain` does not take the stored runs of other computing code for done.
    """
    say = functools.partial(console.print, soft_wrap=True)
    blocks = blocks_of(sweep, description["datasets"], shard)
    stored = good_results(blocks, out)
    for path, wrong in stored.damaged.items():
        say(f"damaged, not used: {path}: {wrong}")
    results = dict(stored.results)
    mine = {run.run_id for block in blocks for run in block.runs}
    others = other_code(r for name, r in results.items() if name in mine)
    if others and retrain:
        say(f"{count(len(others), 'stored run')} of other computing code: trained anew")
        results = {k: r for k, r in results.items() if k not in others}
    elif others:
        say(
            f"{count(len(others), 'stored run')} kept although other code computed "
            f"them (its numbers should be equal: NUMERICS is); --retrain trains them "
            f"anew"
        )
    families: dict[Family, list[protocol.Block]] = {}
    for block in blocks:
        families.setdefault(family_of(block.runs[0]), []).append(block)
    families = {
        family: own
        for family, own in families.items()
        if any(protocol.pending(own, results))
    }
    expected = sum(1 for _ in protocol.pending(blocks, results))
    kept = sum(len(block.runs) for block in blocks) - expected
    if not families:
        say(f"all {kept} runs are stored; nothing to train")
        return 0
    if kept:
        say(f"{kept} runs are stored and kept")
    platform.use_compilation_cache(_cache())
    outlines = {name: data.Outline.of(dataset) for name, dataset in datasets.items()}
    layout, note = layouts.here(sweep, outlines, results.values())
    say("; ".join(filter(None, (str(layout), note))), style="dim")
    executor = Executor(sweep, datasets, out, say, layout.layout)
    queue = list(families)
    failed = 0
    with _progress(console) as progress:
        steps = sum(
            run.train_steps
            for own in families.values()
            for run in protocol.pending(own, results)
        )
        task = progress.add_task("compiling", total=steps)

        def tick(steps: int) -> None:
            progress.advance(task, steps)
            interrupts.check()

        for place, family in enumerate(queue):
            for ahead in queue[place : place + 1 + AHEAD]:
                executor.prepare(ahead)
            began = time.monotonic()
            progress.update(task, description=f"{family.loss}, compiling")
            while not executor.ready(family):
                interrupts.check()
                time.sleep(0.02)
            progress.update(task, description=family.loss)
            trained, failures = 0, []
            for chunk in _chunks(families[family], results, executor, out, retrain):
                interrupts.check()
                if step := executor.step_of(chunk[0]):
                    say(f"{len(chunk)} runs of {family.loss} go on at step {step}")
                    progress.advance(task, step * len(chunk))
                for result in _attempt(executor, chunk, tick):
                    store.write_result(out, result)
                    checkpoint.discard(out, result.run)
                    results[result.run.run_id] = result
                    trained += 1
                    failures += [result] if result.status == "failed" else []
            executor.keep(queue[place + 1 :])
            for message in sorted({result.message for result in failures}):
                say(f"failed: {message}")
            failed += len(failures)
            if quiet:
                continue
            for line in _lines(sweep, families[family], results):
                say(line)
            say(f"  {trained} runs in {time.monotonic() - began:.1f} s", style="dim")
    return failed


def _attempt(
    executor: Any, chunk: list[store.Run], tick: Any
) -> Iterator[store.Result]:
    """The chunk's results; a failed one for each run where it cannot be computed."""
    left = list(chunk)
    try:
        for result in executor.train(chunk, tick):
            yield result
            left.remove(result.run)
    except (Interrupted, UserError, OSError):
        raise
    except Exception as error:
        message = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        for run in left:
            yield store.Result(run, "failed", message=message)


def _chunks(
    blocks: Sequence[protocol.Block],
    results: dict[str, store.Result],
    executor: Any,
    out: Path,
    retrain: bool,
) -> Iterator[list[store.Run]]:
    """Pending runs of one family's blocks, a chunk at a time, until none is.

    What another process of the same grid has stored meanwhile is taken from there.
    """
    while pending := list(protocol.pending(blocks, results)):
        elsewhere = store.find(out, pending)
        if retrain:
            for name in other_code(elsewhere.values()):
                del elsewhere[name]
        if elsewhere:
            results.update(elsewhere)
            continue
        alike = pending[: executor.layout.replicas]
        steps = [executor.step_of(run) for run in alike]
        yield [run for run, s in zip(alike, steps, strict=True) if s == steps[0]]


def _lines(
    sweep: Sweep,
    blocks: Sequence[protocol.Block],
    results: dict[str, store.Result],
) -> Iterator[str]:
    """A line for each arm that is done: the rates its seeds chose, and its scores.

    The validation scores: those on test images are for the report.
    """
    metric = sweep.primary_metric
    arms: dict[str, list[protocol.Block]] = {}
    for block in blocks:
        arms.setdefault(block.arm.label(sweep), []).append(block)
    for name, own in arms.items():
        chosen = [
            result
            for block in own
            if (result := protocol.choose(results[run.run_id] for run in block.runs))
        ]
        rates = sorted({result.run.learning_rate for result in chosen})
        scores = [result.metrics.get(f"val_{metric}", math.nan) for result in chosen]
        runs = [results[run.run_id] for block in own for run in block.runs]
        diverged = sum(result.status == "diverged" for result in runs)
        mean = f"{sum(scores) / len(scores):.4f}" if scores else "none"
        yield (
            f"{name}: learning rates {', '.join(f'{rate:g}' for rate in rates)}; "
            f"validation {metric} {mean} over {len(chosen)} of {len(own)} seeds"
            + (f"; {diverged} runs diverged" if diverged else "")
        )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


def _cache() -> str:
    """Where compiled programs are kept: private to the user, keyed by jax itself."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return str(Path(base) / "lossjax" / "compiled")
