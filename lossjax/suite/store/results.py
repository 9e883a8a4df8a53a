"""Stored runs: content-addressed, published atomically, checked when read.

`DIR/runs/<run_id>/result.json` holds one run with the sha256 of its canonical payload;
`DIR/sweep.json` holds what the report needs to know without jax. Nothing here imports
jax, so a laptop rebuilds every table.
"""

import base64
import dataclasses
import functools
import math
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from lossjax.suite.cli.errors import UserError
from lossjax.suite.store import places, schemas
from lossjax.suite.store.sealing import digest, publish, sealed, unseal
from lossjax.suite.store.test_images import Drawn, Kept, Worst
from lossjax.suite.store.untrusted import (
    MOST_BYTES,
    UntrustedError,
    array_bytes,
    conform,
    inflate_array,
    printable,
)

FILE = "result.json"
STATUSES = ("ok", "diverged", "failed")
_PACKED = ("|u1", "<f4")


@dataclasses.dataclass(frozen=True)
class Run:
    """What determines one run's numbers; `run_id` is the hash of all of it.

    `fixed` holds the sweep's held-fixed fields, the dataset's fingerprint and NUMERICS.
    """

    dataset: str
    model: str
    loss: str
    learning_rate: float
    seed: int
    latent_dim: int
    train_steps: int
    fixed: Mapping[str, Any]

    @functools.cached_property
    def run_id(self) -> str:
        return digest(self.to_json())[:16]

    def to_json(self) -> dict[str, Any]:
        return {
            field.name: getattr(self, field.name) for field in dataclasses.fields(self)
        }


@dataclasses.dataclass(frozen=True)
class Result:
    """One trained model, scored. NaN stands for "not there" and is null on disk."""

    run: Run
    status: str  # one of STATUSES
    message: str = ""  # why, where status is failed
    diverged_step: int | None = None
    validation_loss: float = math.nan  # the loss's own value; the tuning criterion
    metrics: Mapping[str, float] = dataclasses.field(default_factory=dict)
    curve: Mapping[str, list[float]] = dataclasses.field(default_factory=dict)
    gallery: np.ndarray | None = None  # uint8 (k, H, W, C), read-outs of fixed images
    kept: Kept | None = None  # of single test images; older results have none
    drawn: Drawn | None = None  # by a variational model; other results have none
    provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        values["run"] = self.run.to_json()
        values["gallery"] = None if self.gallery is None else pack(self.gallery)
        values["kept"] = None if self.kept is None else _from_kept(self.kept)
        if self.drawn is None:
            del values["drawn"]
        else:
            values["drawn"] = {
                name: None if array is None else pack(array)
                for name, array in vars(self.drawn).items()
            }
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Result":
        gallery, kept = values["gallery"], values.get("kept")
        drawn = values.get("drawn")
        loss = values["validation_loss"]
        return cls(
            **values
            | {
                "run": Run(**values["run"]),
                "gallery": None if gallery is None else unpack(gallery),
                "kept": None if kept is None else _to_kept(kept),
                "drawn": None if drawn is None else _to_drawn(drawn),
                "validation_loss": math.nan if loss is None else loss,
                "metrics": {
                    name: math.nan if value is None else value
                    for name, value in values["metrics"].items()
                },
            }
        )


@dataclasses.dataclass(frozen=True)
class Stored:
    """All that a directory holds: results by run_id, and what could not be read."""

    results: Mapping[str, Result]
    damaged: Mapping[str, str]  # path relative to the directory -> what is wrong


def pack(array: np.ndarray) -> dict[str, Any]:
    """A small array, uint8 or float32, as JSON."""
    kind = array.dtype.newbyteorder("<")
    data = zlib.compress(np.ascontiguousarray(array, kind).tobytes(), 9)
    packed = {
        "shape": list(array.shape),
        "data": base64.b64encode(data).decode("ascii"),
    }
    return packed if kind == np.uint8 else packed | {"dtype": kind.str}


def unpack(packed: Mapping[str, Any]) -> np.ndarray:
    """The array that `pack` wrote; UntrustedError where it did not."""
    if (name := packed.get("dtype", "|u1")) not in _PACKED:
        raise UntrustedError("packed array", f"type {name[:20]!r}")
    kind, shape = np.dtype(name), packed["shape"]
    if array_bytes(kind, shape, "packed array") > MOST_BYTES:
        raise UntrustedError("packed array", f"over {MOST_BYTES:,} bytes")
    data = base64.b64decode(packed["data"])
    return inflate_array(data, kind, shape, "packed array")


def _from_kept(kept: Kept) -> dict[str, Any]:
    worst, classes = kept.worst, kept.classes
    return {
        "metrics": list(kept.metrics),
        "groups": pack(kept.groups),
        **({} if classes is None else {"classes": pack(classes)}),
        "worst": None
        if worst is None
        else vars(worst)
        | {"originals": pack(worst.originals), "read_outs": pack(worst.read_outs)},
    }


