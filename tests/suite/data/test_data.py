"""Datasets: digits, IDX folders, and what a user reads when one is damaged."""

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lossjax.suite import data
from lossjax.suite.data.fitting import fit_images

TRAIN, TEST = 60, 20
# The identity of every published digits number; it must not follow numpy.
DIGITS_FINGERPRINT = "14f128e790141cc6fe15e344432a3f92832300d4e7a7db2a8d72859b99a4941f"


def idx_bytes(array: np.ndarray, code: int = 8) -> bytes:
    """An IDX file as the format's description has it: magic, sizes, bytes."""
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return bytes([0, 0, code, array.ndim]) + sizes + array.tobytes()


def write_folder(
    folder: Path, *, joint: str = "-", zipped: bool = False, channels: int = 0
) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(3)
    arrays = {}
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        shape = (count, 9, 7, channels) if channels else (count, 9, 7)
        images = generator.integers(0, 256, shape, dtype=np.uint8)
        labels = generator.integers(0, 10, count, dtype=np.uint8)
        for kind, array in (("images", images), ("labels", labels)):
            name = f"{part}-{kind}{joint}idx{array.ndim}-ubyte"
            payload = idx_bytes(array)
            if zipped:
                name, payload = name + ".gz", gzip.compress(payload)
            (folder / name).write_bytes(payload)
            arrays[f"{part}-{kind}"] = array
    return arrays


def rows(split: data.Split) -> set[bytes]:
    return {image.tobytes() for image in split.images}


def refused(name: str, **keywords: int) -> str:
    """The one line that `load` answers with."""
    with pytest.raises(data.DataError) as caught:
        data.load(name, **keywords)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_digits_are_sklearns_scans() -> None:
    from sklearn.datasets import load_digits

    digits = data.load("digits")
    assert digits.image_shape == (8, 8, 1)
    assert [len(s) for s in digits.splits.values()] == [1197, 300, 300]
    expected = {
        bytes(round(value * 255 / 16) for value in image.ravel())
        for image in load_digits().images.astype(int).tolist()
        for image in [np.array(image)]
    }
    found = rows(digits.train) | rows(digits.validation) | rows(digits.test)
    assert found == expected
    assert digits.train.labels is not None
    counts = np.bincount(digits.train.labels, minlength=10)
    assert counts.min() > 100 and digits.train.labels.dtype == np.int32


def test_digits_never_move() -> None:
    assert data.load("digits").fingerprint == DIGITS_FINGERPRINT


@pytest.mark.parametrize("joint", "-.")
@pytest.mark.parametrize("zipped", [False, True])
def test_idx_folder(tmp_path: Path, joint: str, zipped: bool) -> None:
    arrays = write_folder(tmp_path, joint=joint, zipped=zipped)
    dataset = data.load(f"idx:{tmp_path}")
    assert dataset.image_shape == (9, 7, 1)
    assert [len(s) for s in dataset.splits.values()] == [50, 10, 20]
    np.testing.assert_array_equal(
        dataset.test.images[..., 0], arrays["t10k-images"], strict=True
    )
    np.testing.assert_array_equal(dataset.test.labels, arrays["t10k-labels"])
    assert not rows(dataset.train) & rows(dataset.validation)
    label_of = {
        image.tobytes(): int(label)
        for image, label in zip(
            arrays["train-images"], arrays["train-labels"], strict=True
        )
    }
    assert rows(dataset.train) | rows(dataset.validation) == set(label_of)
    for split in (dataset.train, dataset.validation):
        assert split.labels is not None
        assert [label_of[i.tobytes()] for i in split.images] == split.labels.tolist()


def test_idx_holds_out_5000(tmp_path: Path) -> None:
    for part, count in (("train", 12_000), ("t10k", 3)):
        images = np.arange(count * 4, dtype=np.uint32).view(np.uint8)
        shaped = images.reshape(count, 4, 4)
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(shaped))
    dataset = data.load(f"idx:{tmp_path}")
    assert [len(s) for s in dataset.splits.values()] == [7_000, 5_000, 3]
    assert dataset.train.labels is None


