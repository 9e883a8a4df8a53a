"""Preparing tensorflow-datasets without TensorFlow, online or from files by hand."""

import contextlib
import hashlib
import importlib
import tarfile
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.folders import expanded
from lossjax.suite.data.tfds import (
    check_tfds,
    data_dir,
    known_set,
    prepared_folder,
    remedy,
)
from lossjax.suite.data.tfds_sets import OWN, UPSTREAM, Upstream

_PATIENCE_S = 10


def prepare_tfds(name: str, manual_dir: str | None = None) -> Path:
    """Writes a set as array_record files through its real builder class.

    Downloads are kept, so that a second call resumes after the last whole file; the
    set appears in one piece or not at all. Without network, `manual_dir` holds the
    files under their upstream names; their checksums are verified.

    Returns:
      The folder of the prepared set; at once where it is there already.

    Raises:
      DataError: unknown, a file missing or wrong, no network, or TensorFlow needed.
    """
    known = known_set(name)
    if known is None:
        raise DataError(f"unknown dataset {name!r}")
    folder = prepared_folder(known)
    if (folder / "dataset_info.json").exists():
        return check_tfds(name)
    import tensorflow_datasets as tfds

    if not known.preparable:
        raise DataError(f"{name}: {remedy(name)}")
    layout = UPSTREAM.get(known.name)
    if known.name in OWN:
        importlib.import_module(OWN[known.name])
    real = tfds.builder_cls(known.name)
    if known.config and known.config not in real.builder_configs:
        raise DataError(
            f"{name}: valid are "
            + ", ".join(f"{known.name}/{one}" for one in real.builder_configs)
        )
    if layout is not None and manual_dir is not None:
        check_files(name, expanded(manual_dir, "--manual_dir="), layout, real.url_infos)
    settings = tfds.download.DownloadConfig(
        manual_dir=manual_dir,
        try_download_gcs=False,
        force_checksums_validation=True,
    )
    if manual_dir is None:
        check_network(name, layout, real.url_infos or {})
    with _one_line(name, folder):
        builder = (without_tensorflow(real, layout) if layout else real)(
            data_dir=data_dir(), config=known.config, file_format="array_record"
        )
        builder.download_and_prepare(download_config=settings)
    return folder


def without_tensorflow(real: Any, layout: Upstream) -> Any:
    """The real builder class, its files read by `layout`; features stay its own."""

    def split_generators(self: Any, manager: Any) -> dict[str, Any]:
        urls = {info.filename: url for url, info in self.url_infos.items()}
        files = manager.download({name: urls[name] for name in layout.files})
        return layout.examples(self, {name: Path(files[name]) for name in files})

    def body(namespace: dict[str, Any]) -> None:
        namespace |= {
            "name": real.name,
            "url_infos": real.url_infos,
            "__module__": real.__module__,
            "_split_generators": split_generators,
            "_generate_examples": lambda self: iter(()),
        }

    return types.new_class(real.__name__, (real,), {"skip_registration": True}, body)


def check_files(name: str, folder: Path, layout: Upstream, url_infos: Any) -> None:
    """Refuses a manual_dir in which a file is missing, short or another one."""
    expected = {info.filename: info for info in url_infos.values()}
    if not folder.is_dir():
        raise DataError(f"--manual_dir={str(folder)!r} is not a folder")
    for file in layout.files:
        path, info = folder / file, expected[file]
        if not path.is_file():
            raise DataError(
                f"{name}: {file} is missing from {str(folder)!r}; place there "
                f"{', '.join(layout.files)}"
            )
        size = path.stat().st_size
        if size != int(info.size):
            raise DataError(
                f"{path}: {size:,} bytes, valid is {int(info.size):,}: copy it again"
            )
        with open(path, "rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != info.checksum:
            raise DataError(
                f"{path}: sha256 {found}, valid is {info.checksum}: another file"
            )


def check_network(name: str, layout: Upstream | None, url_infos: Any) -> None:
    """Asks the first upstream host once; TFDS itself would retry for many minutes."""
    import requests

    files = layout.files if layout else ()
    urls = [url for url, info in url_infos.items() if info.filename in files]
    try:
        for url in urls[:1]:
            requests.head(url, timeout=_PATIENCE_S, allow_redirects=True)
    except requests.exceptions.RequestException as error:
        raise DataError(
            f"{name}: no network to {urls[0]}; place {', '.join(files)} in a folder "
            f"and run ./run.sh data prepare {name} --manual_dir=DIR"
        ) from error


@contextlib.contextmanager
def _one_line(name: str, folder: Path) -> Iterator[None]:
    """What may go wrong inside tensorflow-datasets, as one line that mends it."""
    import requests

    try:
        yield
    except requests.exceptions.RequestException as error:
        raise DataError(
            f"{name}: the download broke off ({type(error).__name__}); run "
            f"./run.sh data prepare {name} again, whole files are kept"
        ) from error
    except (OSError, ValueError, KeyError, AssertionError, tarfile.TarError) as error:
        raise DataError(f"{name}: cannot be prepared in {folder} ({error})") from error
