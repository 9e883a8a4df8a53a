"""Files that anybody may have written: read with limits on size, depth and type.

Whatever is wrong with one is an `UntrustedError`: one line with the file and the
reason. A reader turns it into its own answer (made again, named as damaged, refused)
and goes on with the rest.
"""

import io
import json
import math
import os
import stat
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

MOST_BYTES = 64 * 2**20
MOST_VALUES = 2**20  # of one JSON file; each costs a hundred bytes and more
MOST_ARRAY = 2**30  # bytes
_LARGEST = 2**63  # of a whole number, either way
DEEPEST = 32  # levels of brackets; the suite's own files have under ten
_CHUNK = 2**20
_GZIP, _MAGIC = 31, b"\x1f\x8b"  # zlib's number for the format; how a member begins


class UntrustedError(ValueError):
    """A file that cannot be used; one line that names it and says why."""

    def __init__(self, name: object, reason: str) -> None:
        super().__init__(printable(f"{name}: {reason}"))
        self.reason = printable(reason)


def printable(text: str) -> str:
    """`text` on one line, with every control, direction or stray byte escaped."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


def open_regular(path: Path) -> io.BufferedReader:
    """The file opened for reading; a pipe or device raises instead of waiting.

    Raises:
      OSError: as `open`; also where the path is no regular file.
    """
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(None, "not a regular file", str(path))
    return open(handle, "rb")


def read_bytes(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Raises:
      FileNotFoundError: nothing is there.
      UntrustedError: anything else.
    """
    try:
        with open_regular(path) as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise UntrustedError(path, f"cannot be read ({words})") from error
    if len(content) > most:
        raise UntrustedError(path, f"over {most:,} bytes")
    return content


def read_json(path: Path, schema: Any = object) -> Any:
    """The JSON value of a file, checked against a schema (see `conform`).

    Raises:
      FileNotFoundError: nothing is there.
      UntrustedError: anything else.
    """
    return parse_json(read_bytes(path), path, schema)


def parse_json(
    content: bytes, name: object, schema: Any = object, deepest: int = DEEPEST
) -> Any:
    """The JSON value of some bytes; `name` is what a message calls them.

    Raises:
      UntrustedError: no JSON, nested too deeply, or another shape than the schema's.
    """
    if not content.strip():
        raise UntrustedError(name, "empty")
    if sum(content.count(mark) for mark in (b",", b"[", b"{")) > MOST_VALUES:
        raise UntrustedError(name, f"over {MOST_VALUES:,} values")
    try:
        value = json.loads(content)
    except RecursionError:
        raise UntrustedError(name, "nested too deeply") from None
    except ValueError as error:
        raise UntrustedError(name, f"no JSON ({error})") from None
    if rb"\ud" in content.lower():  # half of a character, which no file can hold
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except (ValueError, RecursionError):
            raise UntrustedError(name, "text that is no Unicode") from None
    level = [value]
    for _ in range(deepest):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
    if any(isinstance(one, dict | list) for one in level):
        raise UntrustedError(name, f"nested over {deepest} levels deep")
    conform(value, schema, name)
    return value


def conform(value: Any, schema: Any, name: object, where: str = "") -> None:
    """Raises UntrustedError unless a JSON value has the shape of the schema.

    A schema is a type (`float` takes whole numbers too, `int` and `float` no booleans,
    `object` anything), a range of whole numbers, None, a tuple of schemas of which one
    must hold, `[schema]` for a list, `[schema, schema, ...]` for one of that length,
    `{str: schema}` for a mapping with any keys, or `{"key": schema, ...}`, where a key
    that ends in "?" may be absent and others than those named may be there.
    """
    if isinstance(schema, tuple):
        for one in schema[:-1]:
            try:
                return conform(value, one, name, where)
            except UntrustedError:
                pass
        return conform(value, schema[-1], name, where)
    if isinstance(schema, list):
        _require(value, list, name, where)
        if len(schema) not in (1, len(value)):
            raise UntrustedError(name, f"{where or 'the list'} has {len(value)} values")
        for index, one in enumerate(value):
            conform(one, schema[index % len(schema)], name, f"{where}[{index}]")
    elif isinstance(schema, Mapping):
        _require(value, dict, name, where)
        for key, one in schema.items():
            if key is str:
                for name_, held in value.items():
                    conform(held, one, name, f"{where}[{name_[:40]!r}]")
            elif (plain := key.removesuffix("?")) in value:
                conform(value[plain], one, name, f"{where}.{plain}".lstrip("."))
            elif plain == key:
                raise UntrustedError(name, f"{where or 'the object'} lacks {key!r}")
    elif isinstance(schema, range):
        _require(value, int, name, where)
        if value not in schema:
            raise UntrustedError(name, f"{where or 'the value'} is out of range")
    else:
        _require(value, type(None) if schema is None else schema, name, where)
    return None


def _require(value: Any, kind: type, name: object, where: str) -> None:
    kinds = (int, float) if kind is float else kind
    if not isinstance(value, kinds) or (
        isinstance(value, bool) and kind in (int, float)
    ):
        found, wanted = type(value).__name__, kind.__name__
        raise UntrustedError(name, f"{where or 'the value'} is {found}, not {wanted}")
    if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
        raise UntrustedError(name, f"{where or 'the value'} is out of range")


