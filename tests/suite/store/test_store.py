"""The store: whole or not at all, and nothing damaged is used."""

import dataclasses
import json
import math
import os
import stat
from pathlib import Path

import numpy as np
import pytest

from lossjax.suite.store import results, sealing
from lossjax.suite.store.results import Result, Run

RUN = Run("digits", "conv_ae", "bce", 0.003, 1, 8, 500, {"width": [4, 8], "x": None})
RESULT = Result(
    RUN,
    "ok",
    validation_loss=0.25,
    metrics={"val_mse": 0.5, "test_mse": math.nan},
    curve={"step": [1.0, 2.0], "train_loss": [0.5, math.nan]},
    gallery=np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1),
    provenance={"numerics": 1},
)


@pytest.fixture(autouse=True)
def _runs(tmp_path: Path) -> None:
    """A sweep makes the folder of runs, once."""
    (tmp_path / "runs").mkdir()


def file_of(out: Path) -> Path:
    return out / "runs" / RUN.run_id / "result.json"


def test_round_trip(tmp_path: Path) -> None:
    results.write_result(tmp_path, RESULT)
    stored = results.load(tmp_path)
    assert stored.damaged == {}
    read = stored.results[RUN.run_id]
    assert read.run == RUN and read.validation_loss == 0.25
    assert read.metrics["val_mse"] == 0.5 and math.isnan(read.metrics["test_mse"])
    np.testing.assert_array_equal(read.gallery, RESULT.gallery)


def test_nan_is_null_and_the_file_is_plain_json(tmp_path: Path) -> None:
    results.write_result(tmp_path, RESULT)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    content = json.loads(file_of(tmp_path).read_text(), parse_constant=refuse)
    assert content["payload"]["metrics"]["test_mse"] is None


def test_run_id_is_stable() -> None:
    """A changed id would retrain everybody's stored runs."""
    assert RUN.run_id == "d1d2125859564cbd"


@pytest.mark.parametrize("seed", range(50))
def test_a_flipped_bit_never_changes_a_number_in_silence(
    tmp_path: Path, seed: int
) -> None:
    results.write_result(tmp_path, RESULT)
    content = bytearray(file_of(tmp_path).read_bytes())
    place = np.random.default_rng(seed).integers(len(content) * 8)
    content[place // 8] ^= 1 << (place % 8)
    file_of(tmp_path).write_bytes(content)
    stored = results.load(tmp_path)
    assert list(stored.damaged) == [f"runs/{RUN.run_id}/result.json"]
    assert stored.results == {}


@pytest.mark.parametrize(
    ("ours", "other"),
    [
        ("1e-05", "1E-05"),  # one bit, found by the soak: read as the same number
        ('"test_mse": null', '"test_mse": NaN'),  # which Python's json reads
    ],
)
def test_a_number_written_otherwise_is_damage(
    tmp_path: Path, ours: str, other: str
) -> None:
    metrics = {"val_mse": 1e-05, "test_mse": math.nan}
    results.write_result(tmp_path, dataclasses.replace(RESULT, metrics=metrics))
    assert results.load(tmp_path).damaged == {}
    text = file_of(tmp_path).read_text()
    assert text.count(ours) == 1
    file_of(tmp_path).write_text(text.replace(ours, other))
    stored = results.load(tmp_path)
    assert stored.results == {} and len(stored.damaged) == 1


@pytest.mark.parametrize("keep", [0, 1, 10, 100, 500])
def test_a_cut_file_is_damaged(tmp_path: Path, keep: int) -> None:
    results.write_result(tmp_path, RESULT)
    file_of(tmp_path).write_bytes(file_of(tmp_path).read_bytes()[:keep])
    assert len(results.load(tmp_path).damaged) == 1


def test_a_result_under_another_name_is_damaged(tmp_path: Path) -> None:
    results.write_result(tmp_path, RESULT)
    file_of(tmp_path).parent.rename(tmp_path / "runs" / "feedfacefeedface")
    assert results.load(tmp_path).results == {}


def test_what_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    results.write_result(tmp_path, RESULT)
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "notes" / "mine.txt").write_text("hello")
    (tmp_path / "runs" / "result.json").write_text("{}")
    stored = results.load(tmp_path)
    assert list(stored.results) == [RUN.run_id] and not stored.damaged


def test_a_directory_that_vanished_is_not_made_again(tmp_path: Path) -> None:
    (tmp_path / "runs").rename(tmp_path / "away")
    with pytest.raises(FileNotFoundError):
        results.write_result(tmp_path, RESULT)
    assert not (tmp_path / "runs").exists()


def test_interrupted_write_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(KeyboardInterrupt):
        results.write_result(tmp_path, RESULT)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_sweep_description_is_checked(tmp_path: Path) -> None:
    empty: dict = {"config": {}, "metrics": {}, "datasets": {}}
    facts = {"losses": ["bce"], "provenance": {"numerics": 1}}
    results.write_sweep(tmp_path, empty | facts)
    assert results.read_sweep(tmp_path)["losses"] == ["bce"]
    path = tmp_path / "sweep.json"
    path.write_text(path.read_text().replace("bce", "mse"))
    with pytest.raises(ValueError, match="sha256"):
        results.read_sweep(tmp_path)


def test_no_two_writers_share_a_temporary_name() -> None:
    assert len({sealing.temporary_name("result.json") for _ in range(1000)}) == 1000


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make a device, or lose one")
def test_a_device_is_not_replaced(tmp_path: Path) -> None:
    device = tmp_path / "null"  # of our own: that of the system is everybody's
    os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 3))
    before = os.listdir(tmp_path)
    with pytest.raises(OSError, match="a device, not a file"):
        sealing.publish(device, "x")
    assert device.is_char_device() and os.listdir(tmp_path) == before
    link = tmp_path / "link"
    link.symlink_to(device)
    sealing.publish(link, "x")
    assert link.read_text() == "x" and device.is_char_device()
