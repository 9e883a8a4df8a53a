"""A trained network's numbers, to take home: `DIR/runs/<run_id>/model.npz`.

A plain .npz, which `numpy.load` reads: an array for every parameter under its path in
the network, those of the loss below `loss/`, and `facts`, which is JSON: the run, the
config of its sweep, the shape of an image, and the sha256 of all of it.
"""

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

FILE = "model.npz"
WHICH = ("best", "all")  # the run that each seed chose, or every run


@dataclass(frozen=True)
class Parameters:
    """What a trained network is rebuilt from.

    Attributes:
      run: which it is.
      config: of the sweep, as in sweep.json.
      image: (height, width, channels) of what it was trained on.
      arrays: its numbers by path.
    """

    run: results.Run
    config: Mapping[str, Any]
    image: tuple[int, int, int]
    arrays: Mapping[str, np.ndarray]

    @property
    def _facts(self) -> dict[str, Any]:
        return {
            "run": self.run.to_json(),
            "config": dict(self.config),
            "image": list(self.image),
        }

    @property
    def sha256(self) -> str:
        """Of all of it."""
        whole = hashlib.sha256(sealing.canonical(self._facts).encode())
        for name, array in sorted(self.arrays.items()):
            whole.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            whole.update(np.ascontiguousarray(array).tobytes())
        return whole.hexdigest()

    def save(self, out: Path) -> None:
        """Publish it beside the run's result."""
        facts = self._facts | {"sha256": self.sha256}
        buffer = io.BytesIO()
        text = np.array(json.dumps(facts))
        np.savez(buffer, facts=text, **self.arrays)  # type: ignore[arg-type]
        sealing.publish(out / "runs" / self.run.run_id / FILE, buffer.getvalue())


def read(path: Path) -> Parameters:
    """The parameters in a file.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is damaged, or another's; one line.
    """
    arrays = read_npz(places.read(path, MOST_ARRAY), path)
    if "facts" not in arrays:
        raise ValueError(f"{path}: holds no facts, so it is no model of this suite")
    text = str(arrays.pop("facts")).encode()
    facts = parse_json(text, path, schemas.MODEL)
    height, width, channels = facts["image"][:3]
    made = Parameters(
        results.Run(**facts["run"]), facts["config"], (height, width, channels), arrays
    )
    if made.sha256 != facts["sha256"]:
        raise ValueError(f"{path}: its sha256 does not match its content")
    return made


def stored(out: Path) -> set[str]:
    """The runs, by run_id, whose parameters a directory holds."""
    runs = out / "runs"
    if places.is_remote(out):
        found = {Path(key) for key in places.keys(runs)}
        return {key.parent.name for key in found if key.name == FILE}
    return {path.parent.name for path in runs.glob(f"*/{FILE}")}


def discard(out: Path, run_id: str) -> None:
    """Remove a run's parameters."""
    places.remove(out / "runs" / run_id / FILE)