def _to_kept(values: Mapping[str, Any]) -> Kept:
    worst, classes = values["worst"], values.get("classes")
    return Kept(
        tuple(values["metrics"]),
        unpack(values["groups"]),
        None
        if worst is None
        else Worst(
            worst["metric"],
            tuple(worst["places"]),
            tuple(math.nan if v is None else v for v in worst["scores"]),
            unpack(worst["originals"]),
            unpack(worst["read_outs"]),
        ),
        None if classes is None else unpack(classes),
    )


def _to_drawn(values: Mapping[str, Any]) -> Drawn:
    arrays: dict[str, Any] = {
        name: None if packed is None else unpack(packed)
        for name, packed in values.items()
    }
    return Drawn(**arrays)


def write_result(out: Path, result: Result) -> None:
    """Publish one run's result; the last writer of the same run wins, whole."""
    path = out / "runs" / result.run.run_id / FILE
    publish(path, sealed(result.to_json()))


def write_sweep(out: Path, description: Mapping[str, Any]) -> None:
    """Publish sweep.json: config, losses in display order, metrics, datasets."""
    if not places.is_remote(out):
        (out / "runs").mkdir(parents=True, exist_ok=True)
    publish(out / "sweep.json", sealed(description))


def read_sweep(out: Path, schema: Any = schemas.SWEEP) -> dict[str, Any]:
    """sweep.json's content; FileNotFoundError or ValueError name the file."""
    path = out / "sweep.json"
    try:
        description = unseal(path, object)
    except ValueError as error:
        raise ValueError(f"{path}: {_reason(error)}") from error
    try:
        conform(description, schema, path)
    except UntrustedError as error:
        raise ValueError(
            f"{path} is of another version of the suite: {error.reason}"
        ) from None
    for facts in description["datasets"].values() if schema is schemas.SWEEP else ():
        classes = facts.get("classes", {"labels": [], "counts": []})
        labels, counts = classes["labels"], classes["counts"]
        apart = len({*labels}) == len(labels) == len(counts)
        if not apart or min(counts, default=1) < 1:
            raise ValueError(f"{path}: classes without a number of images each")
    return cast(dict[str, Any], description)


def load(out: Path) -> Stored:
    """Every stored run, in run_id order; what cannot be trusted is listed, not used."""
    results: dict[str, Result] = {}
    damaged: dict[str, str] = {}
    for path in result_files(out):
        try:
            result = parse(path)
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            damaged[str(path.relative_to(out))] = _reason(error)
        else:
            results[result.run.run_id] = result
    return Stored(results, damaged)


def _reason(error: Exception) -> str:
    """What is wrong, on one line, without the file that a caller names."""
    return getattr(error, "reason", None) or printable(str(error))


def result_files(out: Path) -> list[Path]:
    """Where the results of a directory lie, one a run's folder, in run_id order.

    Raises:
      UserError: the runs are there and cannot be listed: that is no empty store.
    """
    try:
        with os.scandir(out / "runs") as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(
            f"{out / 'runs'}: cannot be listed ({error.strerror})"
        ) from None
    return [out / "runs" / name / FILE for name in names]


def find(out: Path, runs: Iterable[Run]) -> dict[str, Result]:
    """The stored results of runs that did not fail, where they are to be trusted."""
    paths = [out / "runs" / run.run_id / FILE for run in runs]
    found: dict[str, Result] = {}
    for path in paths:
        try:
            result = parse(path)
        except (OSError, ValueError):
            continue
        if result.status != "failed":
            found[result.run.run_id] = result
    return found


def parse(path: Path, content: bytes | None = None) -> Result:
    """The result of a file; ValueError says what is wrong with it."""
    try:
        result = Result.from_json(unseal(path, schemas.RESULT, content))
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a result of this version: {error}") from error
    _check(result)
    if result.run.run_id != path.parent.name:
        raise ValueError(f"holds run {result.run.run_id}")
    return result


def _check(result: Result) -> None:
    """ValueError where the parts of a result do not fit each other."""
    if result.status not in STATUSES:
        raise ValueError(f"status {result.status[:40]!r}")
    shapes: list[tuple[np.ndarray | None, Any, int]] = [(result.gallery, np.uint8, 4)]
    if (kept := result.kept) is not None:
        for means in (kept.groups, kept.classes):
            shapes.append((means, np.float32, 2))
            if means is not None and len(means) != len(kept.metrics):
                raise ValueError("kept: as many groups as metrics are needed")
        if (worst := kept.worst) is not None:
            pictures = worst.originals, worst.read_outs
            shapes += [(one, np.uint8, 4) for one in pictures]
            if len({len(p) for p in (*pictures, worst.places, worst.scores)}) > 1:
                raise ValueError("worst: places, scores and pictures differ in number")
    if (drawn := result.drawn) is not None:
        shapes += [
            (drawn.samples, np.uint8, 4),
            (drawn.interpolations, np.uint8, 5),
            (drawn.places, np.float32, 2),
            (drawn.labels, np.uint8, 1),
        ]
        if drawn.places.shape[1:] != (2,) or (
            drawn.labels is not None and len(drawn.labels) != len(drawn.places)
        ):
            raise ValueError("drawn: places are (n, 2), labels (n,)")
    for array, kind, rank in shapes:
        if array is None:
            continue
        if array.dtype != kind or array.ndim != rank or not array.size:
            raise ValueError(f"an array of {array.dtype} {array.shape}")
