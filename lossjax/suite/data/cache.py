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

from lossjax.models.pixels import BYTES, Pixels
from lossjax.suite.data.dataset import SPLITS, Content, Split
from lossjax.suite.data.folders import expanded
from lossjax.suite.store.untrusted import conform, open_regular, read_json

_LAYOUT = 2  # raised when what is stored, or how images are decoded, changes
_META = {
    "sha256": {str: str},
    "description": str,
    "truth": dict,
    "pixels?": {"levels": int, "kept": str},
    "span?": [float],
}


def cache_root() -> Path:
    """LOSSJAX_CACHE, or the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    root = os.environ.get("LOSSJAX_CACHE") or os.path.join(base, "lossjax")
    return expanded(root, "LOSSJAX_CACHE=") / "data"


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
    with open_regular(path) as file:
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
        meta: dict[str, Any] = {
            "sha256": sums,
            "description": content.description,
            "truth": dict(content.truth),
        }
        if content.pixels != BYTES:
            kind = content.pixels
            meta["pixels"] = {"levels": kind.levels, "kept": kind.kept}
            meta["span"] = list(content.span or ())
        (work / "meta.json").write_text(json.dumps([_seal(meta), meta]))
        # A directory cannot replace a full one: a damaged entry steps aside first.
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
        try:
            os.rename(work, entry)
        except OSError:
            if not (entry / "meta.json").is_file():  # else another process was faster
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _seal(meta: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def _read(entry: Path) -> Content | None:
    """The entry, or None where it is absent or any byte of it has changed."""
    try:
        seal, meta = read_json(entry / "meta.json", [(str, dict)])
        if seal != _seal(meta):
            return None
        conform(meta, _META, entry)
        splits = {}
        for key in SPLITS:
            arrays = {}
            for what in ("images", "labels"):
                name = f"{key}-{what}.npy"
                if what == "images" or name in meta["sha256"]:
                    if file_sha256(entry / name) != meta["sha256"][name]:
                        return None
                    arrays[what] = np.load(entry / name, mmap_mode="r")
            splits[key] = Split(**arrays)
        words = meta["description"], meta["truth"]
        if "pixels" not in meta:
            return Content(splits, *words)
        kind = meta["pixels"]
        pixels = Pixels(kind["levels"], kind["kept"])
        black, white = meta["span"]
        return Content(splits, *words, pixels=pixels, span=(black, white))
    # Whatever a parser meets in a damaged entry: it is made again.
    except Exception:
        return None
