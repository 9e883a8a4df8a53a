"""Trains a grid: what is pending, family by family, until nothing is."""

import functools
import os
import time
from collections.abc import Callable, Iterator
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


def cells_of(
    sweep: Sweep, datasets: dict[str, dict[str, Any]], shard: tuple[int, int]
) -> list[protocol.Cell]:
    """This shard's cells: every n-th of the grid."""
    fixed = protocol.fixed_values(sweep, datasets, NUMERICS)
    index, count = shard
    return list(protocol.cells(sweep, fixed))[index::count]


def good_results(sweep: Sweep, cells: list[protocol.Cell], out: Path) -> store.Stored:
    """What is stored and good, and what is damaged; a failed run is tried again.

    From an object store only these cells' runs: a shard need not fetch the others'.
    """
    if not places.is_remote(out):
        stored = store.load(out)
        good = {k: r for k, r in stored.results.items() if r.status != "failed"}
        return store.Stored(good, stored.damaged)
    results: dict[str, store.Result] = {}
    while found := store.find(out, _pending(sweep, cells, results)):
        results.update(found)
    return store.Stored(results, {})


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
) -> int:
    """Train what is pending until nothing is; the number of runs that failed.

    `quiet` leaves out the line of each cell, for grids of hundreds of datasets.
    """
    # Nothing that is said here is markup: a message may hold brackets.
    say = functools.partial(
        console.print, highlight=False, markup=False, soft_wrap=True
    )
    cells = cells_of(sweep, description["datasets"], shard)
    stored = good_results(sweep, cells, out)
    for path, wrong in stored.damaged.items():
        say(f"damaged, not used: {path}: {wrong}")
    results = dict(stored.results)
    families: dict[Family, list[protocol.Cell]] = {}
    for cell in cells:
        plan = protocol.plan(sweep, cell, results)
        if plan.pending:
            families.setdefault(family_of(plan.pending[0]), []).append(cell)
    kept = sum(len(_stored(sweep, cell, results)) for cell in cells)
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
        expected = sum(
            _expected(sweep, cell, results)
            for family in queue
            for cell in families[family]
        )
        task = progress.add_task("compiling", total=expected * sweep.train_steps)

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
            for chunk in _chunks(sweep, families[family], results, executor, out):
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
            for cell in families[family]:
                _report_cell(sweep, cell, results, say)
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
    sweep: Sweep,
    cells: list[protocol.Cell],
    results: dict[str, store.Result],
    executor: Any,
    out: Path,
) -> Iterator[list[store.Run]]:
    """Pending runs of one family's cells, a chunk at a time, until none is.

    What another process of the same grid has stored meanwhile is taken from there.
    """
    while pending := _pending(sweep, cells, results):
        if elsewhere := store.find(out, pending):
            results.update(elsewhere)
            continue
        alike = [run for run in pending if run.stage == pending[0].stage]
        alike = alike[: executor.layout.replicas]
        steps = [executor.step_of(run) for run in alike]
        yield [run for run, s in zip(alike, steps, strict=True) if s == steps[0]]


def _pending(
    sweep: Sweep, cells: list[protocol.Cell], results: dict[str, store.Result]
) -> list[store.Run]:
    return [
        run for cell in cells for run in protocol.plan(sweep, cell, results).pending
    ]


def _stored(
    sweep: Sweep, cell: protocol.Cell, results: dict[str, store.Result]
) -> list[store.Run]:
    plan = protocol.plan(sweep, cell, results)
    return [run for run in (*plan.tuning, *plan.final) if run.run_id in results]


def _expected(
    sweep: Sweep, cell: protocol.Cell, results: dict[str, store.Result]
) -> int:
    plan = protocol.plan(sweep, cell, results)
    later = len(sweep.seeds) if plan.learning_rate is None else 0
    return len(plan.pending) + later


def _report_cell(
    sweep: Sweep,
    cell: protocol.Cell,
    results: dict[str, store.Result],
    say: Callable[[str], None],
) -> None:
    """One line: the chosen rate and the primary metric, as soon as a cell is done."""
    plan = protocol.plan(sweep, cell, results)
    if plan.learning_rate is None:
        return
    final = [results[run.run_id] for run in plan.final if run.run_id in results]
    key = f"test_{sweep.primary_metric}"
    good = [result.metrics[key] for result in final if key in result.metrics]
    mean = f"{sum(good) / len(good):.4f}" if good else "none"
    lost = sum(result.status == "diverged" for result in final)
    notes = ", at the edge of the grid" if plan.edge else ""
    notes += f", {lost} diverged" if lost else ""
    say(
        f"{cell}: rate {plan.learning_rate:g}{notes}, "
        f"{sweep.primary_metric} {mean} over {len(final)} seeds"
    )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
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