@pytest.mark.parametrize("name", ["idx1-ubyte", "idx1-short", "idx2-short"])
def test_validation_takes_whole_groups(tmp_path: Path, name: str) -> None:
    arrays = write_folder(tmp_path)
    of = np.repeat(np.arange(12), (1, 1, 1, 1, 2, 3, 4, 5, 6, 7, 9, 20))
    of = np.random.default_rng(0).permutation(of)
    kind, code = (np.uint8, 8) if name.endswith("ubyte") else (">i2", 11)
    written = np.stack([of // 4 - 1, of % 4], 1) if "2" in name else of
    path = tmp_path / f"train-groups-{name}"
    path.write_bytes(idx_bytes(written.astype(kind), code))
    dataset = data.load(f"idx:{tmp_path}")
    group = {
        image.tobytes(): one
        for image, one in zip(arrays["train-images"], of, strict=True)
    }
    held, kept = (
        {group[image.tobytes()] for image in split.images}
        for split in (dataset.validation, dataset.train)
    )
    assert not held & kept and held | kept == set(range(12))
    assert 9 <= len(dataset.validation) <= 10  # a sixth, as full as it gets
    path.write_bytes(idx_bytes(np.zeros(TRAIN, np.uint8)))
    assert "of one group" in refused(f"idx:{tmp_path}")
    path.write_bytes(idx_bytes(np.zeros(9, np.uint8)))
    assert "9 groups for the 60 images" in refused(f"idx:{tmp_path}")
    path.write_bytes(idx_bytes(np.zeros(TRAIN, np.uint8), 13))
    assert "valid for groups is 0x00000801 or 0x0" in refused(f"idx:{tmp_path}")


def test_idx_colour(tmp_path: Path) -> None:
    arrays = write_folder(tmp_path, channels=3)
    dataset = data.load(f"idx:{tmp_path}")
    np.testing.assert_array_equal(dataset.test.images, arrays["t10k-images"])
    assert dataset.image_shape == (9, 7, 3)


def test_fingerprint_names_content_and_split(tmp_path: Path) -> None:
    for folder in ("a", "b", "c"):
        (tmp_path / folder).mkdir()
        write_folder(tmp_path / folder, zipped=folder == "b")
    path = tmp_path / "c" / "t10k-labels-idx1-ubyte"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    a, b, c = (data.load(f"idx:{tmp_path / f}").fingerprint for f in "abc")
    assert a == b != c
    assert a != data.load(f"idx:{tmp_path / 'a'}", image_size=7).fingerprint


@pytest.mark.parametrize(
    ("file", "damage", "words"),
    [
        ("train-images-idx3-ubyte", lambda b: b[:-5], "holds only 3,775"),
        ("train-images-idx3-ubyte", lambda b: b + b"!", "holds more"),
        ("train-images-idx3-ubyte", lambda b: b"", "0 bytes"),
        ("train-images-idx3-ubyte", lambda b: b[:10], "header ends early"),
        ("t10k-images-idx3-ubyte", lambda b: b"\x89PNG" + b[4:], "0x89504e47"),
        ("t10k-images-idx3-ubyte", lambda b: b"\0\0\x0d\x03" + b[4:], "(float, 3"),
        ("t10k-images-idx3-ubyte", lambda b: b"\0\0\x08\x01" + b[4:], "0x00000803"),
        ("t10k-labels-idx1-ubyte", lambda b: b"\0\0\x08\x03" + b[4:], "0x00000801"),
        ("t10k-labels-idx1-ubyte", lambda b: idx_bytes(np.zeros(9, np.uint8)), "9 lab"),
        ("train-images-idx3-ubyte", lambda b: gzip.compress(b)[:-40], "damaged gzip"),
        ("train-images-idx3-ubyte", lambda b: gzip.compress(b)[:5], "damaged gzip"),
        (
            "train-images-idx3-ubyte",
            lambda b: gzip.compress(b)[:40] + b"\0" + gzip.compress(b)[41:],
            "damaged gzip",
        ),
        (
            "t10k-images-idx3-ubyte",
            lambda b: idx_bytes(np.zeros((20, 5, 5), np.uint8)),
            "must agree",
        ),
        (
            "t10k-images-idx3-ubyte",
            lambda b: idx_bytes(np.zeros((0, 9, 7), np.uint8)),
            "holds no images",
        ),
        (
            "t10k-images-idx3-ubyte",
            lambda b: idx_bytes(np.zeros((20, 9, 7, 2), np.uint8)),
            "2 channels",
        ),
    ],
)
def test_damaged_idx_files_are_named(tmp_path: Path, file, damage, words) -> None:
    write_folder(tmp_path)
    path = tmp_path / file
    path.write_bytes(damage(path.read_bytes()))
    message = refused(f"idx:{tmp_path}")
    assert words in message
    assert file in message or "must agree" in message


@pytest.mark.parametrize("part", ["train-images", "t10k-images"])
def test_missing_idx_images_are_named_before_loading(tmp_path: Path, part) -> None:
    write_folder(tmp_path)
    data.check(f"idx:{tmp_path}")
    (tmp_path / f"{part}-idx3-ubyte").unlink()
    assert part in refused(f"idx:{tmp_path}")
    with pytest.raises(data.DataError, match=part):
        data.check(f"idx:{tmp_path}")


def test_one_missing_label_file_is_named(tmp_path: Path) -> None:
    write_folder(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    assert "t10k-labels-idx1-ubyte is missing" in refused(f"idx:{tmp_path}")


def moved(folder: Path, rename) -> None:
    """Every file of the folder under another name, in another place."""
    for path in sorted(folder.iterdir()):
        place = folder / rename(path.name)
        place.parent.mkdir(parents=True, exist_ok=True)
        path.rename(place)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    "rename",
    [
        lambda name: f"emnist-balanced-{name.replace('t10k', 'test')}",
        lambda name: f"MNIST/raw/{name}",
        str.upper,
        lambda name: name.replace("-idx", ".idx"),
        lambda name: name.replace("-", "_"),
        lambda name: f"{name.split('-')[0]}/{name}",
        lambda name: f"x/y/z/my {name.title()}",
    ],
)
def test_idx_files_are_found_by_any_name(tmp_path: Path, rename, zipped) -> None:
    arrays = write_folder(tmp_path, zipped=zipped)
    moved(tmp_path, rename)
    data.check(f"idx:{tmp_path}")
    dataset = data.load(f"idx:{tmp_path}")
    np.testing.assert_array_equal(dataset.test.images[..., 0], arrays["t10k-images"])
    np.testing.assert_array_equal(dataset.test.labels, arrays["t10k-labels"])


def test_of_several_idx_sets_one_is_named(tmp_path: Path) -> None:
    for prefix in ("emnist-balanced-", "emnist-letters-"):
        (tmp_path / "new").mkdir()
        write_folder(tmp_path / "new")
        moved(tmp_path / "new", lambda name, prefix=prefix: f"../{prefix}{name}")
        (tmp_path / "new").rmdir()
    message = refused(f"idx:{tmp_path}")
    assert "'emnist-balanced-train-images-idx3-ubyte', 'emnist-letters" in message
    one = data.load(f"idx:{tmp_path}/emnist-letters")
    assert [len(split) for split in one.splits.values()] == [50, 10, 20]
    write_folder(tmp_path)  # no prefix at all, but three sets now
    assert "several sets" in refused(f"idx:{tmp_path}")


def test_the_folder_itself_goes_before_what_lies_below(tmp_path: Path) -> None:
    arrays = write_folder(tmp_path)
    (tmp_path / "old").mkdir()
    for path in list(tmp_path.glob("*-ubyte")):
        content = gzip.compress(path.read_bytes())
        (tmp_path / f"{path.name}.gz").write_bytes(content)  # as torchvision leaves it
        (tmp_path / "old" / path.name).write_bytes(b"old")
    dataset = data.load(f"idx:{tmp_path}")
    np.testing.assert_array_equal(dataset.test.labels, arrays["t10k-labels"])
    (tmp_path / "train-images.idx3-ubyte").write_bytes(b"another")
    message = refused(f"idx:{tmp_path}")
    assert "several files could hold the train images" in message
    assert "'train-images.idx3-ubyte'" in message


def test_idx_folders_may_bring_their_validation(tmp_path: Path) -> None:
    write_folder(tmp_path)
    images = np.arange(4 * 63, dtype=np.uint8).reshape(4, 9, 7)
    (tmp_path / "val-images-idx3-ubyte").write_bytes(idx_bytes(images))
    assert "validation-labels-idx1-ubyte is missing" in refused(f"idx:{tmp_path}")
    labels = idx_bytes(np.zeros(4, np.uint8))
    (tmp_path / "val-labels-idx1-ubyte").write_bytes(labels)
    dataset = data.load(f"idx:{tmp_path}")
    assert [len(split) for split in dataset.splits.values()] == [TRAIN, 4, TEST]


def test_what_lies_there_instead_is_named(tmp_path: Path) -> None:
    (tmp_path / "cat.png").touch()
    message = refused(f"idx:{tmp_path}")
    assert "'cat.png'" in message and "looked for train-images-idx3-ubyte" in message
    (tmp_path / "cat.png").unlink()
    assert "there lie no file" in refused(f"idx:{tmp_path}")


def header(*sizes: int, order: str = ">") -> bytes:
    return bytes((0, 0, 8, len(sizes))) + struct.pack(f"{order}{len(sizes)}I", *sizes)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (header(2**20, 2**10, 2**10), "promises (1048576, 1024, 1024)"),
        (header(2**32 - 1, 2**32 - 1, 2**32 - 1), "promises (4294967295,"),
        (header(60, 9, 7, order="<") + bytes(3780), "the byte order is wrong"),
        (header(1, 5000, 1) + bytes(5000), "sides up to 4096"),
        (header(60, 9, 7) + bytes(3779), "holds only 3,779"),
        (header(60, 9, 7) + bytes(3781), "holds more"),
    ],
)
def test_promises_of_a_header_are_not_believed(
    tmp_path: Path, content: bytes, words: str, zipped: bool
) -> None:
    write_folder(tmp_path)
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(gzip.compress(content) if zipped else content)
    message = refused(f"idx:{tmp_path}")
    if zipped and "2^" not in words and "promises" in words:
        assert "can hold at most" in message
    assert words in message and path.name in message


