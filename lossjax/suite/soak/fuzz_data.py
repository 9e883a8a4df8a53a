"""Inputs of the data layer for `fuzz`: names, IDX, pictures, prepared sets, caches."""

import gzip
import io
import os
import random
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lossjax.suite import data
from lossjax.suite.data.cache import cached
from lossjax.suite.data.dataset import Content, Split
from lossjax.suite.data.idx import idx_bytes
from lossjax.suite.data.tfds_prepare import prepare_tfds
from lossjax.suite.soak import mutations

_PREPARED = "sklearn_digits"  # the one set that is prepared without a download


def name(folder: Path, generator: random.Random) -> str:
    """A dataset's name, or what looks like one."""
    words = [row.usage for row in data.DATASETS.values()]
    words += [f"idx:{folder}", f"images:{folder}", "emnist/", "(count=", "binary="]
    if generator.random() < 0.5:
        return mutations.bent_text(generator.choice(words), generator)
    return mutations.text(generator, words)


def read_name(text: str) -> None:
    data.canonical(text)
    data.check(text)


def idx(folder: Path, generator: random.Random) -> str:
    """A folder of IDX files under any of their names, some of them spoiled."""
    prefix = generator.choice(("", "", "emnist-balanced-", "x ", "TRAIN-"))
    below = generator.choice((".", ".", "raw", "MNIST/raw", "a/b/c/d"))
    (folder / below).mkdir(parents=True, exist_ok=True)
    sides = generator.choice(((9, 7), (1, 1), (8, 8, 3), (2, 3, 2), (28, 28)))
    files = []
    for part, count in (("train", 6), (generator.choice(("t10k", "test")), 3)):
        kinds = {"images": (count, *sides), "labels": (count,)}
        if part == "train" and generator.random() < 0.3:
            kinds["groups"] = generator.choice(((count,), (count, 2)))
        for kind, shape in kinds.items():
            values = generator.randbytes(int(np.prod(shape)))
            content = idx_bytes(np.frombuffer(values, np.uint8).reshape(shape))
            joint = generator.choice("-.")
            file = f"{prefix}{part}-{kind}{joint}idx{len(shape)}{joint}ubyte"
            if generator.random() < 0.1:
                file = file.upper()
            if generator.random() < 0.3:
                file, content = f"{file}.gz", gzip.compress(content, 1)
            path = folder / below / file
            path.write_bytes(content)
            files.append(path)
    for path in files:
        if generator.random() < 0.35 and path.exists():
            mutations.bend_file(path, generator, _bent_idx)
    return f"idx:{folder}"


def _bent_idx(content: bytes, generator: random.Random) -> bytes:
    """Spoiled inside its gzip at times, so that the sums are right."""
    if content[:2] == b"\x1f\x8b" and generator.random() < 0.5:
        inner = mutations.bent_bytes(gzip.decompress(content), generator)
        return gzip.compress(inner, 1)
    if generator.random() < 0.05:
        sizes = struct.pack(">3I", generator.choice((2**20, 60_000, 3)), 1024, 1024)
        zeros = gzip.compress(b"\0\0\x08\x03" + sizes + bytes(2**24), 9)
        return zeros
    return mutations.bent_bytes(content, generator)


def read_folder(text: str) -> None:
    os.environ["LOSSJAX_CACHE"] = os.devnull  # it cannot be written: nothing is kept
    with _silent():
        data.load(text, image_size=8)


def pictures(folder: Path, generator: random.Random) -> str:
    """Twelve good pictures, and some that are spoiled or of a rare kind."""
    for index in range(12):
        _picture(index).save(folder / f"{index}.png")
    for index in range(generator.randint(1, 4)):
        rare, content = _rare(generator)
        path = folder / generator.choice((".", "train", "test", "a,b")) / rare
        path = path.with_stem(f"{path.stem}{index}")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        if generator.random() < 0.8:
            mutations.bend_file(path, generator)
    return f"images:{folder}"


def _picture(seed: int) -> Image.Image:
    noise = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(noise)


