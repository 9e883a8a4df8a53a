"""A run under training, saved: what an interrupted run resumes from.

`DIR/runs/<run_id>/state.npz` is the sha256 of an .npz and the .npz itself. It is
written when a sweep is interrupted and now and then in a long run, and goes when the
result is published; in an object store those of a program are packed. A damaged state,
or one made by other software or in another layout, is not used: the run begins again,
and the numbers are the same.
"""

import contextlib
import hashlib
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from lossjax.suite.store import packs, places, results, schemas, sealing
from lossjax.suite.store.untrusted import (
    MOST_ARRAY,
    UntrustedError,
    parse_json,
    read_npz,
)

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
    sealing.publish(_path(out, run), _content(run, checkpoint))


def _content(run: results.Run, checkpoint: Checkpoint) -> bytes:
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
    return hashlib.sha256(content).hexdigest().encode() + content


def read(out: Path, run: results.Run, made_by: Mapping[str, Any]) -> Checkpoint | None:
    """The saved state of a run, if there is one that can be gone on with.

    Raises:
      ValueError: there is one, but it is damaged.
    """
    path = _path(out, run)
    try:
        content = places.read(path, MOST_ARRAY)
    except FileNotFoundError:
        return None
    return _usable(path, content, run, made_by)


def _usable(
    path: Path, content: bytes, run: results.Run, made_by: Mapping[str, Any]
) -> Checkpoint | None:
    run_id, found = parse(content, path)
    if run_id != run.run_id:
        raise ValueError(f"{path}: is of run {run_id}")
    if not 0 <= found.step <= run.train_steps:
        raise ValueError(f"{path}: at step {found.step}")
    return found if found.made_by == made_by else None


def parse(content: bytes, path: Path) -> tuple[str, Checkpoint]:
    """The run_id and the state that a file holds; `path` is what messages call it.

    Raises:
      ValueError: it is damaged.
    """
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


class States(Protocol):
    """The saved states of one sweep's runs."""

    def save(self, states: Iterable[tuple[results.Run, Checkpoint]]) -> None:
        """Publish the states of runs that one program trains, for those before."""

    def read(self, run: results.Run, made_by: Mapping[str, Any]) -> Checkpoint | None:
        """As the function of that name."""

    def discard(self, runs: Iterable[results.Run]) -> None:
        """Remove the states of runs that are finished, or cannot be used."""


def states_of(out: Path) -> States:
    """Those of a sweep in a directory or a store."""
    return PackedStates(out) if places.is_remote(out) else FolderStates(out)


@dataclass(frozen=True)
class FolderStates:
    """A file for each run."""

    out: Path

    def save(self, states: Iterable[tuple[results.Run, Checkpoint]]) -> None:
        for run, state in states:
            save(self.out, run, state)

    def read(self, run: results.Run, made_by: Mapping[str, Any]) -> Checkpoint | None:
        return read(self.out, run, made_by)

    def discard(self, runs: Iterable[results.Run]) -> None:
        for run in runs:
            discard(self.out, run)


class PackedStates:
    """Packs, of which the newest counts; only the last one that was read is held."""

    def __init__(self, out: Path) -> None:
        self._packs = packs.Packs(out, packs.STATES)
        self._listed: list[str] | None = None
        self._name, self._files = "", dict[str, bytes]()

    def save(self, states: Iterable[tuple[results.Run, Checkpoint]]) -> None:
        before, saved = list(self._packs.known), list[results.Run]()

        def contents() -> Iterable[tuple[results.Run, bytes]]:
            for run, state in states:
                saved.append(run)
                yield run, _content(run, state)

        self._packs.put(contents(), FILE)
        self._forget(before, saved)

    def read(self, run: results.Run, made_by: Mapping[str, Any]) -> Checkpoint | None:
        if self._listed is None:
            self._listed = self._packs.names()
        for name in reversed({**dict.fromkeys(self._listed), **self._packs.known}):
            if packs.may_hold(name, run) and run.run_id in self._runs(name):
                content, path = self._open(name)[run.run_id], _path(Path(name), run)
                return _usable(path, content, run, made_by)
        return None

    def discard(self, runs: Iterable[results.Run]) -> None:
        self._forget(list(self._packs.known), runs)

    def _runs(self, name: str) -> set[str]:
        if name not in self._packs.known:
            self._open(name)
        return self._packs.known[name]

    def _open(self, name: str) -> dict[str, bytes]:
        if name != self._name:
            self._name, self._files = name, {}
            for _, files in self._packs.read([name]):
                if isinstance(files, UntrustedError):
                    self._packs.remove(name)
                    raise files
                self._files = files
        return self._files

    def _forget(self, names: Iterable[str], runs: Iterable[results.Run]) -> None:
        """Take states out of these packs; what is empty then is removed."""
        gone = {run.run_id for run in runs}
        for name in names:
            held = self._packs.known[name]
            if held and not (held := held - gone):
                self._packs.remove(name)
            self._packs.known[name] = held
