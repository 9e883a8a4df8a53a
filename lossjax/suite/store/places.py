"""Where results lie: a directory, or a prefix of an object store (gs://, s3://).

A directory is a `pathlib.Path`. A remote place is a path of universal_pathlib that
answers the same questions. There a file is committed by one put of the whole object, so
nobody ever reads half of one; nothing is renamed, and no listing is remembered.
"""

import contextlib
import importlib.util
import logging
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from lossjax.suite.cli.errors import UserError, unknown
from lossjax.suite.store.untrusted import MOST_BYTES, read_bytes

# Which package speaks to which store.
CLIENTS: Mapping[str, str] = {"gs": "gcsfs", "s3": "s3fs"}
PROBE = "writable"  # kind of the object by which permissions are tried
_PATIENCE = 15.0  # seconds for the first answer; clients try far longer by themselves


def check_unicode(field: str, text: str) -> None:
    """UserError where a path holds bytes that are no UTF-8: no file could name it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UserError(
            f"{field}={text}: holds a byte that is not UTF-8; name or link the folder "
            "in UTF-8"
        ) from None


def check_text(text: str) -> str:
    """The store that --out names, empty for a directory; needs no client.

    Raises:
      UserError: a store that is not known, or no bucket.
    """
    check_unicode("--out", text)
    if "\0" in text:
        raise UserError(f"--out={text}: a path cannot hold a NUL character")
    scheme, mark, rest = text.partition("://")
    if not mark:
        if (scheme := text.partition(":")[0]) in CLIENTS and ":" in text:
            raise UserError(f"--out={text}: a store is written {scheme}://BUCKET")
        return ""
    if scheme not in CLIENTS:
        known = [f"{name}://" for name in CLIENTS]
        raise unknown(f"store in --out={text}:", f"{scheme}://", known)
    if not rest.strip("/"):
        raise UserError(f"--out={text}: names no bucket; for example {scheme}://BUCKET")
    return scheme


def parse(text: str) -> Path:
    """The path that --out names.

    Raises:
      UserError: a store that is not known, no bucket, or its client is not installed.
    """
    scheme = check_text(text)
    if not scheme:
        return Path(text)
    client = CLIENTS[scheme]
    for package in (client, "upath"):
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f"--out={text}: needs the package {client}; "
                f"LOSSJAX_EXTRA=store ./run.sh ... installs it"
            )
    from upath import UPath

    # What goes wrong comes as an exception; the log would repeat it as a traceback.
    logging.getLogger(client).setLevel(logging.CRITICAL)

    # A listing that is remembered hides what other shards have stored meanwhile.
    return cast(Path, UPath(text.rstrip("/"), use_listings_cache=False))


def local(text: str) -> Path:
    """A directory on this machine; a store is what `launch fetch` reads."""
    if "://" in text:
        raise UserError(
            f"--out={text}: is an object store; ./run.sh launch fetch --out={text} "
            f"--to=DIR brings its runs to a directory"
        )
    return Path(text)


def is_remote(path: Path) -> bool:
    """Whether the path lies in an object store."""
    return not isinstance(path, Path)


def check(path: Path, *, writing: bool) -> None:
    """UserError, in one line, where a store cannot be read, or written if `writing`.

    A tiny object is put and removed again: permissions cannot be asked for otherwise.
    """
    probe = path / f".{PROBE}.{uuid.uuid4().hex}"
    try:
        if writing:
            _first(probe, "pipe_file", b"")
            remove(probe)
        else:
            with contextlib.suppress(FileNotFoundError):
                _first(probe, "cat_file")
    except FileNotFoundError:
        bucket = _key(path).split("/", 1)[0]
        raise UserError(f"--out={path}: there is no bucket {bucket!r}") from None
    except OSError as error:
        raise UserError(f"--out={path}: cannot be used: {error}") from None


def _first(path: Path, method: str, *values: object) -> None:
    """The first request to a store, with a time limit."""
    from fsspec.exceptions import FSTimeoutError

    with _named(path):
        try:
            # Any method of a client that waits for the network takes `timeout`.
            getattr(_fs(path), method)(_key(path), *values, timeout=_PATIENCE)
        except FSTimeoutError:
            raise OSError(
                f"no answer in {_PATIENCE:.0f} s: no network, or no credentials"
            ) from None


def put(path: Path, content: bytes) -> None:
    """Commit one object, whole."""
    with _named(path):
        _fs(path).pipe_file(_key(path), content)


def read(path: Path, most: int = MOST_BYTES) -> bytes:
    """The content of a file, wherever it is.

    Raises:
      FileNotFoundError: nothing is there.
      UntrustedError: on this machine: it cannot be read, or is larger than `most`.
    """
    if not is_remote(path):
        return read_bytes(path, most)
    with _named(path):
        return cast(bytes, _fs(path).cat_file(_key(path)))


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    if not is_remote(path):
        path.unlink(missing_ok=True)
        return
    with contextlib.suppress(FileNotFoundError), _named(path):
        _fs(path).rm_file(_key(path))


def names(path: Path) -> set[str]:
    """What a directory or prefix holds, one level deep; nothing where there is none."""
    try:
        if not is_remote(path):
            return set(os.listdir(path))
        with _named(path):
            keys = _fs(path).ls(_key(path), detail=False, refresh=True)
    except FileNotFoundError:
        return set()
    prefix = _key(path).rstrip("/") + "/"
    inside = {key.removeprefix(prefix) for key in keys if key.startswith(prefix)}
    return {name.strip("/") for name in inside} - {""}


def keys(remote: Path, beginning: str = "") -> list[str]:
    """Every object under a prefix, by the rest of its key, which begins so."""
    prefix = _key(remote).rstrip("/") + "/"
    with _named(remote):
        found = _fs(remote).find(_key(remote), prefix=beginning)
    return [key.removeprefix(prefix) for key in found if key.startswith(prefix)]


def send(directory: Path, remote: Path, files: Iterable[str]) -> None:
    """Put these files of a directory under a remote prefix, object by object."""
    contents = {f"{_key(remote)}/{f}": (directory / f).read_bytes() for f in files}
    with _named(remote):
        _fs(remote).pipe(contents)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Any failure of a store as the OSError that a full disk would be."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:
        raise OSError(f"{_key(path)}: {_words(error)}") from error


def _words(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:300]


def _fs(path: Path) -> Any:
    return cast(Any, path).fs


def _key(path: Path) -> str:
    """The object's name as the client knows it, bucket first."""
    return cast(str, cast(Any, path).path)
