"""The table of datasets, and the two ways in: `load` and `check`."""

import dataclasses
import difflib
import types
from collections.abc import Callable, Mapping

from experiments.data.dataset import DataError, Dataset, Split, fit_images, make_dataset
from experiments.data.digits import digits
from experiments.data.idx import check_idx_folder, idx_folder


@dataclasses.dataclass(frozen=True)
class Source:
    """One row of DATASETS: a named set, or a prefix that takes an argument.

    `splits` takes what follows the prefix ("" for a named set) and returns the three
    splits; `check` raises DataError cheaply when the data is not there.
    """

    name: str
    splits: Callable[[str], Mapping[str, Split]]
    description: str
    check: Callable[[str], None] = lambda argument: None
    argument: str = ""

    @property
    def usage(self) -> str:
        """What a user types, e.g. `digits` or `idx:DIR`."""
        return self.name + self.argument


DATASETS: Mapping[str, Source] = types.MappingProxyType(
    {
        "digits": Source(
            "digits",
            lambda _: digits(),
            "1,797 handwritten digits, 8x8 grey, shipped with scikit-learn",
        ),
        "idx:": Source(
            "idx:",
            idx_folder,
            "a folder of IDX files (MNIST and relatives), gzipped or not",
            check=check_idx_folder,
            argument="DIR",
        ),
    }
)


def load(
    name: str, *, image_size: int | None = None, channels: int | None = None
) -> Dataset:
    """The dataset of that name, its images fitted to `image_size` and `channels`.

    Raises:
      DataError: the name is unknown, or the data absent or damaged; one line.
    """
    source, argument = _find(name)
    splits = {
        key: Split(fit_images(split.images, image_size, channels), split.labels)
        for key, split in source.splits(argument).items()
    }
    return make_dataset(name, splits, source.description)


def check(name: str) -> None:
    """Raises DataError, in milliseconds, when `name` is unknown or its data absent."""
    source, argument = _find(name)
    source.check(argument)


def _find(name: str) -> tuple[Source, str]:
    prefix, colon, argument = name.partition(":")
    source = DATASETS.get(prefix + colon)
    if source is not None and source.argument and not argument:
        raise DataError(f"dataset {name!r} names no {source.argument}: {source.usage}")
    if source is not None and bool(colon) == bool(source.argument):
        return source, argument
    known = ", ".join(row.usage for row in DATASETS.values())
    near = difflib.get_close_matches(prefix + colon, DATASETS, n=1)
    hint = f"; did you mean {DATASETS[near[0]].usage}?" if near else ""
    raise DataError(f"unknown dataset {name!r}; valid: {known}{hint}")
