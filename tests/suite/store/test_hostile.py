"""Files that were written to harm: named in one line, and the rest goes on."""

import dataclasses
import gzip
import hashlib
import io
import json
import shutil
import subprocess
import sys
import zlib
from base64 import b64encode
from pathlib import Path

import numpy as np
import pytest

from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.reproduce import folder as studies
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.shipped import PUBLISHED, ROOT
from lossjax.suite.store import checkpoint, places, results, sealing
from lossjax.suite.store.results import Result, Run
from lossjax.suite.store.untrusted import UntrustedError
from lossjax.suite.sweep import output

GOOD, BAD = (
    Run("digits", "conv_ae", "bce", 0.003, seed, 8, 500, {"width": [4, 8]})
    for seed in (0, 1)
)


def result(run: Run) -> Result:
    gallery = np.arange(32, dtype=np.uint8).reshape(2, 4, 4, 1)
    metrics = {"val_mse": 0.5}
    return Result(run, "ok", validation_loss=0.25, metrics=metrics, gallery=gallery)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "runs").mkdir()
    for run in (GOOD, BAD):
        results.write_result(tmp_path, result(run))
    return tmp_path


def spoil(out: Path, text: str) -> str:
    """What is said of the bad run, when the good one is there still."""
    (out / "runs" / BAD.run_id / "result.json").write_text(text)
    stored = results.load(out)
    assert list(stored.results) == [GOOD.run_id]
    ((path, wrong),) = stored.damaged.items()
    assert path == f"runs/{BAD.run_id}/result.json"
    assert len(wrong.splitlines()) == 1 and wrong.isprintable()
    return wrong


def sealed(**changed: object) -> str:
    return sealing.sealed(result(BAD).to_json() | changed)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"validation_loss": "0.1"}, "validation_loss is str"),
        ({"validation_loss": 10**400}, "validation_loss is out of range"),
        ({"metrics": [1]}, "metrics is list"),
        ({"metrics": {"val_mse": True}}, "metrics['val_mse'] is bool"),
        ({"curve": {"step": [[]]}}, "curve['step'][0] is list"),
        ({"status": "fine"}, "status 'fine'"),
        ({"message": "\ud800"}, "no Unicode"),
        ({"gallery": {"shape": [2], "data": "!"}}, "damaged"),
        ({"gallery": {"shape": [-1], "data": ""}}, "no shape of an array"),
        ({"gallery": {"shape": [2], "data": "", "dtype": "|O"}}, "type '|O'"),
        ({"gallery": results.pack(np.zeros((2, 4), np.uint8))}, "an array of uint8"),
        ({"run": result(BAD).run.to_json() | {"seed": 0.5}}, "run.seed is float"),
        ({"extra": 1}, "not a result of this version"),
    ],
)
def test_a_right_seal_around_a_wrong_result(out: Path, changed: dict, words: str):
    assert words in spoil(out, sealed(**changed))


@pytest.mark.parametrize("depth", [40, 100_000])
def test_brackets_without_end(out: Path, depth: int) -> None:
    nested = json.dumps({"schema": 2, "sha256": "", "payload": 7})
    text = nested.replace("7", "[" * depth + "]" * depth)
    assert "nested" in spoil(out, text)


def test_a_small_file_that_inflates_is_not_inflated(out: Path) -> None:
    bomb = b64encode(zlib.compress(bytes(2**30), 1)).decode()
    for shape, words in (([2**30], "over 67,108,864"), ([4], "inflates to over 4 ")):
        assert words in spoil(out, sealed(gallery={"shape": shape, "data": bomb}))


def test_a_million_empty_lists_are_not_made(out: Path) -> None:
    assert "over 1,048,576 values" in spoil(out, "[" + "[]," * 2**20 + "[]]")


def test_a_pipe_in_place_of_a_result_is_not_waited_for(out: Path) -> None:
    import os

    path = out / "runs" / BAD.run_id / "result.json"
    path.unlink()
    os.mkfifo(path)
    assert list(results.load(out).damaged) == [str(path.relative_to(out))]


def test_a_sweep_description_of_wrong_types_is_one_line(out: Path) -> None:
    for payload in ([], {"config": 1}, {"config": {}, "losses": "bce"}):
        (out / "sweep.json").write_text(sealing.sealed(payload))
        with pytest.raises(ValueError, match=r"^\S+sweep\.json is of another version"):
            results.read_sweep(out)


