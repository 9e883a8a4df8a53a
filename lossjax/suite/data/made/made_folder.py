"""Where a made set lies, and how it gets there: IDX files, whole or not at all."""

import gzip
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.dataset import Content
from lossjax.suite.data.folders import folder_at
from lossjax.suite.data.idx import check_idx_folder, idx_bytes, idx_folder
from lossjax.suite.data.made.made_set import MadeSet, Part, digest
from lossjax.suite.data.tfds import data_dir


def made_folder(made_set: MadeSet) -> Path:
    """Beside the sets of tensorflow-datasets."""
    return data_dir() / "made" / made_set.name


def check_made(made_set: MadeSet) -> Path:
    """The folder of a made set, or DataError with what makes it."""
    folder = made_folder(made_set)
    if not folder.exists():
        raise DataError(
            f"{made_set.name} is not prepared in {data_dir()}: {_how(made_set)}"
        )
    check_idx_folder(str(folder))
    return folder


def made_state(made_set: MadeSet) -> str:
    """ready, damaged, or where it comes from; for `data list`."""
    if not made_folder(made_set).exists():
        return "made from packages"
    try:
        check_made(made_set)
    except DataError:
        return "damaged"
    return "ready"


def made_content(made_set: MadeSet) -> Content:
    """The splits of a made set."""
    return idx_folder(str(check_made(made_set)))


def make(made_set: MadeSet, source: str | None) -> tuple[Path, bool]:
    """Makes a set from the unpacked packages below `source`.

    Returns:
      Its folder, and whether its content is that of the published rows.

    Raises:
      DataError: a package's file is missing or another one, or no room; one line.
    """
    if source is None:
        raise DataError(f"{made_set.name}: {_how(made_set)}")
    parts = made_set.make(folder_at("--source=", source, "it holds unpacked packages"))
    folder = made_folder(made_set)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))
        try:
            write_parts(work, parts)
            work.chmod(0o755)
            os.rename(work, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"{made_set.name}: cannot be written to {folder} ({error.strerror})"
        ) from None
    return folder, digest(parts) == made_set.content


def write_parts(folder: Path, parts: Mapping[str, Part]) -> None:
    """Gzipped IDX files under MNIST's names, the same bytes every time."""
    for name, part in parts.items():
        for kind in ("images", "labels", "groups"):
            array = getattr(part, kind)
            if array is None:
                continue
            word = "ubyte" if array.dtype == np.uint8 else "short"
            # MNIST's name of images has a 3 whether they have colours or not.
            rank = 3 if kind == "images" else array.ndim
            file = folder / f"{name}-{kind}-idx{rank}-{word}.gz"
            file.write_bytes(gzip.compress(idx_bytes(array), 9, mtime=0))


def _how(made_set: MadeSet) -> str:
    return (
        f"unpack {made_set.packages} below a folder (dpkg-deb -x FILE DIR, or "
        "python3 -m zipfile -e FILE DIR) and run "
        f"./run.sh data prepare {made_set.name} --source=DIR"
    )
