"""Sets made from public packages, from small packages of the same form."""

import gzip
import pickle
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossjax.suite import data
from lossjax.suite.cli.errors import UserError
from lossjax.suite.data.__main__ import main
from lossjax.suite.data.made import MADE_SETS
from lossjax.suite.data.made.made_folder import made_folder
from lossjax.suite.data.made.photos import PHOTOS

RANDOM = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "sets"))
    monkeypatch.setattr(sys.modules[__name__], "RANDOM", np.random.default_rng(0))


def font(folder: Path) -> None:
    """59 shapes, one of them twice, a narrow one, a blank and two placeholders."""
    shapes = [RANDOM.bytes(32).hex().upper() for _ in range(59)]
    lines = [f"{0x4E00 + n:04X}:{shapes[n % 59]}" for n in range(60)]
    lines += ["0041:" + "18" * 16, "0020:" + "0" * 32]
    lines += ["0001:AAAA" + shapes[0][:56] + "5555"]
    box = ["0000", "7FFE", *["5A5A"] * 5, "7FFE", "7FFE", *["5A5A"] * 5, "7FFE", "0000"]
    lines += ["FFFF:" + "".join(box)]
    (folder / "unifont.hex").write_text("\n".join(lines), "ascii")


def silhouettes(folder: Path) -> None:
    """Every image of a class has a copy there."""
    half = RANDOM.integers(0, 256, (5_000, 2, 2), np.uint8).repeat(14, 1).repeat(14, 2)
    labels = np.tile(np.arange(500) % 10, 20)
    pair = {"data": np.concatenate([half, half]), "label": labels}
    for name, array in pair.items():
        content = pickle.dumps(array, protocol=4)
        path = folder / f"animal_{name}_version_3.gz"
        path.write_bytes(gzip.compress(content, 1))


def drawings(folder: Path) -> None:
    """Ten of each of two folders, a copy, a link, a blank one and no picture."""
    root = folder / "share/openclipart/png"
    for name in ("plants", "tools"):
        (root / name / "deep").mkdir(parents=True)
        for number in range(20):
            ink = RANDOM.integers(0, 256, (60, 40, 4), np.uint8)
            Image.fromarray(ink).save(root / name / f"deep/{number}.png")
    first = root / "plants/deep/0.png"
    (root / "tools/copy.png").write_bytes(first.read_bytes())
    (root / "tools/link.png").symlink_to(first)
    (root / "tools/broken.png").write_bytes(first.read_bytes()[:50])
    Image.new("RGBA", (9, 9)).save(root / "tools/blank.png")


def landscapes(folder: Path) -> None:
    """Three by three patches of each, one of them of one colour."""
    for text in PHOTOS.values():
        for name in text.split():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            ink = RANDOM.integers(0, 256, (200, 200, 3), np.uint8)
            ink[:80, :80] = 90
            Image.fromarray(ink).save(path)


def head(folder: Path) -> None:
    """A block of tissue in a NIfTI file, air around it."""
    voxels = np.zeros((181, 217, 181), np.uint8)
    voxels[20:160, :, 20:160] = RANDOM.integers(20, 200, (140, 217, 140), np.uint8)
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *voxels.shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, 2, 8)
    struct.pack_into("<3f", header, 108, 352, 1, 0)
    content = bytes(header) + voxels.tobytes(order="F")
    (folder / "ch2.nii.gz").write_bytes(gzip.compress(content, 1))


PACKAGES: dict[str, tuple[Callable[[Path], None], str, tuple[int, int]]] = {
    "glyphs": (font, "unifont.hex", (50, 10)),
    "animals": (silhouettes, "animal_data_version_3.gz", (9_000, 1_000)),
    "clipart": (drawings, "openclipart/png", (32, 8)),
    "photos": (landscapes, ".jpg", (44 * 8, 8 * 8)),
    "brain": (head, "ch2.nii.gz", (12_000, 2_000)),
}


def refused(*arguments: str) -> str:
    with pytest.raises(UserError) as error:
        main([*arguments])
    return str(error.value)


def test_every_recipe_is_tried() -> None:
    assert set(PACKAGES) == set(MADE_SETS)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_set_is_made_once_and_used_by_its_name(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack, needed, counts = PACKAGES[name]
    source = tmp_path / "unpacked"
    source.mkdir()
    command, made_set = ["prepare", name], MADE_SETS[name]
    assert made_set.packages in refused(*command)
    assert needed in refused(*command, f"--source={source}")
    assert "does not exist" in refused(*command, f"--source={source}/x")
    pack(source)
    assert main([*command, f"--source={source}"]) == 0
    printed = capsys.readouterr().out
    assert f"{name} is ready: {made_set.shape}" in printed
    assert "note: not the images of the published rows" in printed
    made = data.load(name)
    train, held, test = (len(split) for split in made.splits.values())
    assert (train + held, test) == counts
    if name == "photos":  # 8 photographs of test, 7 of validation, whole
        assert held == 7 * 8
    if name == "animals":  # no copy on two sides
        parts = [{i.tobytes() for i in s.images} for s in made.splits.values()]
        assert not parts[0] & parts[1] and not (parts[0] | parts[1]) & parts[2]
    if name == "brain":  # one slab of three, or two small ones
        assert 0 < held <= 5_000
    before = {path: path.read_bytes() for path in made_folder(made_set).iterdir()}
    assert main(command) == 0 and "nothing to prepare" in capsys.readouterr().out
    assert before == {
        path: path.read_bytes() for path in made_folder(made_set).iterdir()
    }


def test_another_file_of_that_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ch2.nii.gz").write_bytes(gzip.compress(b"no volume"))
    (tmp_path / "unifont.hex").write_text("0041:XY")
    for name in ("animal_data_version_3.gz", "animal_label_version_3.gz"):
        (tmp_path / name).write_bytes(gzip.compress(pickle.dumps([1, 2])))
    for name in ("brain", "glyphs", "animals"):
        assert str(tmp_path) in refused("prepare", name, f"--source={tmp_path}")
        assert not made_folder(MADE_SETS[name]).exists()
    assert "is not prepared from there" in refused(
        "prepare", "glyphs", "--manual_dir=x"
    )
    assert "is not prepared from there" in refused("prepare", "mnist", "--source=x")
