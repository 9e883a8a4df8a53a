"""Trains a grid: what is pending, pack by pack, until nothing is."""

import functools
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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

from lossjax import NUMERICS
from lossjax.suite import data, protocol
from lossjax.suite.cli.errors import Interrupted, UserError
from lossjax.suite.cli.signals import Interrupts
from lossjax.suite.config import Sweep
from lossjax.suite.store import checkpoint, destination
from lossjax.suite.store import results as store
from lossjax.suite.sweep import kept_models, outlook, packing
from lossjax.suite.sweep.programs import AHEAD
from lossjax.suite.sweep.source import source_hash
from lossjax.suite.sweep.worker import RunGroup, Worker
from lossjax.suite.wording import count


def blocks_of(
    sweep: Sweep, datasets: dict[str, dict[str, Any]], shard: tuple[int, int]
) -> Sequence[protocol.Block]:
    """This shard's part of the grid."""
    fixed = protocol.fixed_values(sweep, datasets, NUMERICS)
    return protocol.shard(protocol.blocks(sweep, fixed), *shard)


def other_code(stored: Iterable[store.Result], current: str) -> set[str]:
    """The runs among these, by run_id, that other code than the current computed."""
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
    keep_models: str | None = None,
) -> int:
    """Train what is pending; the number of runs that failed.

    `quiet` leaves out the line of each arm, for grids of hundreds of datasets;
    `retrain` does not take the stored runs of other computing code for done;
    `keep_models` is one of parameters.WHICH: a run whose parameters it asks for is not
    done without them.
    """
    say = functools.partial(console.print, soft_wrap=True)
    blocks = blocks_of(sweep, description["datasets"], shard)
    place = destination.of(out, protocol.pending(blocks, {}))
    stored = place.stored()
    for path, wrong in stored.damaged.items():
        say(f"damaged, not used: {path}: {wrong}")
    place.forget(stored.damaged)
    results = dict(stored.results)
    mine = {run.run_id for block in blocks for run in block.runs}
    current = source_hash()
    others = other_code((r for name, r in results.items() if name in mine), current)
    if others and retrain:
        say(f"{count(len(others), 'stored run')} of other computing code: trained anew")
        results = {k: r for k, r in results.items() if k not in others}
    elif others:
        say(
            f"{count(len(others), 'stored run')} kept although other code computed "
            f"them (its numbers should be equal: NUMERICS is); --retrain trains them "
            f"anew"
        )
    bare: set[str] = set()
    judge = protocol.DialJudge.of(description)
    if keep_models and (
        bare := kept_models.missing(out, blocks, results, keep_models, judge)
    ):
        say(f"{count(len(bare), 'stored run')} without a model: trained again")
        results = {k: r for k, r in results.items() if k not in bare}
    before = set(results)
    expected = sum(1 for _ in protocol.pending(blocks, results))
    kept = len(mine) - expected
    if not expected:
        say(f"all {kept} runs are stored; nothing to train")
        return 0
    known = outlook.by_stored(stored.results.values(), expected)
    say("; ".join(filter(None, (outlook.grid(sweep, len(mine)), known))))
    if kept:
        say(f"{kept} runs are stored and kept")
    outlines = {name: data.Outline.of(dataset) for name, dataset in datasets.items()}
    layout, note = packing.here(sweep, outlines, results.values())
    say("; ".join(filter(None, (str(layout), note))), style="dim")
    worker = Worker(
        *(sweep, datasets, out, say, layout.layout, current),
        keep_models=keep_models is not None,
    )
    failed = 0
    with _progress(console) as progress, _Storing(place) as storing:
        steps = sum(run.train_steps for run in protocol.pending(blocks, results))
        task = progress.add_task("compiling", total=steps)

        pace = outlook.Pace(steps, say)

        def tick(steps: int) -> None:
            progress.advance(task, steps)
            pace.tick(steps)
            interrupts.check()

        while queue := _queue(worker, blocks, results):
            group, own = next(iter(queue.items()))
            if worker.undecided:
                choice, *rest = worker.choose(group)
                interrupts.wait([choice, *rest])
                error = choice.exception()
                if error and not worker.relieved(error, own[0].runs[:1]):
                    raise error
                continue
            for ahead in list(queue)[: 1 + AHEAD]:
                worker.prepare(ahead)
            began = time.monotonic()
            name = f"{group.dataset} / {group.kind.model}"
            progress.update(task, description=f"{name}, compiling")
            interrupts.wait(worker.prepare(group))
            progress.update(task, description=name)
            trained, failures = 0, []
            pending = list(protocol.pending(own, results))
            while pending:
                interrupts.check()
                pack = worker.pack(pending)
                # What another process of the same grid has stored meanwhile.
                elsewhere = place.news(pack)
                elsewhere = {k: r for k, r in elsewhere.items() if k not in bare}
                if retrain:
                    for run_id in other_code(elsewhere.values(), current):
                        del elsewhere[run_id]
                results.update(elsewhere)
                if not elsewhere:
                    if step := worker.saved.step_of(pack[0]):
                        say(f"{len(pack)} runs of {name} go on at step {step}")
                        progress.advance(task, step * len(pack))
                    made: list[store.Result] = []
                    try:
                        for result in _attempt(worker, pack, tick):
                            made.append(result)
                            results[result.run.run_id] = result
                            failures += [result] if result.status == "failed" else []
                    finally:  # what was finished before an interruption, too
                        storing.add(made, worker.saved.states)
                    trained += len(made)
                    if len(made) < len(pack):
                        break  # they need other programs
                pending = [run for run in pending if run.run_id not in results]
            for message in sorted({result.message for result in failures}):
                say(f"failed: {message}")
            failed += len(failures)
            worker.keep(_queue(worker, blocks, results))
            if quiet:
                continue
            done = [b for b in own if not any(protocol.pending([b], results))]
            for line in _lines(sweep, judge, done, results):
                say(line)
            took = time.monotonic() - began
            say(f"  {count(trained, 'run')} in {took:.1f} s", style="dim")
    if keep_models:
        done = [b for b in blocks if not any(protocol.pending([b], results))]
        kept_models.prune(out, done, results, keep_models, judge, before)
    return failed


