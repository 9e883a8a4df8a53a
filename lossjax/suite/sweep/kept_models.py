"""Which runs of a grid keep their trained networks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lossjax.suite import protocol
from lossjax.suite.store import parameters
from lossjax.suite.store.results import Result


def missing(
    out: Path,
    blocks: Sequence[protocol.Block],
    results: Mapping[str, Result],
    which: str,
    judge: protocol.DialJudge,
) -> set[str]:
    """The stored runs, by run_id, whose network is wanted and not there."""
    return _wanted(blocks, results, which, judge) - parameters.stored(out)


def prune(
    out: Path,
    done: Sequence[protocol.Block],
    results: Mapping[str, Result],
    which: str,
    judge: protocol.DialJudge,
    before: set[str],
) -> None:
    """Remove the networks that nobody wants of blocks whose rates are all done.

    Until then each may turn out to be the one that its seed chooses. Those of the runs
    that were there `before` stay: an earlier call may have wanted them.
    """
    mine = {run.run_id for block in done for run in block.runs} - before
    wanted = _wanted(done, results, which, judge)
    for run_id in mine & parameters.stored(out) - wanted:
        parameters.discard(out, run_id)


def _wanted(
    blocks: Sequence[protocol.Block],
    results: Mapping[str, Result],
    which: str,
    judge: protocol.DialJudge,
) -> set[str]:
    """Of each block the stored runs whose network is kept."""
    wanted: set[str] = set()
    for block in blocks:
        found = [results[r.run_id] for r in block.runs if r.run_id in results]
        if which == "all":
            wanted |= {r.run.run_id for r in found if r.status != "failed"}
        elif (best := protocol.choose(found, judge)) is not None:
            wanted.add(best.run.run_id)
    return wanted
