"""Inputs of the store for `fuzz`: results, sweep.json, saved states, study rows.

Half of what is spoiled is sealed again, as whoever writes a file can.
"""

import base64
import contextlib
import functools
import gzip
import hashlib
import io
import json
import random
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from lossjax.suite import protocol
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.report import build, evidence
from lossjax.suite.reproduce import folder as studies
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.shipped import PUBLISHED
from lossjax.suite.soak import mutations
from lossjax.suite.store import checkpoint, results, sealing
from lossjax.suite.store.test_images import Drawn, Kept, Worst
from lossjax.suite.verify import archive, soundness

_SWEEP = Sweep(losses=("bce", "mse"), seeds=(0, 1, 2), learning_rates=(1e-3, 1e-2))
_METRICS = ("mse", "ssim")
# Small ones, with runs and with steps alone.
_STUDIES = ("bce_floor", "surfaces", "keras_blog")
_REPORTS = 10  # one input of so many is reported whole, which takes a second


@functools.cache  # not at import, in every process of the soak: it takes a second
def _bomb() -> bytes:
    """260 KB that inflate to 256 MB."""
    return zlib.compress(bytes(2**28), 9)


def _whole(place: Path) -> Path:
    """A small sweep that was stored, made once."""
    if (place / "sweep.json").is_file():
        return place
    images = np.arange(4 * 64, dtype=np.uint8).reshape(4, 8, 8, 1)
    facts = {"fingerprint": "0" * 64, "shape": [8, 8, 1], "train": 100}
    facts |= {"validation": 20, "test": 20, "derived": {}}
    facts |= {"classes": {"labels": [3, 8], "counts": [15, 5]}}
    description = {
        "config": _SWEEP.to_json(),
        "losses": list(_SWEEP.losses),
        "hypers": {name: {} for name in _SWEEP.losses},
        "metrics": {
            name: {
                "direction": "lower" if name == "mse" else "higher",
                "unit": "intensity^2",
                "label": name,
                "margin": {"value": 0.01, "relative": True},
            }
            for name in _METRICS
        },
        "diagnostics": {"blur": {"unit": "ratio", "note": "of edges"}},
        "datasets": {"digits": facts | {"gallery": results.pack(images)}},
        "provenance": {"numerics": 1, "backend": "cpu", "versions": {"jax": "0"}},
    }
    results.write_sweep(place, description)
    for run in _runs(description):
        results.write_result(place, _result(run, images))
    return place


def _runs(description: dict[str, Any]) -> list[results.Run]:
    fixed = protocol.fixed_values(_SWEEP, description["datasets"], 1)
    return [run for block in protocol.blocks(_SWEEP, fixed) for run in block.runs]


def _result(run: results.Run, images: np.ndarray) -> results.Result:
    value = 0.01 + 0.001 * run.seed + run.learning_rate + 0.02 * (run.loss == "mse")
    groups = np.full((len(_METRICS), 20), value, np.float32)
    worst = Worst("mse", (1, 2), (0.5, 0.25), images[:2], images[:2])
    places = np.zeros((5, 2), np.float32)
    return results.Result(
        run,
        "ok",
        validation_loss=value,
        metrics={f"{split}_{n}": value for split in ("val", "test") for n in _METRICS},
        curve={
            name: [1.0, 2.0, 3.0]
            for name in ("step", "train_loss", "validation_loss", "validation_mse")
        },
        gallery=images,
        kept=Kept(_METRICS, groups, worst, groups[:, :2]),
        drawn=Drawn(images, images[None], places, np.zeros(5, np.uint8)),
        provenance={"layout": "1 device", "backend": "cpu", "source": "x"},
    )


def _bent(content: bytes, generator: random.Random) -> bytes:
    """A sealed file spoiled, in its payload or around it."""
    if generator.random() < 0.2:
        return mutations.bent_json(content, generator)
    bend = generator.choice((mutations.bent_json, mutations.bent_values))
    try:
        payload = json.loads(content)["payload"]
        spoiled = bend(json.dumps(payload).encode(), generator)
        payload = json.loads(spoiled)
        if generator.random() < 0.1 and isinstance(payload, dict):
            bomb = {"shape": [2**28], "data": base64.b64encode(_bomb()).decode()}
            bomb["shape"] = generator.choice(([2**28], [4, 8, 8, 1], [-1]))
            payload[generator.choice(("gallery", "drawn"))] = bomb
        return sealing.sealed(payload).encode()
    except (ValueError, RecursionError, KeyError, TypeError):  # no JSON any more
        return mutations.bent_bytes(content, generator)


