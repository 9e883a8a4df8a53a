"""`images:DIR`: every format, every damage, and splits that no duplicate straddles."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossjax.suite import data
from lossjax.suite.data import image_folder as images_module
from lossjax.suite.data.levels import PictureError
from lossjax.suite.data.pictures import quiet_decoders, read_picture


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch) -> Path:
    root = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LOSSJAX_CACHE", str(root))
    return root


def picture(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BILINEAR)


def fill(folder: Path, count: int = 24, offset: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(offset, offset + count):
        picture(seed).save(folder / f"{seed:03d}.png")
    return folder


def whole(dataset: data.Dataset) -> dict[str, set[bytes]]:
    return {
        key: {image.tobytes() for image in split.images}
        for key, split in dataset.splits.items()
    }


def sizes(dataset: data.Dataset) -> list[int]:
    return [len(split) for split in dataset.splits.values()]


def test_a_folder_becomes_three_splits(tmp_path: Path) -> None:
    folder = fill(tmp_path / "p")
    before = sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir())
    dataset = data.load(f"images:{folder}", image_size=16)
    assert dataset.image_shape == (16, 16, 3) and sizes(dataset) == [16, 4, 4]
    assert dataset.train.labels is None
    assert sorted((p.name, p.stat().st_mtime_ns) for p in folder.iterdir()) == before
    grey = data.load(f"images:{folder}", channels=1)
    assert grey.image_shape == (32, 32, 1)


def test_the_split_follows_content_not_names(tmp_path: Path) -> None:
    first = data.load(f"images:{fill(tmp_path / 'a')}")
    folder = fill(tmp_path / "b")
    for path in sorted(folder.iterdir()):
        path.rename(folder / f"renamed-{path.stem[::-1]}.png")
    assert whole(data.load(f"images:{folder}")) == whole(first)


def test_duplicates_never_straddle_splits(tmp_path: Path) -> None:
    folder = fill(tmp_path / "p")
    for seed in range(24):
        picture(seed).save(folder / f"copy-{seed}.bmp")  # same pixels, other bytes
        os.link(folder / f"{seed:03d}.png", folder / f"link-{seed}.png")
    dataset = data.load(f"images:{folder}")
    assert sum(sizes(dataset)) == 72
    found = whole(dataset)
    assert sum(len(one) for one in found.values()) == 24
    assert not found["train"] & found["test"]
    assert not found["train"] & found["validation"]


def test_group_by_parent_keeps_a_burst_together(tmp_path: Path) -> None:
    parent = {}
    for burst in range(8):
        fill(tmp_path / "p" / f"burst{burst}", 3, 3 * burst)
        for seed in range(3 * burst, 3 * burst + 3):
            parent[np.asarray(picture(seed).resize((8, 8))).tobytes()] = burst
    # Bursts 0 and 1 share a picture, so they must stay together too.
    picture(0).save(tmp_path / "p/burst1/shared.png")
    dataset = data.load(f"images:{tmp_path / 'p'}", group_by="parent")
    assert dataset.train.labels is not None
    homes = {
        key: {int(label) for label in split.labels}
        for key, split in dataset.splits.items()
    }
    assert sum(len(one) for one in homes.values()) == 8
    assert any({0, 1} <= one for one in homes.values())
    loose = data.load(f"images:{tmp_path / 'p'}")
    assert sum(len(set(s.labels.tolist())) for s in loose.splits.values()) > 8


def test_sub_folders_become_labels(tmp_path: Path) -> None:
    fill(tmp_path / "p/cats", 12, 0)
    fill(tmp_path / "p/dogs/puppies", 12, 100)
    dataset = data.load(f"images:{tmp_path / 'p'}")
    cats = whole(data.load(f"images:{tmp_path / 'p' / 'cats'}"))
    cat_images = set().union(*cats.values())
    for split in dataset.splits.values():
        for image, label in zip(split.images, split.labels, strict=True):
            assert (image.tobytes() in cat_images) == (label == 0)


def read(path: Path, size: int = 8, channels: int = 3) -> np.ndarray:
    with quiet_decoders():
        return read_picture(path, size, channels).pixels


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.jpg", {"quality": 95}),
        ("a.webp", {"lossless": True}),
        ("a.gif", {}),
        ("a.bmp", {}),
        ("a.tiff", {}),
    ],
)
def test_every_format_is_read(tmp_path: Path, name: str, options: dict) -> None:
    flat = Image.new("RGB", (50, 40), (200, 100, 50))
    flat.save(tmp_path / name, **options)
    found = read(tmp_path / name)
    assert found.shape == (8, 8, 3) and found.dtype == np.uint8
    assert np.abs(found.astype(int) - [200, 100, 50]).max() <= 3
    assert read(tmp_path / name, channels=1).shape == (8, 8, 1)


def test_modes_keep_their_meaning(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.full((9, 9), 200 * 257, np.uint16)).save(path)
    assert (read(path) == 200).all()
    Image.fromarray(np.full((9, 9), 70_000, np.int32)).save(tmp_path / "a.tiff")
    with pytest.raises(PictureError, match="32-bit"):
        read(tmp_path / "a.tiff")
    Image.fromarray(np.full((9, 9), 0.5, np.float32)).save(tmp_path / "b.tiff")
    assert (read(tmp_path / "b.tiff") == 128).all()
    Image.new("RGBA", (9, 9), (255, 0, 0, 0)).save(path)
    assert (read(path) == 255).all()  # transparent red over white is white
    Image.new("LA", (9, 9), (0, 255)).save(path)
    assert (read(path) == 0).all()
    palette = Image.new("P", (9, 9), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    palette.save(path)
    assert read(path)[0, 0].tolist() == [10, 20, 30]
    palette.save(path, transparency=1)
    assert (read(path) == 255).all()
    Image.new("1", (9, 9), 1).save(path)
    assert (read(path) == 255).all()
    Image.new("CMYK", (9, 9), (0, 0, 0, 255)).save(tmp_path / "a.jpg")
    assert (read(tmp_path / "a.jpg") < 5).all()


def test_exif_orientation_turns_the_picture(tmp_path: Path) -> None:
    half = np.zeros((16, 16, 3), np.uint8)
    half[:8] = 255  # bright above
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned 90 degrees clockwise: bright to the right
    Image.fromarray(half).save(tmp_path / "a.jpg", exif=exif, quality=95)
    found = read(tmp_path / "a.jpg").mean(axis=(0, 2))
    assert found[-2:].min() > 240 and found[:2].max() < 15


def test_the_centre_is_kept(tmp_path: Path) -> None:
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    Image.fromarray(wide).save(tmp_path / "a.png")
    assert (read(tmp_path / "a.png", 20) == 255).all()


def test_animations_give_their_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("L", (8, 8), value) for value in (50, 100, 150, 200)]
    many = frames * 2500
    many[0].save(tmp_path / "a.gif", save_all=True, append_images=many[1:])
    assert (read(tmp_path / "a.gif") == 50).all()


def bomb(path: Path, width: int, height: int) -> None:
    """A PNG whose header promises more pixels than anybody should decode."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        sum_ = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", sum_)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"")
    )


