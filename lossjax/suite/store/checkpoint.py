"""A run under training, saved: what an interrupted run resumes from.

`DIR/runs/<run_id>/state.npz` is the sha256 of an .npz and the .npz itself. It is
written when a sweep is interrupted and now and then in a long run, and goes when the
result is published. A damaged state, or one made by other software or in another
layout, is not used: the run begins again, and the numbers are the same.
"""

import contextlib
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lossjax.suite.store import places, results, schemas, sealing
from lossjax.suite.store.untrusted import MOST_ARRAY, parse_json, read_npz

FILE = "state.npz"


@dataclass(frozen=True)
class Checkpoint:
    """One run after `step` steps.

    `leaves` are the arrays of lossjax.training.step.State in tree order; `curve` is
    the learning curve so far; `made_by` must be equal for the bits to go on as they
    were.
    """

    step: int
    leaves: tuple[np.ndarray, ...]
    curve: Mapping[str, list[float]]
    made_by: Mapping[str, Any]


def _path(out: Path, run: results.Run) -> Path:
    return out / "runs" / run.run_id / FILE


def save(out: Path, run: results.Run, checkpoint: Checkpoint) -> None:
    """Publish a run's state; the one before it stays whole until then."""
    facts = {
        "step": checkpoint.step,
        "curve": checkpoint.curve,
        "made_by": checkpoint.made_by,
        "run_id": run.run_id,
    }
    buffer = io.BytesIO()
    leaves = {f"leaf{i}": leaf for i, leaf in enumerate(checkpoint.leaves)}
    np.savez(buffer, facts=np.array(json.dumps(facts)), **leaves)  # type: ignore[arg-type]
    content = buffer.getvalue()
    seal = hashlib.sha256(content).hexdigest().encode()
    sealing.publish(_path(out, run), seal + content)


def read(out: Path, run: results.Run, made_by: Mapping[str, Any]) -> Checkpoint | None:
    """The saved state of a run, if there is one that can be gone on with.

    Raises:
      ValueError: there is one, but it is damaged.
    """
    try:
        run_id, found = opened(_path(out, run))
    except FileNotFoundError:
        return None
    if run_id != run.run_id:
        raise ValueError(f"{_path(out, run)}: is of run {run_id}")
    if not 0 <= found.step <= run.train_steps:
        raise ValueError(f"{_path(out, run)}: at step {found.step}")
    return found if found.made_by == made_by else None


def opened(path: Path) -> tuple[str, Checkpoint]:
    """The run_id and the state that a file holds.

    Raises:
      ValueError: it is damaged.
    """
    content = places.read(path, MOST_ARRAY)
    if hashlib.sha256(memoryview(content)[64:]).hexdigest().encode() != content[:64]:
        raise ValueError(f"{path}: its sha256 does not match its content")
    arrays = read_npz(content, path)  # what stands before a zip file is no part of it
    names = [f"leaf{index}" for index in range(len(arrays) - 1)]
    if set(arrays) != {"facts", *names}:
        raise ValueError(f"{path}: holds {', '.join(sorted(arrays))[:200]!r}")
    facts = parse_json(str(arrays["facts"]).encode(), path, schemas.STATE)
    leaves = tuple(arrays[name] for name in names)
    state = Checkpoint(facts["step"], leaves, facts["curve"], facts["made_by"])
    return facts["run_id"], state


def discard(out: Path, run: results.Run) -> None:
    """Remove a run's state: it is finished, or cannot be used."""
    # What is no file is left; the run begins again all the same.
    with contextlib.suppress(IsADirectoryError, PermissionError):
        places.remove(_path(out, run))
