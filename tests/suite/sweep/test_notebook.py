"""compare() is a sweep: the same runs and numbers, refusals before anything is made."""

import os
import shlex
import signal
import threading
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import lossjax
from lossjax.suite.cli.errors import UserError
from lossjax.suite.store import results as store
from lossjax.suite.sweep import __main__ as sweep

SMALL = {
    "learning_rates": (1e-3, 1e-2, 1e-1),
    "train_steps": 6,
    "curve_points": 2,
    "width": (4, 4),
    "latent_dim": 2,
    "batch_size": 8,
}


@pytest.fixture
def images() -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.integers(0, 256, (40, 8, 8)).astype(np.uint8)


@pytest.mark.slow
def test_equals_the_sweep_whose_command_it_prints(
    images: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("lossjax.suite.shipped.LOCAL", tmp_path)
    before = signal.getsignal(signal.SIGINT)
    asked = {"labels": np.arange(40) % 2, "seeds": range(3), **SMALL}
    made = lossjax.compare(images, **asked)
    assert signal.getsignal(signal.SIGINT) is before
    _, printed = capsys.readouterr().out.rsplit("the same sweep by itself:", 1)
    assert made.command == printed.strip()
    verb, *words = shlex.split(made.command)[1:]
    out = tmp_path / "again"
    assert verb == "sweep" and sweep.main([*words, f"--out={out}"]) == 0
    ours, theirs = (store.load(place).results for place in (made.out, out))
    assert len(ours) == 18 and set(ours) == set(theirs)
    for name, one in ours.items():
        assert one.metrics == theirs[name].metrics
        assert "test_probe_accuracy" in one.metrics
        np.testing.assert_array_equal(one.gallery, theirs[name].gallery)
    stamps = {path: path.stat().st_mtime_ns for path in store.result_files(made.out)}
    again = lossjax.compare(images, **asked)  # nothing is trained twice
    assert again.out == made.out and again.table().equals(made.table())
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}


@pytest.mark.slow
def test_minutes_choose_the_steps_once(
    images: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = SMALL | {"seeds": 0, "learning_rates": 1e-2, "out": tmp_path / "out"}
    del asked["train_steps"]
    made = lossjax.compare(images, minutes=1e-3, **asked)
    assert made.config.train_steps == 100 and len(store.load(made.out).results) == 2
    assert "2 runs of 100 steps: about" in capsys.readouterr().out
    lossjax.compare(images, minutes=60, **asked)
    assert "all 2 runs are stored" in capsys.readouterr().out


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done(images: np.ndarray, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = SMALL | {"seeds": (0,), "train_steps": 200_000, "out": out}

    def stop() -> None:
        while not (out / "sweep.json").exists():
            time.sleep(0.05)
        time.sleep(1)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(KeyboardInterrupt, match="call compare again with the same"):
        lossjax.compare(images, **asked)
    thread.join()
    assert (out / "sweep.json").exists()


def test_refuses_before_anything_is_made(
    images: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lossjax.suite.shipped.LOCAL", tmp_path / "local")
    out = tmp_path / "out"
    cases = [
        ((["a", "b"],), {}, "images of <U1; valid are arrays of numbers, a folder"),
        (("digits",), {"labels": [1]}, "labels: goes with an array"),
        (("digts",), {}, "did you mean digits?"),
        (("digits",), {"minutes": 0}, "minutes = 0: must be a number above 0"),
        (("digits",), {"losses": "mze"}, "config.losses: unknown loss 'mze'"),
        (("digits",), {"learning_rate": 1}, "did you mean 'learning_rates'"),
        (("digits",), {"model": "conv"}, "config.models: unknown model 'conv'"),
        (("digits",), {"seeds": -1}, "config.seeds"),
        ((images,), {"losses": "mze"}, "config.losses: unknown loss 'mze'"),
        ((images - 0.5,), {}, "say which are black and white"),
    ]
    for images_, fields, words in cases:
        with pytest.raises(UserError) as caught:
            lossjax.compare(*images_, out=out, **fields)
        assert words in str(caught.value), caught.value
    with jax.enable_x64(True), pytest.raises(UserError, match="64 bits"):
        lossjax.compare("digits", out=out)
    assert not [path for path in tmp_path.rglob("*") if not path.is_dir()]