def spoil(folder: Path) -> int:
    """Plants one of every unusable file; returns how many."""
    good = (folder / "000.png").read_bytes()
    (folder / "truncated.png").write_bytes(good[: len(good) // 2])
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "notes.txt").write_text("not a picture")
    (folder / "corrupt.png").write_bytes(good[:60] + b"\xff" * 30 + good[90:])
    bomb(folder / "bomb.png", 50_000, 50_000)
    (folder / "line\nbreak.txt").write_text("x")
    (folder / ("n" * 250 + ".txt")).write_text("x")
    outside = folder.parent / "outside.png"
    picture(999).save(outside)
    (folder / "leaves.png").symlink_to(outside)
    (folder / "up").symlink_to(folder.parent)
    os.mkfifo(folder / "pipe")
    (folder / ".hidden").write_text("ignored without a word")
    return 10


def test_unusable_files_are_named_counted_and_skipped(tmp_path: Path, capsys) -> None:
    folder = fill(tmp_path / "p")
    clean = data.load(f"images:{folder}").fingerprint
    count = spoil(folder)
    for _ in range(2):  # decoded, then from the cache
        dataset = data.load(f"images:{folder}")
        assert dataset.fingerprint == clean
        (line,) = capsys.readouterr().err.splitlines()
        assert f"24 pictures used, {count} skipped" in line
        for words in (
            "'truncated.png'",
            "50000 x 50000 is over 64 million pixels",
            "a link that leaves the folder: 'leaves.png', 'up'",
            "not a regular file: 'pipe'",
        ):
            assert words in line
        assert len(line) < 1000 and "n" * 60 not in line and "hidden" not in line


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "folder is empty"), (1, "1 different picture"), (11, "at least 12")],
)
def test_too_few_pictures_are_refused(tmp_path: Path, count: int, words: str) -> None:
    folder = fill(tmp_path / "p", count)
    with pytest.raises(data.DataError) as caught:
        data.load(f"images:{folder}")
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_too_few_left_says_what_was_skipped(tmp_path: Path) -> None:
    folder = fill(tmp_path / "p", 5)
    count = spoil(folder)
    with pytest.raises(data.DataError, match=f"5 pictures used, {count} skipped"):
        data.load(f"images:{folder}")


