"""One spelling of a dataset, and images too small, before anything is trained."""

import dataclasses
import struct
from pathlib import Path

import numpy as np
import pytest

from lossjax.suite import data
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.sweep.image_sizes import check_sizes
from lossjax.suite.sweep.validation import validate


def write(folder: Path, height: int, width: int) -> str:
    folder.mkdir()
    for part, count in (("train", 9), ("t10k", 3)):
        noise = np.random.default_rng(count).integers(0, 256, (count, height, width))
        sizes = struct.pack(">4B3I", 0, 0, 8, 3, *noise.shape)
        content = sizes + noise.astype(np.uint8).tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(content)
    return f"idx:{folder}"


def test_one_folder_is_one_dataset(tmp_path: Path, monkeypatch) -> None:
    name = write(tmp_path / "p", 8, 8)
    monkeypatch.setenv("HOME", str(tmp_path))
    for spelling in (name, f"{name}/", "idx:~/p", "idx:~/p//"):
        assert validate(Sweep(datasets=(spelling,))).datasets == (name,)
    with pytest.raises(UserError, match="named twice"):
        validate(Sweep(datasets=(name, f"{name}/")))


def test_a_name_that_was_cut_at_a_comma_is_said_first(tmp_path: Path) -> None:
    write(tmp_path / "a,b", 8, 8)
    with pytest.raises(UserError, match="a comma separates datasets"):
        validate(Sweep(datasets=(f"idx:{tmp_path}/a", "b")))


@pytest.mark.parametrize("model", ["conv_ae", "res_ae"])
def test_rates_that_are_too_high_for_large_images_are_said(
    tmp_path: Path, model: str
) -> None:
    name = write(tmp_path / "p", 96, 96)
    loaded = {name: data.load(name)}
    sweep = Sweep(datasets=(name,), models=(model,), learning_rates=(3e-3, 1e-2))
    (line,) = check_sizes(sweep, loaded)
    assert line.startswith(f"{name} / {model}: a layer adds up 18,432 numbers, and at")
    assert "at 0.003, the lowest" in line and "add lower ones (5e-04), or" in line
    for fields in (
        {"learning_rates": (1e-3, 3e-3)},
        {"width": (16, 32, 64, 64)},
        {"optimiser": "sgd"},
    ):
        assert not check_sizes(dataclasses.replace(sweep, **fields), loaded)


@pytest.mark.parametrize("size", [(1, 9), (9, 1)])
def test_images_that_no_model_takes_are_refused(tmp_path: Path, size) -> None:
    name = write(tmp_path / "p", *size)
    with pytest.raises(UserError, match=f"its images are {size[0]} x {size[1]}; model"):
        check_sizes(Sweep(datasets=(name,)), {name: data.load(name)})


@pytest.mark.parametrize("size", [(2, 2), (5, 3), (8, 8)])
def test_images_are_refused_only_if_something_refuses_them(
    tmp_path: Path, size
) -> None:
    from lossjax import METRICS, resolve

    name = write(tmp_path / "p", *size)
    sweep = Sweep(datasets=(name,), losses=("bce", "ssim"))
    image = np.full((2, *size, 1), 0.5, np.float32)
    try:
        resolve("ssim").fn(image, image)
        for metric in METRICS.values():
            metric.fn(image, image)
    except ValueError:
        with pytest.raises(UserError, match=f"its images are {size[0]} x {size[1]}; "):
            check_sizes(sweep, {name: data.load(name)})
    else:
        check_sizes(sweep, {name: data.load(name)})