class _Storing:
    """Stores what a pack gave in the background: the next one trains meanwhile.

    Leaving the context waits for it; a result that cannot be stored raises OSError.
    """

    def __init__(self, place: destination.Destination) -> None:
        self._place = place
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._begun: Future[None] | None = None

    def __enter__(self) -> "_Storing":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        self._settle()

    def add(self, made: Sequence[store.Result], states: checkpoint.States) -> None:
        """Begin to store results; their states are needed no more then."""
        self._settle()
        self._begun = self._pool.submit(self._store, made, states)
        if not self._place.in_background:
            self._settle()

    def _settle(self) -> None:
        begun, self._begun = self._begun, None
        if begun is not None:
            begun.result()

    def _store(self, made: Sequence[store.Result], states: checkpoint.States) -> None:
        with self._place.writer() as write:
            for result in made:
                write(result)
        states.discard([result.run for result in made])


def _queue(
    worker: Worker,
    blocks: Sequence[protocol.Block],
    results: dict[str, store.Result],
) -> dict[RunGroup, list[protocol.Block]]:
    """The blocks with pending runs, by what is trained together, in their order."""
    queue: dict[RunGroup, list[protocol.Block]] = {}
    for block in blocks:
        if any(run.run_id not in results for run in block.runs):
            queue.setdefault(worker.group_of(block.runs[0]), []).append(block)
    return queue


def _attempt(
    worker: Worker, runs: Sequence[store.Run], tick: Any
) -> Iterator[store.Result]:
    """The results of runs; a failed one for each run that cannot be computed.

    What fails together is tried again in smaller programs where that may help, else by
    halves, so that one bad run costs no other.
    """
    left = list(runs)
    try:
        for result in worker.train(runs, tick):
            yield result
            left.remove(result.run)
    except (Interrupted, UserError, OSError):
        raise
    except Exception as error:
        if worker.relieved(error, left):
            return
        if len(left) > 1:
            half = len(left) // 2
            yield from _attempt(worker, left[:half], tick)
            yield from _attempt(worker, left[half:], tick)
            return
        message = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        for run in left:
            yield store.Result(run, "failed", message=message)


def _lines(
    sweep: Sweep,
    judge: protocol.DialJudge,
    blocks: Sequence[protocol.Block],
    results: dict[str, store.Result],
) -> Iterator[str]:
    """A line for each arm that is done: what its seeds chose, and its scores.

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
            if (
                result := protocol.choose(
                    (results[run.run_id] for run in block.runs), judge
                )
            )
        ]
        dials = sorted({result.run.loss for result in chosen} - {own[0].arm.loss})
        rates = sorted({result.run.learning_rate for result in chosen})
        scores = [result.metrics.get(f"val_{metric}", math.nan) for result in chosen]
        runs = [results[run.run_id] for block in own for run in block.runs]
        diverged = sum(result.status == "diverged" for result in runs)
        mean = f"{sum(scores) / len(scores):.4f}" if scores else "none"
        yield (
            f"{name}: learning rates {', '.join(f'{rate:g}' for rate in rates)}; "
            + (f"dial chosen by {metric}: {', '.join(dials)}; " if dials else "")
            + f"validation {metric} {mean} over {len(chosen)} of {len(own)} seeds"
            + (f"; {diverged} runs diverged" if diverged else "")
        )


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("steps; elapsed"),
        TimeElapsedColumn(),
        TextColumn("remaining"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
