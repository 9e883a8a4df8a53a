"""Every kind of picture is read to the right levels, or says why it is not."""

import re
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lossjax.suite import data
from lossjax.suite.data import pictures
from lossjax.suite.data.levels import PictureError
from lossjax.suite.data.pictures import Picture, quiet_decoders, read_picture
from lossjax.suite.sweep import __main__ as sweep

RAMP = np.tile(np.arange(0, 256, 17, dtype=np.uint8), (16, 1))  # 0 to 255, 16 levels


def read(path: Path, channels: int = 1, **options) -> Picture:
    with quiet_decoders():
        return read_picture(path, 16, channels, **options)


def ramp(path: Path, **options) -> np.ndarray:
    """The columns of a 16 x 16 picture that has no rows."""
    pixels = read(path, **options).pixels[..., 0]
    assert (pixels == pixels[0]).all()
    return pixels[0]


def refused(path: Path, **options) -> str:
    with pytest.raises(PictureError) as caught:
        read(path, **options)
    return str(caught.value)


def tiff(path: Path, bits: tuple[int, ...], pixels: bytes, **tags: int) -> Path:
    """A 16 x 16 TIFF written by hand: what no library writes is tried too."""
    photometric, sample = tags.get("photometric", 1), tags.get("sample", 1)
    rows = [
        (256, 4, 1, 16),
        (257, 4, 1, 16),
        (258, 3, len(bits), bits[0] if len(bits) == 1 else 8),
        (259, 3, 1, 1),
        (262, 3, 1, photometric),
        (273, 4, 1, 300),
        (277, 3, 1, len(bits)),
        (278, 4, 1, 16),
        (279, 4, 1, len(pixels)),
        (339, 3, 1, sample),
    ]
    if tags.get("largest"):
        rows.insert(9, (281, 3, 1, tags["largest"]))
    head = b"II*\0" + struct.pack("<I", 40)
    head += struct.pack(f"<{len(bits)}H", *bits).ljust(32, b"\0")
    ifd = struct.pack("<H", len(rows))
    for row in rows:
        ifd += struct.pack("<HHII", *row)
    path.write_bytes((head + ifd + bytes(4)).ljust(300, b"\0") + pixels)
    return path


@pytest.mark.parametrize("dtype", ["<u2", "<f4"])
@pytest.mark.parametrize("inverted", [False, True])
def test_deep_grey_goes_from_black_to_white(tmp_path: Path, dtype, inverted) -> None:
    top = 65_535 if dtype == "<u2" else 1
    levels = (RAMP.astype(np.float64) / 255 * top).astype(dtype)
    levels = (top - levels if inverted else levels).astype(dtype)
    path = tiff(
        tmp_path / "a.tif",
        (levels.itemsize * 8,),
        levels.tobytes(),
        photometric=0 if inverted else 1,
        sample=1 if dtype == "<u2" else 3,
    )
    np.testing.assert_allclose(ramp(path).astype(int), RAMP[0], atol=1)


def test_a_range_that_the_file_declares_is_used(tmp_path: Path) -> None:
    levels = (RAMP.astype(np.uint16) * 16).tobytes()  # 12 bits
    declared = tiff(tmp_path / "a.tif", (16,), levels, largest=4_080)
    np.testing.assert_array_equal(ramp(declared), RAMP[0])
    assert read(declared).largest is None
    (tmp_path / "b.pgm").write_bytes(
        b"P5\n16 16\n4080\n" + (RAMP.astype(">u2") * 16).astype(">u2").tobytes()
    )
    np.testing.assert_array_equal(ramp(tmp_path / "b.pgm"), RAMP[0])


