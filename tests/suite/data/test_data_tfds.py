"""tensorflow-datasets without TensorFlow, through the real builder classes.

The upstream files are made here in their true formats, a few images each, and the
builders' registered checksums are replaced by the checksums of these files.
"""

import dataclasses
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tensorflow_datasets as tfds
from scipy.io import savemat
from tensorflow_datasets.core.download import checksums

from lossjax.suite import data
from lossjax.suite.data import tfds as tfds_module
from lossjax.suite.data.__main__ import main
from lossjax.suite.data.tfds_prepare import prepare_tfds
from lossjax.suite.data.tfds_sets import OWN, UPSTREAM, tfds_sets

TRAIN, TEST = 30, 12


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    monkeypatch.setenv("LOSSJAX_CACHE", str(tmp_path / "cache"))


def draw(count: int, shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def labels(count: int) -> np.ndarray:
    return (np.arange(count) % 10).astype(np.uint8)


def idx(array: np.ndarray) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes())


Truth = dict[str, tuple[np.ndarray, np.ndarray]]  # images, labels


def mnist_files(folder: Path, train: int = TRAIN, test: int = TEST) -> Truth:
    truth: Truth = {}
    for part, key, count in (("train", "train", train), ("t10k", "test", test)):
        images = draw(count, (28, 28), count)
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(labels(count)))
        truth[key] = (images[..., None], labels(count))
    return truth


def emnist_files(folder: Path) -> Truth:
    truth: Truth = {}
    with zipfile.ZipFile(folder / "gzip.zip", "w") as archive:
        for key, count in (("train", TRAIN), ("test", TEST)):
            images = draw(count, (28, 28), count)
            stem = f"gzip/emnist-letters-{key}"
            archive.writestr(f"{stem}-images-idx3-ubyte.gz", idx(images))
            archive.writestr(f"{stem}-labels-idx1-ubyte.gz", idx(labels(count)))
            upright = images.swapaxes(1, 2)[..., None]
            truth[key] = (upright, labels(count))
    return truth


