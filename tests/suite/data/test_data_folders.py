"""The folders that users name, and what the folders inside them mean."""

import os
from pathlib import Path, PurePath

import numpy as np
import pytest
from PIL import Image

from lossjax.suite import data
from lossjax.suite.data.class_folders import arrange


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch) -> None:
    monkeypatch.setenv("LOSSJAX_CACHE", str(tmp_path_factory.mktemp("cache")))


def fill(folder: Path, count: int, first: int = 0) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(first, first + count):
        noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{seed}.png")


def load(folder: Path, **options) -> data.Dataset:
    return data.load(f"images:{folder}", image_size=8, **options)


def sizes(dataset: data.Dataset) -> list[int]:
    return [len(split) for split in dataset.splits.values()]


def labels(dataset: data.Dataset) -> list[list[int]]:
    return [
        np.bincount(s.labels, minlength=3).tolist() for s in dataset.splits.values()
    ]


def said(capsys) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "dev", "TEST")]
)
@pytest.mark.parametrize("below", [False, True])
def test_the_users_split_is_used(tmp_path: Path, names, below, capsys) -> None:
    first = 0
    for part, count in zip(names, (6, 2, 3), strict=True):
        for kind in ("cat", "dog", "owl"):
            place = (kind, part) if below else (part, kind)
            fill(tmp_path / "p" / "wrapper" / place[0] / place[1], count, first)
            first += count
    dataset = load(tmp_path / "p")
    assert labels(dataset) == [[6, 6, 6], [2, 2, 2], [3, 3, 3]]
    assert f"the split is that of the folders {', '.join(names)}" in said(capsys)
    load(tmp_path / "p")
    assert "the split is that of" in said(capsys)  # from the cache too


def test_a_missing_part_is_cut_from_train(tmp_path: Path, capsys) -> None:
    fill(tmp_path / "p/train/a", 12)
    fill(tmp_path / "p/train/b", 12, 100)
    fill(tmp_path / "p/test/a", 3, 200)
    assert sizes(load(tmp_path / "p")) == [20, 4, 3]
    assert "validation is cut from train" in said(capsys)
    (tmp_path / "p/test").rename(tmp_path / "away")
    alone = load(tmp_path / "p")  # train alone is a wrapper
    assert sizes(alone) == [16, 4, 4] and labels(alone)[0][2] == 0
    assert capsys.readouterr().err == ""


def test_a_picture_in_two_parts_is_kept_in_the_later(tmp_path: Path, capsys) -> None:
    fill(tmp_path / "p/train", 14)
    fill(tmp_path / "p/val", 3, 12)
    fill(tmp_path / "p/test", 3, 14)
    assert sizes(load(tmp_path / "p")) == [12, 2, 3]
    assert "3 pictures that are also in a later part are left out" in said(capsys)


def test_two_folders_for_one_part_are_refused(tmp_path: Path) -> None:
    for part in ("train", "val", "valid"):
        fill(tmp_path / part, 6)
    with pytest.raises(data.DataError, match="'val' and 'valid' both name the valid"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("names", "classes", "left_out"),
    [
        (["w/a/1", "w/a/2", "w/b/1"], ["a", "a", "b"], []),
        (["w/v/a/x/1", "w/v/b/1"], ["a", "b"], []),
        (["1", "2"], [], []),
        (["w/1", "w/2"], [], []),
        (["a/1"] * 20 + ["b/1"] * 20 + ["sheet"], ["a"] * 20 + ["b"] * 20, [40]),
        (["w/a/1"] * 20 + ["w/b/1"] * 20 + ["s"], ["a"] * 20 + ["b"] * 20, [40]),
        (["a/1", "b/1", "2", "3"], ["a", "b", ".", "."], []),
        (["train/1", "bus/1", "car/1"], ["train", "bus", "car"], []),
        (["test/1", "val/1"], ["test", "val"], []),
        (["train/a/1", "test/b/1", "more/c/1"], ["a", "b"], [2]),
        (["train/1", "test/1"], [], []),
        (["a/train/1", "b/train/1", "b/test/1"], ["a", "b", "b"], []),
        (["a/train/1", "b/train/1", "b/x/1"], ["a", "b", "b"], []),
        ([], [], []),
    ],
)
def test_folders_are_wrappers_classes_or_parts(names, classes, left_out) -> None:
    found = arrange([PurePath(name) for name in names])
    assert sorted(found.left_out) == left_out
    assert [found.classes[i] for i in sorted(found.classes)] == classes
    split = "train" in "".join(names) and "test" in "".join(names)
    assert set(found.parts.values()) == ({"train", "test"} if split else set())