@pytest.mark.parametrize("factor", [1, 4, 16, 64])
def test_shallow_levels_in_16_bits_are_told_and_mended(
    tmp_path: Path, factor: int, capsys, monkeypatch
) -> None:
    monkeypatch.setenv("LOSSJAX_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "p"
    folder.mkdir()
    for seed in range(18):
        noise = np.random.default_rng(seed).permuted(RAMP, axis=1).astype(np.uint16)
        Image.fromarray(noise * factor).save(folder / f"{seed}.png")
    white = 256 * factor - 1
    data.load(f"images:{folder}", channels=1)
    line = capsys.readouterr().err
    assert f"is {255 * factor:,} of 65,535" in line and f"value_range=0,{white}" in line
    mended = data.load(f"images:{folder}", channels=1, value_range=(0, white))
    assert mended.train.images.max() >= 254 and not capsys.readouterr().err
    (folder / "bright.png").unlink(missing_ok=True)
    Image.fromarray(RAMP.astype(np.uint16) * 257).save(folder / "bright.png")
    data.load(f"images:{folder}", channels=1)
    assert not capsys.readouterr().err  # one picture shows that all of 16 bits are used


def test_the_note_on_12_bits_names_the_flag_that_mends_it(
    tmp_path: Path, capsys, monkeypatch
) -> None:
    monkeypatch.setenv("LOSSJAX_CACHE", str(tmp_path / "cache"))
    (tmp_path / "p").mkdir()
    for seed in range(18):
        noise = np.random.default_rng(seed).permuted(RAMP, axis=1).astype(np.uint16)
        Image.fromarray(noise * 16).save(tmp_path / "p" / f"{seed}.png")
    command = [f"--config.datasets=images:{tmp_path / 'p'}", "--dry_run"]
    command += ["--config.batch_size=4", f"--out={tmp_path / 'out'}"]
    sweep.main(command)
    (flag,) = re.findall(r"--config\.\S+", capsys.readouterr().err)
    assert flag == "--config.value_range=0,4095"
    sweep.main([*command, flag])
    assert "16 bits" not in capsys.readouterr().err


def test_deep_colour_keeps_its_levels_and_tells(tmp_path: Path) -> None:
    levels = np.repeat((RAMP.astype("<u2") * 257)[..., None], 3, axis=2)
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6 16 16 65535\n" + levels.astype(">u2").tobytes())
    np.testing.assert_array_equal(ramp(path), RAMP[0])
    path.write_bytes(b"P6 16 16 15\n" + (levels // 257 // 17).astype("u1").tobytes())
    np.testing.assert_array_equal(ramp(path), RAMP[0])
    path.write_bytes(path.read_bytes()[:-1])
    assert "truncated" in refused(path)


@pytest.mark.parametrize(
    ("bits", "sample", "content", "words"),
    [
        ((32,), 1, np.full(256, 7, "<u4"), "32-bit levels from 7 to 7"),
        ((16,), 2, np.full(256, -7, "<i2"), "signed 16-bit levels from -7 to -7"),
        ((8,), 2, np.full(256, -7, "i1"), "signed 8-bit levels"),
        ((32,), 3, np.full(256, 1.5, "<f4"), "levels from 1.5 to 1.5; valid are 0 to"),
        ((32,), 3, np.full(256, np.nan, "<f4"), "nan"),
        ((64,), 3, np.full(256, 0.5, "<f8"), "not read (1 bands of 64 bits)"),
        ((8,) * 5, 1, np.zeros(5 * 256, "u1"), "not read (5 bands of 8 bits)"),
    ],
)
def test_levels_of_no_known_meaning_are_refused(
    tmp_path: Path, bits, sample, content, words
) -> None:
    path = tiff(tmp_path / "a.tif", bits, content.tobytes(), sample=sample)
    assert words in refused(path)
    if "give value_range" in refused(path):
        assert 0 < read(path, value_range=(-20, 20)).pixels[0, 0, 0] < 255


def test_transparent_levels_are_white(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    deep = RAMP.astype(np.uint16) * 257
    Image.fromarray(deep).save(path, transparency=int(deep[0, 3]))
    assert ramp(path)[3] == 255 and ramp(path)[4] == RAMP[0, 4]
    # Four bits a pixel: the file names the transparent level in four bits too.
    row = bytes(17 * high + 1 for high in range(0, 16, 2))

    def chunk(kind: bytes, body: bytes) -> bytes:
        checked = kind + body
        end = struct.pack(">I", zlib.crc32(checked))
        return struct.pack(">I", len(body)) + checked + end

    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 16, 16, 4, 0, 0, 0, 0))
        + chunk(b"tRNS", b"\0\3")
        + chunk(b"IDAT", zlib.compress((b"\0" + row) * 16))
        + chunk(b"IEND", b"")
    )
    expected = RAMP[0].copy()
    expected[3] = 255
    np.testing.assert_array_equal(ramp(path), expected)


def test_other_colours_are_converted_or_refused(tmp_path: Path) -> None:
    grey = Image.fromarray(RAMP)
    colour = grey.convert("RGB")
    kinds = [colour.convert(mode) for mode in ("CMYK", "YCbCr", "RGBA", "L", "RGB")]
    for kind in (*kinds, grey.convert("LA"), colour.quantize(16)):
        path = tmp_path / f"{kind.mode}.tif"
        kind.save(path)
        np.testing.assert_allclose(ramp(path).astype(int), RAMP[0], atol=2)
    grey.convert("RGB").convert("LAB").save(tmp_path / "a.tif")
    assert "LAB colours" in refused(tmp_path / "a.tif")


@pytest.mark.parametrize("form", ["png", "tif", "gif", "ppm", "webp"])
def test_large_pictures_are_made_smaller_in_strips(tmp_path, monkeypatch, form) -> None:
    from lossjax.suite.data import pictures

    picture = Image.fromarray(RAMP).resize((700, 500), Image.Resampling.BICUBIC)
    path = tmp_path / f"a.{form}"
    exif = Image.Exif()
    exif[0x0112] = 3 if form in ("png", "webp") else 1  # upside down
    picture.convert("RGB").save(path, exif=exif, lossless=True)
    whole = read(path, 3).pixels.astype(int)
    monkeypatch.setattr(pictures, "_LARGE", 10_000)
    strips = read(path, 3).pixels.astype(int)
    assert np.abs(whole - strips).max() <= 3 and np.ptp(strips) > 150


def test_formats_that_cost_most_have_lower_limits(tmp_path: Path) -> None:
    (tmp_path / "a.ppm").write_bytes(b"P3 2000 1000 255\n")
    assert "over 1 million pixels, the most of ppm_plain" in refused(tmp_path / "a.ppm")
    Image.new("L", (6000, 4100)).save(tmp_path / "a.webp", method=0)
    assert "over 24 million pixels, the most of WEBP" in refused(tmp_path / "a.webp")


# As one strip of 7,990 x 7,990, or in tiles far larger than the picture.
@pytest.mark.parametrize(
    "changes",
    [
        {256: (256, 7_990), 257: (257, 7_990), 278: (278, 7_990)},
        {273: (324, None), 278: (323, 20_000), 279: (325, None), 284: (322, 20_000)},
    ],
)
def test_compressed_tiff_that_would_take_much_memory_is_refused(
    tmp_path: Path, changes: dict[int, tuple[int, int | None]]
) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(RAMP / np.float32(255)).save(path, compression="tiff_lzw")
    content = bytearray(path.read_bytes())
    start = int.from_bytes(content[4:8], "little") + 2
    for place in range(start, start + 12 * content[start - 2], 12):
        tag, kind, count, value = struct.unpack_from("<HHII", content, place)
        tag, new = changes.get(tag, (tag, None))
        struct.pack_into("<HHII", content, place, tag, kind, count, new or value)
    path.write_bytes(content)
    assert re.search(r"takes (510|1600) MB to read, over 420; save it", refused(path))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGBA", "P", "I;16", "F"])
def test_the_largest_pictures_take_little(tmp_path: Path, mode: str) -> None:
    from lossjax.suite.soak.fuzz import _watched

    path = tmp_path / "a.tif"
    if mode == "F":
        Image.new("F", (7_900, 7_900), 0.5).save(path)
    elif mode == "I;16":
        Image.fromarray(np.full((7_900, 7_900), 32_896, np.uint16)).save(path)
    else:
        path = tmp_path / "a.png"
        Image.new(mode, (7_900, 7_900)).save(path, compress_level=1)
    began = time.process_time()
    with _watched() as watch:
        read(path, 3)
    assert watch["megabytes"] < 400 and time.process_time() - began < 5


def test_threads_do_not_hold_many_large_pictures_at_once() -> None:
    """What is decoded at a time fits the room, or is alone."""
    room, held, most = pictures._Room(10), [], []
    lock = threading.Lock()

    def decode(pixels: int) -> None:
        with room.of(pixels):
            with lock:
                held.append(pixels)
                most.append(list(held))
            time.sleep(0.01)
            with lock:
                held.remove(pixels)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [4, 4, 4, 25, 7, 25, 4, 4, 9] * 2))
    assert all(sum(one) <= 10 or len(one) == 1 for one in most)
    assert [25] in most and any(len(one) > 1 for one in most)