def _spoiled(
    folder: Path, generator: random.Random, pattern: str
) -> tuple[Path, random.Random]:
    out = mutations.copied(_whole(folder.parent / "whole"), folder / "out")
    for _ in range(generator.choice((1, 1, 3))):
        path = generator.choice(sorted(out.glob(pattern)) or [out / "gone"])
        if path.is_file() and not path.is_symlink():
            mutations.bend_file(path, generator, _bent)
    return out, generator


def result_files(folder: Path, generator: random.Random) -> Any:
    """Stored runs, one to three of them spoiled."""
    return _spoiled(folder, generator, "runs/*/result.json")


def descriptions(folder: Path, generator: random.Random) -> Any:
    """A spoiled sweep.json over good runs."""
    return _spoiled(folder, generator, "sweep.json")


def read_store(made: tuple[Path, random.Random]) -> None:
    """As `report` and `verify` read it; all of the report now and then."""
    out, generator = made
    with contextlib.suppress(UserError, ValueError):  # verify names it
        stored = archive.read(out)
        if not list(soundness.problems(stored)):
            stored.table()
    build.content(evidence.read(out))
    if generator.randrange(_REPORTS) == 0:
        build.build(out)


def states(folder: Path, generator: random.Random) -> tuple[Path, results.Run]:
    """A saved state, spoiled inside its seal or outside."""
    (folder / "runs").mkdir()
    run = results.Run("digits", "conv_ae", "bce", 1e-3, 0, 8, 10, {})
    leaves = (np.arange(12, dtype=np.float32).reshape(3, 4), np.array(3, np.int32))
    curve = {"step": [1.0], "train_loss": [float("nan")]}
    point = checkpoint.Checkpoint(5, leaves, curve, {"layout": 1})
    checkpoint.save(folder, run, point)
    path = folder / "runs" / run.run_id / checkpoint.FILE
    mutations.bend_file(path, generator, _bent_state)
    return folder, run


def _bent_state(content: bytes, generator: random.Random) -> bytes:
    if generator.random() < 0.2:
        return mutations.bent_bytes(content, generator)
    inner = content[64:]
    act = generator.random()
    if act < 0.4:
        inner = mutations.bent_bytes(inner, generator)
    else:
        with np.load(io.BytesIO(inner)) as arrays:
            held = {name: arrays[name] for name in arrays.files}
        if act < 0.7:
            facts = mutations.bent_json(str(held["facts"]).encode(), generator)
            held["facts"] = np.array(facts.decode(errors="replace"))
        elif act < 0.9:
            name = generator.choice(sorted(held))
            held[generator.choice(("x", "leaf7", name))] = held.pop(name)
        else:
            held["leaf1"] = np.zeros(2**24, np.float32)
        buffer = io.BytesIO()
        write = generator.choice((np.savez, np.savez_compressed))
        write(buffer, **held)
        inner = buffer.getvalue()
    return hashlib.sha256(inner).hexdigest().encode() + inner


def read_state(made: tuple[Path, results.Run]) -> None:
    out, run = made
    try:
        checkpoint.read(out, run, {"layout": 1})
    except ValueError as error:  # a sweep says so and begins the run again
        raise UserError(str(error)) from None
    checkpoint.discard(out, run)


def study_rows(folder: Path, generator: random.Random) -> Path:
    """A published study's rows, or how they were made, spoiled."""
    name = generator.choice(_STUDIES)
    place = folder / name
    shutil.copytree(PUBLISHED / name, place, ignore=shutil.ignore_patterns("*.svg"))
    files = sorted(place.glob("*.csv.gz"))
    for _ in range(generator.choice((1, 1, 2))):
        path = generator.choice((place / studies.MADE, *files))
        if path.is_file() and not path.is_symlink():
            bend = mutations.bent_json if path.suffix == ".json" else _bent_gzip
            mutations.bend_file(path, generator, bend)
    return place


def _bent_gzip(content: bytes, generator: random.Random) -> bytes:
    """Spoiled inside its gzip at times, so that the sums are right."""
    act = generator.random()
    if act < 0.05:
        return gzip.compress(bytes(2**28), 9)
    if act < 0.6 and content[:2] == b"\x1f\x8b":
        try:
            inner = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            return mutations.bent_bytes(content, generator)
        text = mutations.bent_text(inner.decode(errors="replace"), generator)
        return gzip.compress(text.encode(errors="surrogatepass"), 1)
    return mutations.bent_bytes(content, generator)


def read_study(place: Path) -> None:
    studies.record_of(STUDIES[place.name], place)