def test_strays_are_counted_and_named(tmp_path: Path, capsys) -> None:
    fill(tmp_path / "p/cat", 10)
    fill(tmp_path / "p/dog", 10, 100)
    fill(tmp_path / "p", 1, 200)
    assert sum(sizes(load(tmp_path / "p"))) == 20
    assert "1 skipped (1 beside the class folders: '200.png')" in said(capsys)


@pytest.mark.parametrize(
    "name",
    ["set [v2]", "x[/b]", "photos (1)", "a,b", "100%", ":)", "a:b", "é 字", "$(x)"],
)
def test_any_name_of_a_folder_is_the_same_folder(tmp_path: Path, name: str) -> None:
    fill(tmp_path / name, 18)
    whole = f"images:{tmp_path / name}"
    assert data.canonical(whole) == whole
    assert sizes(load(tmp_path / name)) == [12, 3, 3]
    (tmp_path / "n.txt").touch()
    with pytest.raises(data.DataError) as caught:
        data.check(f"images:{tmp_path / name}/none")
    assert name in str(caught.value)


@pytest.mark.parametrize(
    "spelling", ["{0}/", "{0}//", "/{0}", "{1}/./p", "~/p", "~/p/"]
)
@pytest.mark.parametrize("prefix", ["images:", "idx:"])
def test_one_folder_has_one_name(tmp_path, monkeypatch, spelling, prefix) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    text = spelling.format(tmp_path / "p", tmp_path)
    assert data.canonical(prefix + text) == f"{prefix}{tmp_path / 'p'}"


def test_a_name_that_was_cut_at_its_comma_says_how_to_write_it(tmp_path: Path) -> None:
    fill(tmp_path / "a,b", 1)
    with pytest.raises(data.DataError) as caught:
        data.check(f"images:{tmp_path}/a")
    assert f"--config.datasets=\"('images:{tmp_path}/a,b',)\"" in str(caught.value)
    with pytest.raises(data.DataError, match="did you mean images:.*/a,b"):
        data.check(f"images:{tmp_path}/a.b")


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("~nouser/x", "no such user's folder"),
        ("a\0b", "cannot hold a NUL"),
        (os.fsdecode(b"a\xff"), "is not UTF-8"),
        ("n" * 300, "File name too long"),
        ("a/" * 3_000, "File name too long"),
        ("a\x1b[31m\u202e", r"a\x1b[31m\u202e"),
    ],
)
@pytest.mark.parametrize("prefix", ["images:", "idx:"])
def test_what_is_no_path_is_one_line(prefix: str, folder: str, words: str) -> None:
    with pytest.raises(data.DataError) as caught:
        data.check(prefix + folder)
    text = str(caught.value)
    assert words in text and text.isprintable() and len(text) < 900


@pytest.mark.parametrize(
    "name", ["emnist/../mnist", "emnist/a\0b", "emnist/" + "a" * 200]
)
def test_a_configuration_is_no_path(name: str) -> None:
    with pytest.raises(data.DataError, match="unknown dataset"):
        data.check(name)


@pytest.mark.parametrize("count", ["1" + "0" * 400, "(" * 500, "-" * 100_000])
def test_arguments_are_bounded(count: str) -> None:
    with pytest.raises(data.DataError) as caught:
        data.check(f"textures(count={count})")
    assert len(str(caught.value)) < 900


def test_folders_of_the_environment_are_refused_alike(tmp_path, monkeypatch) -> None:
    fill(tmp_path / "p", 18)
    for variable, act in (
        ("TFDS_DATA_DIR", lambda: data.check("mnist")),
        ("LOSSJAX_CACHE", lambda: load(tmp_path / "p")),
    ):
        monkeypatch.setenv(variable, "~nouser/x")
        with pytest.raises(data.DataError, match=f"{variable}=~nouser/x: there is no"):
            act()


def test_a_folder_without_its_prefix_is_told_the_prefix(tmp_path: Path) -> None:
    with pytest.raises(data.DataError) as refusal:
        data.canonical(str(tmp_path))
    assert f"images:{tmp_path}"[:80] in str(refusal.value)
