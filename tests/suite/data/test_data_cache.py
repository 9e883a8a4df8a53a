"""Decoded images on disk: whatever became of an entry, the right images come back."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lossjax.suite.data.cache import cached
from lossjax.suite.data.dataset import Content, Split


def content() -> Content:
    images = np.arange(48, dtype=np.uint8).reshape(3, 4, 4, 1)
    split = Split(images, np.arange(3, dtype=np.int32))
    return Content(
        dict.fromkeys(("train", "validation", "test"), split), "d", {"say": 1}
    )


@pytest.fixture
def entry(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("LOSSJAX_CACHE", str(tmp_path))
    cached("kind", {}, content)
    (entry,) = (tmp_path / "data").iterdir()
    return entry


def made() -> tuple[Content, bool]:
    """What the cache answers, and whether it had to be made."""
    calls = []

    def make() -> Content:
        calls.append(1)
        return content()

    return cached("kind", {}, make), bool(calls)


def _json(change):
    def act(entry: Path) -> None:
        path = entry / "meta.json"
        path.write_text(json.dumps(change(*json.loads(path.read_text()))))

    return act


def _instead(name: str, put):
    def act(entry: Path) -> None:
        (entry / name).unlink()
        put(entry / name)

    return act


def _file(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.write_bytes(b"a file at the place of the entry")


@pytest.mark.parametrize(
    "harm",
    [
        _json(
            lambda seal, meta: [seal, meta | {"truth": {}}]
        ),  # was a KeyError for ever
        _json(lambda seal, meta: [seal, meta | {"description": "x"}]),
        _json(lambda seal, meta: [seal, {}]),
        _json(lambda seal, meta: meta),
        _json(lambda seal, meta: None),
        _instead("meta.json", lambda path: path.write_bytes(b"[" * 10**6)),
        _instead("meta.json", lambda path: path.write_bytes(b"")),
        _instead("meta.json", os.mkfifo),
        _instead("meta.json", lambda path: path.symlink_to("/dev/zero")),
        _instead("test-labels.npy", os.mkfifo),
        _instead("test-images.npy", Path.mkdir),
        _instead("train-images.npy", lambda path: path.write_bytes(b"\x93NUMPY")),
        _file,
    ],
)
def test_a_spoiled_entry_is_made_again_once(entry: Path, harm) -> None:
    assert not made()[1]
    harm(entry)
    for again in (True, False):
        found, called = made()
        assert called == again
        assert found.truth == {"say": 1} and found.description == "d"
        np.testing.assert_array_equal(
            found.splits["test"].images, content().splits["test"].images
        )
