"""What a sweep would train, for `--dry_run`, and what its seeds can decide."""

from collections import Counter
from pathlib import Path

from rich.console import Console

from lossjax.suite import protocol, statistics
from lossjax.suite.config import Sweep
from lossjax.suite.data import Dataset
from lossjax.suite.store import destination
from lossjax.suite.sweep import grid, outlook
from lossjax.suite.sweep.description import facts_of
from lossjax.suite.wording import count


def seeds_note(sweep: Sweep) -> str:
    """Whether so many seeds can show that a loss is worse; empty for a single loss."""
    rivals = len(sweep.losses) - 1
    if not rivals:
        return ""
    needed, seeds = statistics.seeds_needed(rivals), len(sweep.seeds)
    losses = count(rivals + 1, "loss")
    if seeds >= needed:
        return f"{count(seeds, 'seed')} can decide between {losses} (needed: {needed})"
    return (
        f"too few seeds: with {seeds} of them no loss of {rivals + 1} can be "
        f"significantly worse than the best; {needed} are needed "
        f"(--config.seeds={','.join(map(str, range(needed)))})"
    )


def preview(
    sweep: Sweep,
    datasets: dict[str, Dataset],
    out: Path,
    shard: tuple[int, int],
    console: Console,
) -> None:
    """Print how many runs each arm has, how many are to be trained, and how long."""
    facts = {name: facts_of(dataset) for name, dataset in datasets.items()}
    blocks = grid.blocks_of(sweep, facts, shard)
    results = destination.of(out, protocol.pending(blocks, {})).stored().results
    runs, pending = Counter[str](), Counter[str]()
    for block in blocks:
        name = block.arm.label(sweep)
        runs[name] += len(block.runs)
        # Names of runs cost seconds where there are many: only to look them up.
        stored = sum(run.run_id in results for run in block.runs) if results else 0
        pending[name] += len(block.runs) - stored

    def say(text: str) -> None:
        console.print(text, soft_wrap=True)

    for name, number in runs.items():
        say(f"{name}: {count(number, 'run')}, {pending[name]} to train")
    left = pending.total()
    if sweep.tuned:
        left = sum(1 for _ in protocol.pending(blocks, results))
    say(f"{outlook.grid(sweep, runs.total())}; {left} to train")
    if note := seeds_note(sweep):
        say(note)
    if took := outlook.by_stored(results.values(), left):
        say(f"{took}, by the runs that are stored here")
    else:
        say("time: known as soon as a run is stored here; the config file says more")
    say("nothing was trained")
