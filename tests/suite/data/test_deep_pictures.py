"""TIFF of 16 bits and many bands as `images:` keeps it, and crops of pictures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from lossjax.models.pixels import BYTES, Pixels
from lossjax.suite import data
from lossjax.suite.cli.errors import DataError

RANDOM = np.random.default_rng(0)
BANDS = RANDOM.integers(0, 4096, (14, 8, 8, 12)).astype(np.uint16)
# Every pixel of every picture has a number of its own.
PLACES = np.arange(14 * 30 * 41, dtype=np.uint16).reshape(14, 30, 41)


@pytest.fixture(autouse=True)
def _decoded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSJAX_CACHE", str(tmp_path / "cache"))


def folder(path: Path, pictures: np.ndarray, **options: Any) -> str:
    for k, one in enumerate(pictures):
        (path / "ab"[k % 2]).mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path / "ab"[k % 2] / f"{k}.tif", one, **options)
    return f"images:{path}"


def whole(dataset: data.Dataset) -> np.ndarray:
    images = np.concatenate([split.images for split in dataset.splits.values()])
    return images[np.lexsort(images.reshape(len(images), -1).T)]


@pytest.mark.parametrize(
    ("planes", "options"),
    [
        (BANDS, {"planarconfig": "contig", "photometric": "minisblack"}),
        (
            np.moveaxis(BANDS, -1, 1),
            {"planarconfig": "separate", "photometric": "minisblack"},
        ),
        (4095 - BANDS[..., :1], {"photometric": "miniswhite"}),
        (BANDS[..., 0], {"photometric": "minisblack", "compression": "zlib"}),
        (BANDS[..., :3], {"photometric": "rgb"}),
    ],
)
def test_deep_tiff_keeps_its_levels_and_bands(
    tmp_path: Path, planes: np.ndarray, options: dict[str, Any]
) -> None:
    name = folder(tmp_path / "p", planes, **options)
    asked: dict[str, Any] = {"image_size": 8, "value_range": (0, 4095)}
    dataset = data.load(name, **asked)
    bands = dataset.image_shape[2]
    expected = (BANDS[..., :bands] / 4095).astype(np.float32)
    flat = expected[np.lexsort(expected.reshape(14, -1).T)]
    np.testing.assert_allclose(whole(dataset), flat, atol=1e-7)
    assert dataset.pixels == Pixels(4096, "float32") and dataset.span == (0, 4095)
    assert dataset.train.labels is not None and set(dataset.train.labels) == {0, 1}
    assert data.load(name, **asked).fingerprint == dataset.fingerprint  # from the cache
    small = data.load(name, image_size=5, value_range=(0, 4095))
    assert small.image_shape == (5, 5, bands) and small.pixels.levels == 0
    assert 0 <= small.train.images.min() < small.train.images.max() <= 1


def test_what_is_no_picture_of_the_folder_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = BANDS.copy()
    odd[3, 2, 2, 5] = 5000
    name = folder(tmp_path / "p", odd, planarconfig="contig", photometric="minisblack")
    (tmp_path / "p" / "a" / "cut.tif").write_bytes(
        (tmp_path / "p" / "a" / "0.tif").read_bytes()[:500]
    )
    tifffile.imwrite(tmp_path / "p" / "a" / "grey.tif", BANDS[0, ..., 0])
    (tmp_path / "p" / "a" / "read me.txt").write_text("hello")
    data.load(name, image_size=8, value_range=(0, 4095))
    said = capsys.readouterr().err
    assert "to 5000 lie outside 0 to 4095" in said and "b/3.tif" in said
    assert "uint16 with 1 bands, not uint16 with 12 bands" in said
    assert "1 damaged (" in said and "cut.tif" in said and "read me.txt" in said
    with pytest.raises(DataError, match="channels=3: the images have 12"):
        data.load(name, image_size=8, channels=3)


def test_beside_a_plain_picture_all_are_plain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = folder(tmp_path / "p", 16 * BANDS[..., 0])
    Image.fromarray(np.full((8, 8), 9, np.uint8)).save(tmp_path / "p" / "a" / "one.png")
    dataset = data.load(name, image_size=8, channels=1)
    assert dataset.pixels == BYTES and dataset.train.images.dtype == np.uint8
    said = capsys.readouterr().err
    assert "14 of 15 files have more than 8 bits and are read with 8" in said


@pytest.mark.parametrize("deep", [True, False])
def test_crops_are_disjoint_as_they_are_and_split_by_picture(
    tmp_path: Path, deep: bool
) -> None:
    if deep:
        name = folder(tmp_path / "p", PLACES)
        dataset = data.load(name, image_size=9, crops=5)
        assert dataset.pixels.levels == 65536

        def number(images: np.ndarray) -> np.ndarray:
            return np.rint(images[..., 0].astype(np.float64) * 65535).astype(int)

    else:
        for k, one in enumerate(PLACES):
            split = np.stack([one // 256, one % 256, 0 * one], -1).astype(np.uint8)
            (tmp_path / "p").mkdir(exist_ok=True)
            Image.fromarray(split).save(tmp_path / "p" / f"{k}.png")
        Image.new("RGB", (50, 8)).save(tmp_path / "p" / "small.png")
        dataset = data.load(f"images:{tmp_path / 'p'}", image_size=9, crops=5)
        assert dataset.pixels == BYTES and "1 50 x 8 is smaller" in dataset.description

        def number(images: np.ndarray) -> np.ndarray:
            return images[..., 0].astype(int) * 256 + images[..., 1]

    places = {key: number(split.images) for key, split in dataset.splits.items()}
    assert {key: len(own) for key, own in places.items()} == {
        "train": 50,
        "validation": 10,
        "test": 10,
    }
    owners = {key: set(np.unique(own // (30 * 41))) for key, own in places.items()}
    assert sum(map(len, owners.values())) == 14  # nor a picture in two splits
    one = places["train"][0]
    assert (np.diff(one, axis=1) == 1).all() and (np.diff(one, axis=0) == 41).all()
    more = data.load(dataset.name, image_size=9, crops=12)
    every = number(more.train.images)
    assert len(every) == 10 * 12
    assert len(np.unique(every)) == every.size  # no pixel is in two crops


def test_only_a_folder_of_pictures_has_crops() -> None:
    with pytest.raises(DataError, match="only images:DIR"):
        data.load("digits", crops=2)
    with pytest.raises(DataError, match="crops=0: valid is 1 or more"):
        data.load("digits", crops=0)