def test_bytes_behind_a_gzip_file_are_ignored_as_gzip_does(tmp_path: Path) -> None:
    write_folder(tmp_path, zipped=True)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes() + b"\r\n\0\0")
    assert len(data.load(f"idx:{tmp_path}").test) == TEST


@pytest.mark.parametrize(
    ("train", "test", "words"),
    [
        (np.zeros((1, 8, 8)), np.ones((1, 8, 8)), "1 training image; at least 2"),
        (np.eye(8)[None].repeat(2, 0), np.eye(8)[None], "1 training image is left"),
        (np.full((9, 8, 8), 3), np.eye(8)[None], "every pixel of the train split is 3"),
        (np.eye(8)[None].repeat(9, 0), np.zeros((2, 8, 8)), "of the test split is 0"),
    ],
)
def test_sets_that_cannot_tell_losses_apart_are_refused(
    tmp_path: Path, train, test, words
) -> None:
    for part, images in (("train", train), ("t10k", test)):
        content = idx_bytes(images.astype(np.uint8))
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(content)
    assert words in refused(f"idx:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("digit", "did you mean digits?"),
        ("digits:3", "did you mean digits?"),
        ("idx", "did you mean idx:DIR?"),
        ("idx:", "names no folder"),
        ("idx:/no/such/folder", "does not exist"),
        (f"idx:{__file__}", "is not a folder"),
        ("zzz\nzzz", "valid: digits"),
        ("", "valid: digits"),
    ],
)
def test_unknown_names_get_one_line(name: str, words: str) -> None:
    with pytest.raises(data.DataError) as caught:
        data.check(name)
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert words in refused(name)