def test_a_folder_of_copies_is_one_picture(tmp_path: Path) -> None:
    folder = fill(tmp_path / "p", 1)
    for copy in range(30):
        picture(0).save(folder / f"copy{copy}.png")
    with pytest.raises(data.DataError, match="1 different picture"):
        data.load(f"images:{folder}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("images:", "names no folder"),
        ("images:/no/such", "does not exist"),
        (f"images:{__file__}", "is not a folder"),
    ],
)
def test_bad_folders_are_refused_before_loading(name: str, words: str) -> None:
    for entry in (data.check, data.load):
        with pytest.raises(data.DataError, match=words):
            entry(name)


def test_an_unreadable_folder_is_named(tmp_path: Path, monkeypatch) -> None:
    folder = fill(tmp_path / "p")

    def denied(
        path: object,
    ) -> None:  # root may read everything, so chmod shows nothing
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(images_module.os, "scandir", denied)
    with pytest.raises(data.DataError, match="Permission denied.*chmod"):
        data.check(f"images:{folder}")


def test_decoded_pictures_come_from_the_cache(
    tmp_path: Path, cache: Path, monkeypatch
) -> None:
    folder = fill(tmp_path / "p")
    first = data.load(f"images:{folder}")

    def never(*arguments: object) -> None:
        raise AssertionError("decoded again")

    with monkeypatch.context() as patch:
        patch.setattr(images_module, "read_picture", never)
        again = data.load(f"images:{folder}")
        assert again.fingerprint == first.fingerprint
        assert isinstance(again.train.images, np.memmap)
        with pytest.raises(AssertionError, match="decoded again"):
            data.load(f"images:{folder}", image_size=8)
        picture(77).save(folder / "000.png")
        with pytest.raises(AssertionError, match="decoded again"):
            data.load(f"images:{folder}")
    # One flipped bit in the cache is noticed and mended.
    picture(0).save(folder / "000.png")
    (stored,) = cache.rglob("train-images.npy")
    content = bytearray(stored.read_bytes())
    content[-1] ^= 1
    stored.write_bytes(content)
    assert data.load(f"images:{folder}").fingerprint == first.fingerprint


def test_an_unwritable_cache_only_costs_time(tmp_path: Path, monkeypatch) -> None:
    folder = fill(tmp_path / "p")
    first = data.load(f"images:{folder}")
    blocked = tmp_path / "a file"
    blocked.touch()
    monkeypatch.setenv("LOSSJAX_CACHE", str(blocked))
    assert data.load(f"images:{folder}").fingerprint == first.fingerprint