# Even root obeys a folder's mode in the program that this one becomes: it drops
# CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH.
WITHOUT_PRIVILEGE = """
import ctypes, os, sys
for capability in (1, 2):
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="drops capabilities of Linux")
def test_runs_that_cannot_be_listed_are_no_empty_store(out: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from lossjax.suite.store import results;"
        "print(len(results.load(Path(sys.argv[1])).results))"
    )
    (out / "runs").chmod(0)
    try:
        ended = subprocess.run(
            [sys.executable, "-c", WITHOUT_PRIVILEGE, "-c", program, str(out)],
            capture_output=True,
            text=True,
            env={"PYTHONPATH": str(ROOT)},
        )
    finally:
        (out / "runs").chmod(0o755)
    assert not ended.stdout
    assert "UserError" in ended.stderr and "cannot be listed" in ended.stderr


POINT = checkpoint.Checkpoint(
    5, (np.zeros((3, 4), np.float32), np.array(1)), {"step": [1.0]}, {"jax": "1"}
)


def resealed(out: Path, **changed: np.ndarray) -> None:
    """A saved state with other arrays under a right seal."""
    checkpoint.save(out, BAD, POINT)
    path = out / "runs" / BAD.run_id / checkpoint.FILE
    with np.load(io.BytesIO(path.read_bytes()[64:])) as arrays:
        held = {name: arrays[name] for name in arrays.files} | changed
    buffer = io.BytesIO()
    write = np.savez_compressed if "leaf9" in changed else np.savez
    write(buffer, **held)
    content = buffer.getvalue()
    path.write_bytes(hashlib.sha256(content).hexdigest().encode() + content)


def facts(**changed: object) -> np.ndarray:
    whole = {"curve": {}, "made_by": {}, "run_id": BAD.run_id, "step": 5}
    return np.array(json.dumps(whole | changed))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"leaf9": np.zeros(2**26)}, "compressed arrays"),
        ({"leaf8": np.zeros(2)}, "holds"),
        ({"leaf0": np.array(["x"])}, "an array of <U1"),
        ({"facts": facts(step="5")}, "step is str"),
        ({"facts": facts(step=501)}, "at step 501"),
        ({"facts": facts(curve={"step": 1})}, r"curve\['step'\] is int"),
        ({"facts": np.array("[" * 9_000)}, "no JSON|nested"),
    ],
)
def test_a_right_seal_around_a_wrong_state(out: Path, changed: dict, words: str):
    resealed(out)
    assert checkpoint.read(out, BAD, POINT.made_by) is not None
    resealed(out, **changed)
    with pytest.raises(ValueError, match=words):
        checkpoint.read(out, BAD, POINT.made_by)


def test_a_state_of_other_sizes_is_begun_again() -> None:
    from lossjax.suite.sweep import chunk

    curve = {name: [1.0] for name in chunk._CURVES}
    point = dataclasses.replace(POINT, curve=curve)
    assert chunk._fits(point, POINT.leaves)
    assert not chunk._fits(point, POINT.leaves[:1])
    assert not chunk._fits(point, (np.zeros((4, 3), np.float32), POINT.leaves[1]))
    assert not chunk._fits(POINT, POINT.leaves)


@pytest.mark.parametrize(
    "content",
    [
        b"\x1f\x8b\x08\x00" + bytes(40),
        gzip.compress(bytes(2**27), 1),
        gzip.compress(b"grid,dataset\n1,2,3\n"),
        gzip.compress(b"\xff\xfe\n"),
    ],
    ids=["zlib.error", "inflates", "columns", "no UTF-8"],
)
def test_damaged_study_rows_are_one_line(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "keras_blog"
    shutil.copytree(PUBLISHED / "keras_blog", place)
    study = STUDIES["keras_blog"]
    studies.record_of(study, place)
    (place / studies.ROWS).write_bytes(content)
    with pytest.raises(UserError, match="keras_blog is damaged"):
        studies.record_of(study, place)


def test_a_path_that_is_no_unicode_is_refused_before_training() -> None:
    """Such a name comes from the command line, and no file could hold it."""
    name = b"images:/caf\xe9".decode(errors="surrogateescape")
    for field, ask in (("--out", places.parse), ("config.datasets", _asked)):
        with pytest.raises(
            UserError, match=rf"{field}=.*\\udce9: holds a byte"
        ) as error:
            ask(name)
        assert str(error.value).isprintable()


def test_a_name_that_no_file_system_takes_is_refused() -> None:
    with pytest.raises(UserError, match="File name too long"):
        output.check(places.parse("x" * 300))


def _asked(name: str) -> Sweep:
    return Sweep(datasets=(name,))


def test_what_is_wrong_is_an_untrusted_error() -> None:
    with pytest.raises(UntrustedError):
        results.unpack({"shape": [3], "data": b64encode(zlib.compress(b"")).decode()})