def _rare(generator: random.Random) -> tuple[str, bytes]:
    """A file name and a whole picture of some kind."""
    seed = generator.randrange(1000)
    rgb = _picture(seed)
    grey = np.asarray(rgb)[..., 0]
    kinds: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "a.png": (rgb, "PNG", {}),
        "b.png": (Image.fromarray(grey.astype(np.uint16) * 16), "PNG", {}),
        "c.png": (rgb.quantize(9), "PNG", {"transparency": 3}),
        "d.png": (rgb.convert("RGBA"), "PNG", {}),
        "e.jpg": (rgb, "JPEG", {}),
        "f.jpg": (rgb.convert("CMYK"), "JPEG", {"progressive": True}),
        "g.webp": (rgb, "WEBP", {}),
        "h.gif": (rgb, "GIF", {"save_all": True, "append_images": [rgb]}),
        "i.bmp": (rgb, "BMP", {}),
        "j.tif": (rgb, "TIFF", {"compression": "tiff_lzw"}),
        "k.tif": (Image.fromarray(grey.astype(np.float32) / 255), "TIFF", {}),
        "l.tif": (
            Image.fromarray(grey.astype(np.uint16)),
            "TIFF",
            {"tiffinfo": {262: 0}},
        ),
        "m.tif": (rgb.convert("LAB"), "TIFF", {}),
        "n.ppm": (rgb, "PPM", {}),
        "o.pgm": (Image.fromarray(grey), "PPM", {}),
    }
    key = generator.choice([*kinds, "p.pgm", "q.ppm"])
    if key == "p.pgm":
        return key, b"P5 8 8 4095\n" + grey.astype(">u2").tobytes()
    if key == "q.ppm":
        return key, b"P3 2 2 9\n" + b"1 2 3 " * 4
    picture, form, options = kinds[key]
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return key, buffer.getvalue()


def prepared(folder: Path, generator: random.Random) -> Path:
    """A prepared set of tensorflow-datasets, one or two of its files spoiled."""
    whole = folder.parent / "prepared"
    if not whole.exists():
        work = folder.parent / f"preparing{os.getpid()}"
        os.environ["TFDS_DATA_DIR"] = str(work)
        with _silent():
            prepare_tfds(_PREPARED)
        work.rename(whole)
    copy = mutations.copied(whole, folder / "tfds")
    (place,) = (copy / _PREPARED).iterdir()
    _spoil(place, "dataset_info.json", generator)
    if generator.random() < 0.1:
        place.rename(place.with_name(generator.choice(("0.0.1", "x", "1.0.0~"))))
    return copy


def _spoil(folder: Path, first: str, generator: random.Random) -> None:
    """Bends one or two files of a folder, every second time the one of that name."""
    files = sorted(folder.iterdir())
    for _ in range(generator.choice((1, 1, 2))):
        path = generator.choice((folder / first, generator.choice(files)))
        if path.is_file() and not path.is_symlink():
            is_json = path.suffix == ".json"
            bend = mutations.bent_json if is_json else mutations.bent_bytes
            mutations.bend_file(path, generator, bend)


def read_prepared(place: Path) -> None:
    from lossjax.suite.data.__main__ import main

    os.environ["TFDS_DATA_DIR"] = str(place)
    with _silent():
        main(["list"])  # whatever lies there
        data.load(_PREPARED, max_examples=60)


def decoded(folder: Path, generator: random.Random) -> Path:
    """A cache with one entry, one or two of its files spoiled."""
    whole = folder.parent / "decoded"
    os.environ["LOSSJAX_CACHE"] = str(whole)
    cached("fuzz", {}, _content)
    copy = mutations.copied(whole, folder / "cache")
    (entry,) = (copy / "data").iterdir()
    _spoil(entry, "meta.json", generator)
    return copy


def read_decoded(folder: Path) -> None:
    """Whatever became of the entry, the content is the right one."""
    os.environ["LOSSJAX_CACHE"] = str(folder)
    content, expected = cached("fuzz", {}, _content), _content()
    assert content.truth == expected.truth
    for key, split in expected.splits.items():
        np.testing.assert_array_equal(content.splits[key].images, split.images)
        np.testing.assert_array_equal(content.splits[key].labels, split.labels)


def _content() -> Content:
    images = np.arange(4 * 9, dtype=np.uint8).reshape(4, 3, 3, 1)
    split = Split(images, np.arange(4, dtype=np.int32))
    splits = {key: split for key in ("train", "validation", "test")}
    return Content(splits, "a set", {"say": True})


class _silent:
    """Nothing is printed inside."""

    def __enter__(self) -> None:
        self._kept = sys.stdout, sys.stderr
        sys.stdout = sys.stderr = io.StringIO()

    def __exit__(self, *_: object) -> None:
        sys.stdout, sys.stderr = self._kept
