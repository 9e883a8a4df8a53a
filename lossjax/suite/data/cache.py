"""Decoded images kept on disk: memory-mapped, verified, published atomically."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.dataset import Content, Split

_LAYOUT = 1  # raised when what is stored, or how images are decoded, changes


def cache_root() -> Path:
    """LOSSJAX_CACHE, or the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    root = os.environ.get("LOSSJAX_CACHE") or os.path.join(base, "lossjax")
    return Path(root).expanduser() / "data"


def cached(kind: str, key: Mapping[str, Any], make: Callable[[], Content]) -> Content:
    """The content of that key, made once; its images are read-only memory maps.

    A damaged entry is made again. Where the folder cannot be written the content is
    returned as made, in memory.
    """
    text = json.dumps([_LAYOUT, kind, key], sort_keys=True)
    entry = cache_root() / f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:24]}"
    stored = _read(entry)
    if stored is not None:
        return stored
    content = make()
    try:
        _write(entry, content)
    except OSError:
        return content
    return _read(entry) or content


def file_sha256(path: Path) -> str:
    """The sha256 (hex) of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write(entry: Path, content: Content) -> None:
    entry.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=entry.parent))
    try:
        sums = {}
        for key, split in content.splits.items():
            arrays = {"images": split.images, "labels": split.labels}
            for what, array in arrays.items():
                if array is not None:
                    name = f"{key}-{what}.npy"
                    with open(work / name, "wb") as file:
                        np.save(file, array, allow_pickle=False)
                        file.flush()
                        os.fsync(file.fileno())
                    sums[name] = file_sha256(work / name)
        meta = {
            "sha256": sums,
            "description": content.description,
            "truth": dict(content.truth),
        }
        (work / "meta.json").write_text(json.dumps(meta))
        # A directory cannot replace a full one: a damaged entry steps aside first.
        shutil.rmtree(entry, ignore_errors=True)
        try:
            os.rename(work, entry)
        except OSError:
            if not (entry / "meta.json").is_file():  # else another process was faster
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _read(entry: Path) -> Content | None:
    """The entry, or None where it is absent or any byte of it has changed."""
    try:
        meta = json.loads((entry / "meta.json").read_text())
        for name, sha256 in meta["sha256"].items():
            if file_sha256(entry / name) != sha256:
                return None
        splits = {}
        for key in ("train", "validation", "test"):
            images = np.load(entry / f"{key}-images.npy", mmap_mode="r")
            labels = None
            if f"{key}-labels.npy" in meta["sha256"]:
                labels = np.load(entry / f"{key}-labels.npy", allow_pickle=False)
            splits[key] = Split(images, labels)
        return Content(splits, meta["description"], meta["truth"])
    except (OSError, ValueError, KeyError, TypeError, DataError):
        return None
