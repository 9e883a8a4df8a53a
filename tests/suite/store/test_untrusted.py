"""Files that anybody may have written: limits hold, and every refusal is one line."""

import gzip
import io
import json
import os
import zlib
from pathlib import Path

import pytest

from lossjax.suite.store import untrusted
from lossjax.suite.store.untrusted import UntrustedError


def refused(act) -> str:
    with pytest.raises(UntrustedError) as caught:
        act()
    text = str(caught.value)
    assert text.isprintable() and len(text) < 900
    return text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"  \n", "empty"),
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"9" * 5_000, "no JSON"),
        (b"[" * 40 + b"]" * 40, "over 32 levels deep"),
        (b"[" * 10**6, "nested too deeply"),
        (b"[" * 10**6 + b"]" * 10**6, "nested too deeply"),
        (b'{"a": 1, "b": [true]}', "b[0] is bool, not int"),
        (b'{"a": "1", "b": []}', "a is str, not int"),
        (b'{"b": []}', "lacks 'a'"),
        (b"[]", "is list, not dict"),
        (b'{"a": 1, "b": [], "d": [0, 1]}', "d[0] is out of range"),
        (b'{"a": 1, "b": [], "d": [1.5, 1]}', "d[0] is float, not int"),
        (b'{"a": 1, "b": [], "d": [1]}', "d has 1 values"),
    ],
)
def test_json_of_another_shape_is_one_line(content: bytes, words: str) -> None:
    size = range(1, 100)
    schema = {"a": int, "b": [int], "c?": {str: (float, None)}, "d?": [size, size]}
    assert words in refused(lambda: untrusted.parse_json(content, "a\nfile", schema))


def test_json_of_the_right_shape_is_returned() -> None:
    schema = {"a": float, "c?": {str: (float, None)}, "d?": object}
    value = {"a": 1, "c": {"x": None, "y": 0.5}, "more": [1, 2]}
    assert untrusted.parse_json(json.dumps(value).encode(), "f", schema) == value
    assert "c['z'] is NoneType" not in refused(
        lambda: untrusted.conform({"a": 1, "c": {"z": "s"}}, schema, "f")
    )


def test_only_regular_files_of_a_bounded_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # a plain open would wait for ever
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "long").write_bytes(bytes(101))
    for name, words in (
        ("pipe", "not a regular file"),
        ("zero", "not a regular file"),
        ("loop", "symbolic links"),
        (".", "not a regular file"),
        ("n" * 400, "too long"),
        ("a\0b", "null"),
        ("long", "over 100 bytes"),
    ):
        assert words in refused(lambda n=name: untrusted.read_bytes(tmp_path / n, 100))
    assert untrusted.read_bytes(tmp_path / "long", 101) == bytes(101)
    with pytest.raises(FileNotFoundError):
        untrusted.read_json(tmp_path / "none")


def test_what_inflates_is_bounded() -> None:
    bomb = zlib.compress(bytes(10**8), 9)
    assert "over 1,000 bytes" in refused(lambda: untrusted.inflate(bomb, "f", 1_000))
    assert untrusted.inflate(zlib.compress(b"x" * 1_000), "f", 1_000) == b"x" * 1_000
    whole = zlib.compress(bytes(range(256)))
    for damaged in (whole[:-3], b"", whole[:20] + b"!" + whole[21:]):
        assert "damaged" in refused(lambda d=damaged: untrusted.inflate(d, "f"))


def test_gzip_comes_in_chunks_and_ends_as_gzip_says() -> None:
    def read(content: bytes) -> bytes:
        chunks = list(untrusted.gunzip(io.BytesIO(content), "f"))
        assert all(len(chunk) <= 2**20 for chunk in chunks)
        return b"".join(chunks)

    one, two = gzip.compress(b"one"), gzip.compress(bytes(3 * 2**20))
    assert read(one + two) == b"one" + bytes(3 * 2**20)
    for rest in (b"\r\n", bytes(512), b"\x1f"):
        assert read(one + rest) == b"one"
    for damaged in (one[:-1], two[:-8], one[:-6] + b"!" + one[-5:], b"", b"no"):
        assert "damaged gzip file" in refused(lambda d=damaged: read(d))


def test_printable_leaves_names_and_escapes_the_rest() -> None:
    assert untrusted.printable("é[/b] 字 a,b") == "é[/b] 字 a,b"
    strange = "a\x1b[31m\u202eb\udcff\n c"
    assert untrusted.printable(strange) == "a\\x1b[31m\\u202eb\\udcff c"
