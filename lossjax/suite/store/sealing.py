"""Files of JSON that are published whole and carry the sha256 of their payload."""

import errno
import hashlib
import json
import math
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lossjax.suite.store import places
from lossjax.suite.store.untrusted import conform, parse_json

SCHEMA = 2  # 1 had tuning and final runs


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, NaN as null."""
    return _compact(_finite(value))


def _compact(finite: Any) -> str:
    """The canonical text of a value that JSON can say; ValueError where it cannot."""
    return json.dumps(finite, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """sha256, in hex, of the canonical JSON of a value."""
    return _sha256(canonical(value))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def temporary_name(name: str) -> str:
    """A name beside `name` that no other writer has, on this machine or another.

    Processes in containers share process numbers, so those would not do.
    """
    return f".{name}.{uuid.uuid4().hex}"


def publish(path: Path, content: str | bytes) -> None:
    """Write a whole file or nothing: a temporary name, fsync, rename.

    Its folder is made where only that is missing: a directory of results that vanished
    under a sweep is an error, not a new one with holes. A device stays one: what root
    renames to /dev/null would be everybody's.
    """
    if places.is_remote(path):
        places.put(path, content.encode() if isinstance(content, str) else content)
        return
    device = path.is_char_device() or path.is_block_device()
    if device and not path.is_symlink():  # of a link, the link is replaced
        raise OSError(errno.EINVAL, "a device, not a file", str(path))
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(temporary_name(path.name))
    data = content.encode() if isinstance(content, str) else content
    try:
        with open(temporary, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sealed(payload: Any) -> str:
    """The text of a file with that payload and its seal."""
    payload = _finite(payload)
    seal = _sha256(_compact(payload))
    whole = {"schema": SCHEMA, "sha256": seal, "payload": payload}
    return json.dumps(whole, sort_keys=True, indent=1) + "\n"


def _bare(text: bytes) -> bytes:
    """JSON text without white space, which alone tells indented from compact."""
    return text.translate(None, b" \t\n\r")


def unseal(path: Path, schema: Any, content: bytes | None = None) -> Any:
    """The payload of a sealed file; ValueError says what is wrong with it."""
    content = places.read(path) if content is None else content
    sealed = parse_json(content, path.name)
    if not isinstance(sealed, dict) or set(sealed) != {"schema", "sha256", "payload"}:
        raise ValueError("not a file of this suite")
    if sealed["schema"] != SCHEMA:
        raise ValueError(f"schema {sealed['schema']!r}, this version reads {SCHEMA}")
    # What was read is finite; to make it so again would double a report's reading.
    sound = _sha256(_compact(sealed["payload"])) == sealed["sha256"]
    # 1E-05 for 1e-05 is the same number and still not what was written.
    if not sound or _bare(_compact(sealed).encode()) != _bare(content):
        raise ValueError("its sha256 does not match its content")
    # The seal shows damage; whoever can write a file can seal it.
    conform(sealed["payload"], schema, path.name)
    return sealed["payload"]


def _finite(value: Any) -> Any:
    """JSON-ready copy: NaN and infinity become None, numpy numbers become Python's."""
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    if isinstance(value, np.generic):
        return _finite(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
