"""`arrays:FILE`: every type and shape that is taken, and every one that is refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossjax.models.pixels import BYTES as BYTES_OF_PICTURES
from lossjax.models.pixels import Pixels
from lossjax.suite import data
from lossjax.suite.cli.errors import DataError
from lossjax.suite.data import Dataset
from lossjax.suite.data.dataset import Content, check_memory, make_dataset, shown
from lossjax.suite.data.pixel_weights import inverse_frequency
from lossjax.suite.report.markup import in_colour

BYTES = np.random.default_rng(0).integers(0, 256, (30, 6, 5, 2), np.uint8)
LABELS = np.arange(30) % 4


def load(file: Path, array: Any, key: str = "", **options: Any) -> Dataset:
    """The dataset of a file that holds the array, or the arrays by name."""
    if isinstance(array, dict):
        np.savez(file, **array)
    else:
        np.save(file, array)
    return data.load(f"arrays:{file}{key}", **options)


def whole(dataset: Dataset) -> np.ndarray:
    """Every image of the three splits, in one order."""
    images = np.concatenate([split.images for split in dataset.splits.values()])
    return images[np.lexsort(images.reshape(len(images), -1).T)]


def ordered(images: np.ndarray) -> np.ndarray:
    return images[np.lexsort(images.reshape(len(images), -1).T)]


@pytest.mark.parametrize(
    ("array", "options", "levels"),
    [
        (BYTES.astype(np.int64), {"value_range": (0, 255)}, 256),
        (BYTES / np.float32(255), {}, 0),
        (2 * (BYTES / 255) - 1, {"value_range": (-1, 1)}, 0),
        (BYTES.astype(np.uint16) * 257, {"value_range": (0, 65535)}, 65536),
        (BYTES.astype(">f8"), {"value_range": (0, 255)}, 0),
        (BYTES, {"value_range": (-1, 256)}, 258),
    ],
)
def test_other_than_bytes_stay_what_they_are(
    tmp_path: Path, array: np.ndarray, options: dict[str, Any], levels: int
) -> None:
    dataset = load(tmp_path / "own.npy", array, **options)
    assert dataset.image_shape == (6, 5, 2)
    assert {k: len(split) for k, split in dataset.splits.items()} == {
        "train": 21,
        "validation": 4,
        "test": 5,
    }
    black, white = options.get("value_range", (0, 1))
    expected = (array.astype(np.float64) - black) / (white - black)
    np.testing.assert_array_equal(whole(dataset), ordered(expected.astype(np.float32)))
    assert dataset.pixels == Pixels(levels, "float32")
    assert dataset.span == (black, white)
    bytes_of = load(tmp_path / "bytes.npy", BYTES)
    assert dataset.fingerprint != bytes_of.fingerprint
    assert (shown(dataset.test.images) == shown(bytes_of.test.images)).all() or (
        levels == 258
    )


def test_floats_take_four_times_the_memory(tmp_path: Path) -> None:
    dataset = load(tmp_path / "own.npy", (BYTES / 255).astype(np.float32))
    check_memory(dataset, 4 * BYTES.size)
    with pytest.raises(DataError, match="max_examples=29 is the most that fits"):
        check_memory(dataset, 4 * BYTES.size - 1)
    assert data.Outline.of(dataset).resident == 4 * 25 * 6 * 5 * 2


def test_bytes_stay_bytes_in_whatever_order(tmp_path: Path) -> None:
    first = load(tmp_path / "first.npy", BYTES)
    other = load(tmp_path / "other.npy", np.asfortranarray(BYTES), value_range=(0, 255))
    np.testing.assert_array_equal(whole(first), ordered(BYTES))
    assert first.pixels == other.pixels == BYTES_OF_PICTURES
    assert first.fingerprint == other.fingerprint


def masked(**more: Any) -> dict[str, np.ndarray]:
    mask = np.random.default_rng(1).random(BYTES.shape[:3]) < 0.7
    return {"images": BYTES.astype(np.float32), "mask": mask, **more}


def test_what_lies_under_a_mask_changes_nothing(tmp_path: Path) -> None:
    clean, spoilt = masked(labels=LABELS), masked(labels=LABELS)
    for value, place in zip((np.nan, np.inf, -7, 1e30), range(4), strict=True):
        spoilt["images"][place][~spoilt["mask"][place]] = value
    first, other = (
        load(tmp_path / f"{k}.npz", arrays, value_range=(0, 255))
        for k, arrays in enumerate((clean, spoilt))
    )
    assert first.fingerprint == other.fingerprint
    assert first.pixels == Pixels(0, "float32", masked=True)
    for split in first.splits.values():
        for image, label in zip(split.images, split.labels, strict=True):
            seen = ~np.isnan(image)
            assert (seen[..., 0] == seen[..., 1]).all()
            (place,) = (
                k
                for k, own in enumerate(BYTES)
                if np.array_equal(own[seen], np.rint(255 * image[seen]))
            )
            assert (seen[..., 0] == clean["mask"][place]).all()
            assert label == LABELS[place]


def test_a_mask_for_each_channel_and_images_without_a_pixel(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = np.ones(BYTES.shape, np.uint8)
    mask[..., 1], mask[4], mask[9] = np.arange(30)[:, None, None] % 2, 0, 0
    dataset = load(tmp_path / "own.npz", {"images": BYTES, "mask": mask})
    assert dataset.pixels == Pixels(256, "float32", masked=True)
    images = np.concatenate([split.images for split in dataset.splits.values()])
    assert len(images) == 28
    missing = np.isnan(images).all((1, 2))
    assert missing.sum(0).tolist() == [0, 14]
    assert "2 without a pixel that counts are left out" in capsys.readouterr().err
    with pytest.raises(DataError, match="the images have a mask"):
        data.load(f"arrays:{tmp_path / 'own.npz'}", image_size=4)


def test_pixel_weights_make_bright_and_dark_weigh_the_same() -> None:
    images = np.zeros((20, 4, 4, 2), np.uint8)
    images[:, 0, 0, 0] = 250  # one in sixteen
    images[::2, 1, :, 1] = 9  # one in eight, never bright
    splits = {k: data.Split(images) for k in ("train", "validation", "test")}
    pixels = inverse_frequency(make_dataset("own", Content(splits))).pixels
    (most, dark, bright), (_, *second) = pixels.balance
    assert most == pytest.approx(250 / 255 / 16)
    assert (dark, bright) == pytest.approx((0.5 * 16 / 15, 8))
    assert second == pytest.approx([0.5 * 8 / 7, 4])
    weights = pixels.weights(images / np.float32(255))
    np.testing.assert_allclose(weights.mean((0, 1, 2)), 1, rtol=1e-5)


def test_images_without_channels_are_grey_and_bools_black_and_white(
    tmp_path: Path,
) -> None:
    dataset = load(tmp_path / "own.npy", BYTES[..., 0] > 99)
    assert dataset.image_shape == (6, 5, 1)
    assert set(np.unique(dataset.train.images)) == {0, 255}


def test_labels_stay_with_their_images(tmp_path: Path) -> None:
    arrays = {"images": BYTES, "labels": LABELS}
    dataset = load(tmp_path / "own.npz", arrays, max_examples=20)
    known = {image.tobytes(): label for image, label in zip(BYTES, LABELS, strict=True)}
    seen = 0
    for split in dataset.splits.values():
        assert split.labels is not None and split.labels.dtype == np.int32
        for image, label in zip(split.images, split.labels, strict=True):
            assert known[image.tobytes()] == label
            seen += 1
    assert seen == 20
    other = load(tmp_path / "own.npz", {"x": BYTES, "images": BYTES[:15]}, ":x")
    assert other.train.labels is None and len(whole(other)) == 30


def test_bands_are_resized_one_by_one(tmp_path: Path) -> None:
    grey = load(tmp_path / "grey.npy", BYTES[..., 1], image_size=8)
    both = load(tmp_path / "both.npy", BYTES, image_size=8)
    assert both.image_shape == (8, 8, 2)
    np.testing.assert_array_equal(both.train.images[..., 1:], grey.train.images)
    np.testing.assert_array_equal(
        in_colour(np.arange(12)[None]), [[0, 6, 11]]
    )  # what the report shows of twelve
    with pytest.raises(DataError, match="channels=3: the images have 2"):
        data.load(f"arrays:{tmp_path / 'both.npy'}", channels=3)


@pytest.mark.parametrize("array", [BYTES, (BYTES / 255).astype(np.float32)])
def test_what_a_device_takes_as_it_is_is_mapped_and_not_read(
    tmp_path: Path, array: np.ndarray
) -> None:
    from lossjax.suite.data.arrays import arrays_file
    from lossjax.suite.data.dataset import Options

    np.save(tmp_path / "own.npy", array)
    split = arrays_file(str(tmp_path / "own.npy"), Options()).splits["train"]
    base: Any = split.images
    while base is not None and not isinstance(base, np.memmap):
        base = base.base
    assert base is not None


def test_hdf5_by_its_path(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    file = tmp_path / "own.h5"
    with h5py.File(file, "w") as made:
        made["scan/images"], made["scan/labels"] = BYTES, LABELS
        made["other"] = BYTES[..., 0]
    dataset = data.load(f"arrays:{file}:scan/images", max_examples=20)
    assert dataset.image_shape == (6, 5, 2) and dataset.train.labels is not None
    with pytest.raises(DataError, match="no array 'images'; did you mean scan/images"):
        data.load(f"arrays:{file}")


def _spoilt(value: float) -> np.ndarray:
    images = BYTES / 255
    images[3, 2, 1, 0] = value
    return images


@pytest.mark.parametrize(
    ("array", "key", "options", "words"),
    [
        (BYTES / 10, "", {}, "values from 0 to 25.5 (float64); say which are black"),
        (BYTES.astype(np.uint16), "", {}, "such as --config.value_range=0,255"),
        (2 * (BYTES / 255) - 1, "", {}, "such as --config.value_range=-1,1"),
        (
            BYTES.astype(np.int16),
            "",
            {"value_range": (0, 200)},
            "values from 0 to 255 lie outside config.value_range=0,200; nothing is",
        ),
        (BYTES, "", {"value_range": (0, 200)}, "values from 0 to 255 lie outside"),
        (_spoilt(np.nan), "", {}, "1 of the first 1800 values are nan or infinite"),
        (_spoilt(np.inf), "", {}, "are nan or infinite"),
        (BYTES[:1], "", {}, "1 image; at least 12 are needed"),
        (BYTES[0, 0], "", {}, "an array of shape (5, 2); images are n x height"),
        (BYTES[:, :1], "", {}, "images of 1 x 5 pixels"),
        (np.moveaxis(BYTES, -1, 1), "", {}, "has the channels first"),
        (BYTES + 1j, "", {}, "complex128 are no images"),
        (BYTES.astype("U3"), "", {}, "<U3 are no images"),
        (np.full((20, 4, 4), 7, np.uint8), "", {}, "every pixel of the"),
        (BYTES, ":images", {}, "a .npy file holds one array, without a key"),
        ({"a": BYTES, "b": BYTES}, "", {}, "no array 'images'; valid: a, b"),
        ({"imags": BYTES, "b": BYTES}, ":images", {}, "did you mean imags?"),
        ({}, "", {}, "holds no array"),
        (masked(mask=BYTES[:, 0] > 9), "", {}, "a mask of shape (30, 5, 2) for images"),
        (masked(mask=BYTES), "", {}, "a mask of uint8 from 0 to 255; valid are 1"),
        (masked(), "", {}, "(float32); say which are black and white"),
        (masked(), "", {"value_range": (0, 99)}, "lie outside config.value_range=0,99"),
        (masked(mask=BYTES[..., 0] < 0), "", {}, "0 images; at least 12 are needed"),
        (
            {"images": BYTES, "labels": LABELS[:7]},
            "",
            {},
            "labels of int64 (7,); valid is one whole number for each of 30 images",
        ),
        ({"images": BYTES, "labels": LABELS / 2}, "", {}, "labels of float64 (30,)"),
        ({"images": BYTES, "labels": LABELS + 2**40}, "", {}, "valid fit 32 bits"),
    ],
)
def test_refuses_in_one_line(
    tmp_path: Path, array: Any, key: str, options: dict[str, Any], words: str
) -> None:
    file = tmp_path / ("own.npz" if isinstance(array, dict) else "own.npy")
    with pytest.raises(DataError) as caught:
        load(file, array, key, **options)
    text = str(caught.value)
    assert words in text and "\n" not in text
    assert text.startswith("arrays:")


def _object(file: Path) -> None:
    np.save(file, np.array([{}] * 20), allow_pickle=True)


def _cut(file: Path) -> None:
    np.save(file, BYTES)
    file.write_bytes(file.read_bytes()[:-9])


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("own.npy", _object, "no npy file that can be read"),
        ("own.npy", _cut, "no npy file that can be read"),
        ("own.npy", lambda f: f.write_bytes(b"\x93NUMPY"), "no npy file that can be"),
        ("own.npz", lambda f: f.write_bytes(b"PK\3\4 no"), "no npz file that can be"),
        ("own.npy", lambda f: f.mkdir(), "is not a regular file"),
        ("own.npyy", lambda f: f.touch(), "valid is arrays:FILE.npy, FILE.npz or"),
        ("owm.npy", lambda f: np.save(f.parent / "own.npy", BYTES), "did you mean own"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_line(
    tmp_path: Path, name: str, make: Callable[[Path], Any], words: str
) -> None:
    make(tmp_path / name)
    with pytest.raises(DataError) as caught:
        data.check(f"arrays:{tmp_path / name}")
        data.load(f"arrays:{tmp_path / name}")
    assert words in str(caught.value) and "\n" not in str(caught.value)