def cifar_files(folder: Path, name: str, prefix: str, coarse: bool) -> Truth:
    truth: Truth = {}
    files = {"train.bin": TRAIN} | {"test.bin": TEST}
    metas = {"coarse_label_names.txt": 20, "fine_label_names.txt": 100}
    if not coarse:
        files = {f"data_batch_{n}.bin": TRAIN // 5 for n in range(1, 6)}
        files |= {"test_batch.bin": TEST}
        metas = {"batches.meta.txt": 10}
    with tarfile.open(folder / name, "w:gz") as archive:

        def add(member: str, content: bytes) -> None:
            info = tarfile.TarInfo(prefix + member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))

        for member, count in metas.items():
            add(member, "\n".join(f"class{n}" for n in range(count)).encode())
        for seed, (member, count) in enumerate(files.items()):
            images, fine = draw(count, (32, 32, 3), seed), labels(count)
            planes = images.transpose(0, 3, 1, 2).reshape(count, -1)
            columns = [fine[:, None] // 5, fine[:, None]] if coarse else [fine[:, None]]
            add(member, np.hstack([*columns, planes]).tobytes())
            key = "test" if "test" in member else "train"
            old = truth.get(key, (images[:0], fine[:0]))
            truth[key] = (
                np.concatenate([old[0], images]),
                np.concatenate([old[1], fine]),
            )
    return truth


def svhn_files(folder: Path) -> Truth:
    truth: Truth = {}
    for key, count in (("train", TRAIN), ("test", TEST)):
        images, digits = draw(count, (32, 32, 3), count), labels(count)
        stored = np.where(digits == 0, 10, digits)[:, None]
        savemat(
            folder / f"{key}_32x32.mat",
            {"X": np.moveaxis(images, 0, -1), "y": stored.astype(np.uint8)},
        )
        truth[key] = (images, digits)
    return truth


def binarized_files(folder: Path) -> Truth:
    truth: Truth = {}
    for part, key in (("train", "train"), ("valid", "validation"), ("test", "test")):
        bits = draw(TEST, (784,), len(part)) % 2
        text = "\n".join(" ".join(map(str, row)) for row in bits.tolist()) + "\n"
        (folder / f"binarized_mnist_{part}.amat").write_text(text)
        truth[key] = (255 * bits.reshape(-1, 28, 28, 1), np.zeros(TEST, np.uint8))
    return truth


MAKERS: dict[str, tuple[str, Callable[[Path], Truth]]] = {
    "mnist": ("mnist", mnist_files),
    "fashion_mnist": ("fashion_mnist", mnist_files),
    "kmnist": ("kmnist", mnist_files),
    "emnist": ("emnist/letters", emnist_files),
    "cifar10": (
        "cifar10",
        lambda f: cifar_files(
            f, "cifar-10-binary.tar.gz", "cifar-10-batches-bin/", False
        ),
    ),
    "cifar100": (
        "cifar100",
        lambda f: cifar_files(f, "cifar-100-binary.tar.gz", "cifar-100-binary/", True),
    ),
    "svhn_cropped": ("svhn_cropped", svhn_files),
    "binarized_mnist": ("binarized_mnist", binarized_files),
}


def register(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the real builder expect the checksums of the files in `folder`."""
    real = tfds.builder_cls(name)
    infos = {}
    for url, info in real.url_infos.items():
        path = folder / info.filename
        content = path.read_bytes() if path.is_file() else b""
        infos[url] = checksums.UrlInfo(
            size=len(content),
            checksum=hashlib.sha256(content).hexdigest(),
            filename=info.filename,
        )
    monkeypatch.setattr(real, "url_infos", infos)


def place(tmp_path: Path, name: str, monkeypatch) -> tuple[str, Path, Truth]:
    folder = tmp_path / "upstream"
    folder.mkdir()
    full_name, make = MAKERS[name]
    truth = make(folder)
    register(folder, name, monkeypatch)
    return full_name, folder, truth


def as_set(images: np.ndarray, classes: np.ndarray | None) -> set[tuple[bytes, int]]:
    known = [0] * len(images) if classes is None else classes.tolist()
    return {(i.tobytes(), int(c)) for i, c in zip(images, known, strict=True)}


def test_every_layout_is_tested() -> None:
    assert set(MAKERS) == set(UPSTREAM)


@pytest.mark.parametrize("name", MAKERS)
def test_prepared_by_hand_and_read_back(name: str, tmp_path: Path, monkeypatch) -> None:
    full_name, folder, truth = place(tmp_path, name, monkeypatch)
    with pytest.raises(data.DataError, match=f"run ./run.sh data prepare {full_name}"):
        data.check(full_name)
    prepare_tfds(full_name, str(folder))
    data.check(full_name)
    dataset = data.load(full_name)
    assert dataset.image_shape == tfds_sets()[name].shape
    found = {key: as_set(s.images, s.labels) for key, s in dataset.splits.items()}
    expected = {key: as_set(*pair) for key, pair in truth.items()}
    assert found["test"] == expected["test"]
    if "validation" in expected:
        assert found == expected
    else:
        assert len(dataset.validation) == TRAIN // 6
        assert found["train"] | found["validation"] == expected["train"]
        assert not found["train"] & found["validation"]
    # The set is an ordinary one: plain tensorflow-datasets reads it by its name.
    plain = tfds.data_source(full_name, data_dir=tmp_path / "prepared")
    assert len(plain["train"]) == len(truth["train"][0])
    assert plain["test"][0]["image"].shape == dataset.image_shape
    assert "tensorflow" not in sys.modules


@pytest.mark.slow
def test_mnist_in_its_own_files_and_splits(tmp_path: Path, monkeypatch) -> None:
    """A tenth of its images: more than the 5,000 that validation takes."""
    listed = data.outline("mnist").counts
    assert listed == {"train": 55_000, "validation": 5_000, "test": 10_000}
    folder = tmp_path / "upstream"
    folder.mkdir()
    truth = mnist_files(folder, 6_000, 1_000)
    counts = {"train": 6_000, "test": 1_000}
    tenth = dataclasses.replace(UPSTREAM["mnist"], counts=counts)
    module = sys.modules["lossjax.suite.data.outline"]  # its function has its name
    monkeypatch.setattr(module, "UPSTREAM", {**UPSTREAM, "mnist": tenth})
    register(folder, "mnist", monkeypatch)
    prepare_tfds("mnist", str(folder))
    dataset = data.load("mnist")
    sizes = [len(split) for split in dataset.splits.values()]
    assert sizes == [1_000, 5_000, 1_000]
    assert data.outline("mnist") == data.Outline.of(dataset)
    few = data.load("mnist", max_examples=1_400, image_size=8)
    assert data.outline("mnist", max_examples=1_400, image_size=8) == data.Outline.of(
        few
    )
    found = as_set(dataset.test.images, dataset.test.labels)
    assert found == as_set(*truth["test"])
    plain = tfds.data_source("mnist", data_dir=tmp_path / "prepared")
    assert [len(plain[key]) for key in ("train", "test")] == [6_000, 1_000]
    assert (plain["train"][7]["image"].tobytes(), plain["train"][7]["label"]) in as_set(
        *truth["train"]
    )


def test_our_own_builder_gives_the_digits(capsys) -> None:
    assert "sklearn_digits" in OWN
    assert main(["prepare", "sklearn_digits"]) == 0
    assert "1,197 / 300 / 300" in capsys.readouterr().out
    ours, embedded = data.load("sklearn_digits"), data.load("digits")
    for key, split in embedded.splits.items():
        other = ours.splits[key]
        assert as_set(other.images, other.labels) == as_set(split.images, split.labels)


def test_loaded_twice_decoded_once(tmp_path: Path, monkeypatch) -> None:
    name, folder, _ = place(tmp_path, "mnist", monkeypatch)
    prepare_tfds(name, str(folder))
    first = data.load(name)
    monkeypatch.setattr(tfds_module, "_decode", None)
    again = data.load(name)
    assert isinstance(again.train.images, np.memmap)
    assert again.fingerprint == first.fingerprint


def test_sizes_and_samples(tmp_path: Path, monkeypatch) -> None:
    name, folder, _ = place(tmp_path, "cifar10", monkeypatch)
    prepare_tfds(name, str(folder))
    small = data.load(name, image_size=8, channels=1)
    assert small.image_shape == (8, 8, 1)
    few = data.load(name, max_examples=21)
    assert [len(split) for split in few.splits.values()] == [12, 2, 6]
    whole = data.load(name)
    assert as_set(few.train.images, few.train.labels) < as_set(
        whole.train.images, whole.train.labels
    )
    monkeypatch.setattr(tfds_module.os, "sysconf", lambda name: 100)
    with pytest.raises(data.DataError, match="max_examples=4 is the most"):
        data.load(name, image_size=32, channels=1)


def test_a_missing_record_is_noticed(tmp_path: Path, monkeypatch) -> None:
    name, folder, _ = place(tmp_path, "mnist", monkeypatch)
    prepared = prepare_tfds(name, str(folder))
    path = prepared / "dataset_info.json"
    info = json.loads(path.read_text())
    for split in info["splits"]:
        if split["name"] == "train":
            split["shardLengths"] = [str(TRAIN + 1)]
    path.write_text(json.dumps(info))
    with pytest.raises(data.DataError) as caught:
        data.load(name)
    assert f"{TRAIN} of {TRAIN + 1} records of 'train'" in str(caught.value)
    assert "run ./run.sh data prepare mnist" in str(caught.value)


@pytest.mark.parametrize("keep", [0, 100, 0.5])
def test_a_cut_record_file_is_noticed(tmp_path: Path, monkeypatch, keep) -> None:
    name, folder, _ = place(tmp_path, "mnist", monkeypatch)
    prepared = prepare_tfds(name, str(folder))
    (path,) = prepared.glob("mnist-train.array_record*")
    content = path.read_bytes()
    path.write_bytes(content[: keep if keep != 0.5 else len(content) // 2])
    with pytest.raises(data.DataError, match="is damaged.*data prepare mnist"):
        data.load(name)


def test_wrong_files_are_refused_with_both_sums(tmp_path: Path, monkeypatch) -> None:
    name, folder, _ = place(tmp_path, "mnist", monkeypatch)
    path = folder / "train-images-idx3-ubyte.gz"
    right = path.read_bytes()

    def refused() -> str:
        with pytest.raises(data.DataError) as caught:
            prepare_tfds(name, str(folder))
        assert not (tmp_path / "prepared/mnist/3.0.1").exists()
        assert "\n" not in str(caught.value) and path.name in str(caught.value)
        return str(caught.value)

    path.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    message = refused()
    assert hashlib.sha256(right).hexdigest() in message
    assert hashlib.sha256(path.read_bytes()).hexdigest() in message
    path.write_bytes(right[:-1])
    assert f"{len(right) - 1:,} bytes, valid is {len(right):,}" in refused()
    path.unlink()
    assert "is missing" in refused()
    path.write_bytes(right)
    prepare_tfds(name, str(folder))


def test_the_real_checksums_guard_the_real_sets(tmp_path: Path) -> None:
    mnist_files(tmp_path)
    with pytest.raises(data.DataError, match="valid is 9,912,422"):
        prepare_tfds("mnist", str(tmp_path))


def test_without_network_the_files_are_named(monkeypatch, capsys) -> None:
    def offline(*arguments: object, **keywords: object) -> None:
        raise requests.exceptions.ConnectionError("no route to host")

    monkeypatch.setattr(requests, "head", offline)
    with pytest.raises(Exception, match="no network.*gzip.zip.*--manual_dir=DIR"):
        main(["prepare", "emnist/letters"])


def test_an_interrupted_preparation_leaves_nothing_and_resumes(
    tmp_path: Path, monkeypatch
) -> None:
    name, folder, _ = place(tmp_path, "mnist", monkeypatch)
    layout = UPSTREAM["mnist"]

    class Stop(Exception):
        """A kill between two examples."""

    def stops(builder: Any, files: Mapping[str, Path]) -> dict[str, Any]:
        def half():
            yield from list(layout.examples(builder, files)["train"])[:10]
            raise Stop

        return {"train": half()}

    from lossjax.suite.data import tfds_prepare

    with monkeypatch.context() as patch:
        broken = {**UPSTREAM, "mnist": type(layout)(layout.files, stops, 12, {})}
        patch.setattr(tfds_prepare, "UPSTREAM", broken)
        with pytest.raises(Stop):
            prepare_tfds(name, str(folder))
    with pytest.raises(data.DataError, match="is not prepared"):
        data.check(name)
    prepare_tfds(name, str(folder))
    assert len(data.load(name).test) == TEST


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("celeb_a", "needs TensorFlow once.*tfds build celeb_a"),
        ("emnist/nope", "valid are emnist/byclass, emnist/bymerge"),
        ("mnist/x", "unknown dataset"),
        ("minst", "did you mean mnist"),
        ("imagenet", "unknown dataset"),
        ("digits", None),
    ],
)
def test_prepare_answers_in_one_line(name: str, words: str | None, capsys) -> None:
    if words is None:
        assert main(["prepare", name]) == 0
        assert "nothing to prepare" in capsys.readouterr().out
        return
    with pytest.raises(Exception, match=words) as caught:
        main(["prepare", name])
    assert "\n" not in str(caught.value)


def test_a_set_prepared_by_tensorflow_is_explained(tmp_path: Path) -> None:
    folder = tmp_path / "prepared/mnist/3.0.1"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text('{"fileFormat": "tfrecord"}')
    with pytest.raises(data.DataError, match="tfrecord, which needs TensorFlow"):
        data.load("mnist")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared set, prepared once."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("whole")
        patch.setenv("TFDS_DATA_DIR", str(root))
        return prepare_tfds("sklearn_digits")


def _info(**changes: object):
    def change(folder: Path) -> None:
        path = folder / "dataset_info.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def _write(name: str, content: bytes):
    return lambda folder: (folder / name).write_bytes(content)


def _pipe(name: str):
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)  # whoever opens it waits for ever

    return change


RECORDS = "sklearn_digits-train.array_record-00000-of-00001"


@pytest.mark.parametrize(
    ("change", "words", "cheap"),
    [
        (_write("dataset_info.json", b""), "dataset_info.json: empty", True),
        (_write("dataset_info.json", b'{"name": "skl'), "no JSON", True),
        (_write("dataset_info.json", b"[" * 10**5), "nested too deeply", True),
        (_write("dataset_info.json", b"[]"), "is list, not dict", True),
        (_info(name="mnist"), "its name is 'mnist', not 'sklearn_digits'", True),
        (_info(version="0.9.0"), "its version is '0.9.0', not '1.0.0'", True),
        (_info(splits=None), "splits is NoneType, not list", True),
        (_info(splits=[]), "no training split", False),
        (_info(splits=[{"name": "train", "filepathTemplate": "/x"}]), "another", True),
        (_pipe("dataset_info.json"), "not a regular file", True),
        (_pipe(RECORDS), "no regular file", False),
        (_pipe("features.json"), "no regular file", False),
        (
            lambda folder: (folder / "features.json").unlink(),
            "features.json: miss",
            False,
        ),
        (
            _write("features.json", b'{"pythonClassName": "os.system"}'),
            "'os.system' is no feature",
            False,
        ),
        (_write(RECORDS, b"short"), "is damaged", False),
    ],
)
def test_damaged_sets_are_one_line_that_mends_them(
    whole: Path, tmp_path: Path, capsys, change, words: str, cheap: bool
) -> None:
    folder = tmp_path / "prepared" / "sklearn_digits" / "1.0.0"
    shutil.copytree(whole, folder)
    assert len(data.load("sklearn_digits").test) == 300
    change(folder)
    acts = [lambda: data.load("sklearn_digits")]
    acts += [
        lambda: data.check("sklearn_digits"),
        lambda: main(["prepare", folder.parent.name]),
    ]
    for act in acts if cheap else acts[:1]:
        with pytest.raises(Exception, match=re.escape(words)) as caught:
            act()
        text = str(caught.value)
        assert text.isprintable() and len(text) < 900
        if "training" not in words:
            assert "damaged" in text and str(folder) in text
            assert "run ./run.sh data prepare sklearn_digits" in text
    capsys.readouterr()
    assert main(["list"]) == 0
    (line,) = [
        o for o in capsys.readouterr().out.splitlines() if o.startswith("sklearn")
    ]
    assert ("damaged" in line) == cheap


def test_another_version_is_named(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "prepared" / "sklearn_digits" / "0.9.0")
    with pytest.raises(data.DataError) as caught:
        data.check("sklearn_digits")
    assert "as 1.0.0 (0.9.0 lies there, which is not read)" in str(caught.value)


def test_list_names_every_row_and_its_state(
    tmp_path: Path, monkeypatch, capsys
) -> None:
    name, folder, _ = place(tmp_path, "mnist", monkeypatch)
    prepare_tfds(name, str(folder))
    capsys.readouterr()
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    state = {line.split()[0]: line for line in lines if line}
    for row in data.DATASETS.values():
        assert any(line.startswith(row.usage) for line in lines)
    assert " ready " in state["mnist"]
    assert "needs network, 22 MB" in state["kmnist"]
    assert "preparable here" in state["sklearn_digits"]
    assert main(["list", "--all"]) == 0
    assert "celeb_a" in capsys.readouterr().out


def test_the_stored_list_is_that_of_the_installed_version() -> None:
    registered = set(tfds.list_builders(with_community_datasets=False))
    assert set(tfds_sets()) - set(OWN) <= registered
    for name in UPSTREAM:
        known, real = tfds_sets()[name], tfds.builder_cls(name)
        assert str(real.VERSION) == known.version
        assert {info.filename for info in real.url_infos.values()} >= set(
            UPSTREAM[name].files
        )
        size = sum(
            int(info.size)
            for info in real.url_infos.values()
            if info.filename in UPSTREAM[name].files
        )
        assert UPSTREAM[name].megabytes == pytest.approx(size / 1e6, abs=1)