@pytest.mark.parametrize("keywords", [{"channels": 2}, {"image_size": 0}])
def test_sizes_out_of_range_are_refused(keywords: dict[str, int]) -> None:
    assert "valid are" in refused("digits", **keywords)


def test_fitting_keeps_constants_and_the_centre() -> None:
    flat = np.full((2, 8, 12, 3), 77, np.uint8)
    assert (fit_images(flat, 16, None) == 77).all()
    assert (fit_images(flat, None, 1) == 77).all()
    # Columns 0-1 and 10-11 lie outside the central square of an 8 x 12 image.
    edges = flat.copy()
    edges[:, :, [0, 1, 10, 11]] = 255
    np.testing.assert_array_equal(fit_images(edges, 8, None), flat[:, :, 2:10])
    luma = fit_images(np.array([[[[255, 0, 0], [0, 255, 0]]]], np.uint8), None, 1)
    assert luma.ravel().tolist() == [76, 150]


def test_images_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        data.load("digits").train.images[0] = 0


@pytest.mark.parametrize(
    ("images", "labels", "error"),
    [
        (np.zeros((2, 8, 8, 1), np.float64), None, TypeError),
        (np.full((2, 8, 8, 1), 1.01, np.float32), None, TypeError),
        (np.zeros((2, 8, 8), np.uint8), None, ValueError),
        (np.zeros((2, 8, 8, 0), np.uint8), None, ValueError),
        (np.zeros((2, 8, 8, 1), np.uint8), np.zeros(3, np.int32), ValueError),
        (np.zeros((2, 8, 8, 1), np.uint8), np.zeros(2, np.int64), ValueError),
    ],
)
def test_splits_hold_only_uint8_or_intensity_nhwc(images, labels, error) -> None:
    with pytest.raises(error, match="Split"):
        data.Split(images, labels)


def test_loading_needs_neither_jax_nor_tensorflow() -> None:
    code = (
        "import sys; from lossjax.suite import data; data.load('digits'); "
        "print(sorted({'jax', 'tensorflow', 'tensorflow_datasets', 'flax'} "
        "& set(sys.modules)))"
    )
    root = Path(__file__).parents[3]
    out = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True
    )
    assert out.stdout.strip() == "[]", out.stderr
