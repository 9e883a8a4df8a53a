"""What a made set is, and its parts: images of public packages as a dataset."""

import dataclasses
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from lossjax.suite.cli.errors import DataError


@dataclasses.dataclass(frozen=True)
class Part:
    """The images of `train` or `t10k`, and what is said of each.

    Attributes:
      images: uint8 (count, height, width) or (count, height, width, 3).
      labels: uint8 (count,); None where there are none.
      groups: uint8 or int16 (count,): images of one are in one split; None for none.
    """

    images: np.ndarray
    labels: np.ndarray | None = None
    groups: np.ndarray | None = None


@dataclasses.dataclass(frozen=True)
class MadeSet:
    """One row of MADE_SETS: a set that is made from the files of public packages.

    Attributes:
      name: what a config calls it.
      packages: names and versions of what the source folder holds, unpacked.
      shape, sizes, description: words for a reader.
      licence: of the pictures, as the packages say.
      make: the parts, from the folder of the unpacked packages.
      content: sha256 (hex) of what `make` gave when the published rows were trained.
    """

    name: str
    packages: str
    shape: str
    sizes: str
    description: str
    licence: str
    make: Callable[[Path], Mapping[str, Part]]
    content: str


def digest(parts: Mapping[str, Part]) -> str:
    """sha256 (hex) of every array of the parts, in their order."""
    found = hashlib.sha256()
    for name, part in parts.items():
        for array in (part.images, part.labels, part.groups):
            if array is not None:
                found.update(f"{name} {array.shape} ".encode())
                found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def only(source: Path, ending: str) -> Path:
    """The one file below `source` whose path ends so; links to it count once.

    Raises:
      DataError: there is none, or several.
    """
    found = {path.resolve() for path in source.rglob(ending) if path.is_file()}
    if len(found) != 1:
        what = f"{len(found)} files" if found else "no file"
        raise DataError(f"--source={source}: {what} {ending!r} below it; it holds one")
    return found.pop()