def inflate(content: bytes, name: object, most: int = MOST_BYTES) -> bytes:
    """What zlib-compressed bytes hold, at most `most` bytes of it.

    Raises:
      UntrustedError: damaged, cut short, or more than that.
    """
    stream = zlib.decompressobj()
    try:
        held = stream.decompress(content, most + 1)
    except zlib.error as error:
        raise UntrustedError(name, f"damaged ({error})") from None
    if len(held) > most:
        raise UntrustedError(name, f"inflates to over {most:,} bytes")
    if not stream.eof:
        raise UntrustedError(name, "damaged (compressed data end early)")
    return held


def inflate_array(
    content: bytes, kind: np.dtype, shape: Sequence[int], name: object
) -> np.ndarray:
    """The array of that type and shape whose bytes were compressed by zlib.

    Raises:
      UntrustedError: damaged, or not exactly that many bytes.
    """
    size = array_bytes(kind, shape, name)
    held = inflate(content, name, size)
    if len(held) != size:
        raise UntrustedError(name, f"{len(held):,} bytes, its shape takes {size:,}")
    return np.frombuffer(held, kind).reshape(shape)


def array_bytes(kind: np.dtype, shape: Sequence[int], name: object) -> int:
    """How many bytes an array has; UntrustedError where it is no plain, small one."""
    if kind.kind not in "fiub" or kind.itemsize > 8:
        raise UntrustedError(name, f"an array of {kind}")
    if len(shape) > 8 or any(not 0 <= side < _LARGEST for side in shape):
        raise UntrustedError(name, f"no shape of an array: {str(list(shape))[:80]}")
    size = kind.itemsize * math.prod(shape)
    if size > MOST_ARRAY or math.prod(filter(None, shape)) > MOST_ARRAY:
        raise UntrustedError(name, f"an array of over {MOST_ARRAY:,} bytes")
    return size


def read_npz(content: bytes, name: object) -> dict[str, np.ndarray]:
    """The arrays of an uncompressed .npz.

    Raises:
      UntrustedError: damaged, compressed, or an array of another type.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if any(one.compress_type != zipfile.ZIP_STORED for one in members):
                raise UntrustedError(name, "compressed arrays")
            if sum(one.file_size for one in members) > len(content):
                raise UntrustedError(name, "arrays that overlap")
            return {
                one.filename.removesuffix(".npy"): _array(archive.read(one), name)
                for one in members
            }
    except UntrustedError:
        raise
    # What zipfile and numpy's parser of headers meet in damaged bytes.
    except Exception as error:
        raise UntrustedError(name, f"damaged ({error})") from None


def read_zip(content: bytes, name: object, most: int = MOST_BYTES) -> dict[str, bytes]:
    """The members of a zip file, of at most `most` bytes together.

    Raises:
      UntrustedError: damaged, encrypted, or more than that.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = archive.infolist()
            if sum(one.file_size for one in members) > most:
                raise UntrustedError(name, f"holds over {most:,} bytes")
            return {one.filename: archive.read(one) for one in members}
    except UntrustedError:
        raise
    except Exception as error:  # what zipfile meets in damaged bytes
        raise UntrustedError(name, f"damaged ({error})") from None


def _array(content: bytes, name: object) -> np.ndarray:
    file = io.BytesIO(content)
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, fortran, kind = read(file)
    start = file.tell()
    if kind.kind == "U" and shape == ():  # a text
        return np.frombuffer(content, kind, 1, start).reshape(())
    if len(content) - start != array_bytes(kind, shape, name):
        raise UntrustedError(name, f"{len(content) - start:,} bytes for {shape}")
    flat = np.frombuffer(content, kind, offset=start)
    return flat.reshape(shape, order="F" if fortran else "C")


def gunzip_bytes(content: bytes, name: object) -> bytes:
    """What gzipped bytes hold, at most MOST_BYTES of it; UntrustedError as above."""
    held = bytearray()
    for chunk in gunzip(io.BytesIO(content), name):
        held += chunk
        if len(held) > MOST_BYTES:
            raise UntrustedError(name, f"inflates to over {MOST_BYTES:,} bytes")
    return bytes(held)


def gunzip(file: BinaryIO, name: object) -> Iterator[bytes]:
    """The content of a gzip file in chunks of a megabyte, whatever it promises.

    Members may follow each other; bytes behind them that begin none are ignored, as
    gzip itself does. A sum that does not fit the content is an error at the end of it.

    Raises:
      UntrustedError: damaged or cut short.
    """
    pending, members = b"", 0
    while True:
        if len(pending) < len(_MAGIC):
            pending += file.read(_CHUNK)
        if not pending.startswith(_MAGIC) and members:
            return
        stream = zlib.decompressobj(_GZIP)
        while not stream.eof:
            try:
                chunk = stream.decompress(pending, _CHUNK)
            except zlib.error as error:
                raise UntrustedError(name, f"damaged gzip file ({error})") from None
            pending = stream.unconsumed_tail
            if chunk:
                yield chunk
            elif not stream.eof and not pending:
                pending = file.read(_CHUNK)
                if not pending:
                    raise UntrustedError(name, "damaged gzip file (it ends early)")
        pending, members = stream.unused_data, members + 1
