"""The table of datasets, and the two ways in: `load` and `check`."""

import dataclasses
import os
import types
from collections.abc import Callable, Mapping
from pathlib import Path

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.arrays import arrays_file, check_arrays_file
from lossjax.suite.data.dataset import (
    Content,
    Dataset,
    Options,
    Split,
    make_dataset,
    three_splits,
)
from lossjax.suite.data.dials import Dial, read_dials
from lossjax.suite.data.digits import digits
from lossjax.suite.data.fitting import fit_images
from lossjax.suite.data.folders import expanded
from lossjax.suite.data.idx import check_idx_folder, idx_folder
from lossjax.suite.data.image_folder import check_images_folder, images_folder
from lossjax.suite.data.made import MADE_SETS
from lossjax.suite.data.made.made_folder import check_made, made_content, made_state
from lossjax.suite.data.made.made_set import MadeSet
from lossjax.suite.data.patches import patches
from lossjax.suite.data.procedural import (
    DECODER_DIALS,
    TEXTURE_DIALS,
    linear_decoder,
    textures,
)
from lossjax.suite.data.tfds import check_tfds, known_set, state, tfds_content
from lossjax.suite.data.tfds_sets import OWN, UPSTREAM, tfds_sets
from lossjax.syntax import family, nearest


@dataclasses.dataclass(frozen=True)
class Source:
    """One row of DATASETS: a named set, or a prefix that takes a folder.

    `content` takes what follows the prefix, or stands in the parentheses, and the
    options; `check` raises DataError cheaply when the data is not there. `shape` and
    `sizes` are words for a reader. `fitted`: the source obeys image_size and channels
    itself.
    """

    name: str
    content: Callable[[str, Options], Content]
    description: str
    shape: str
    sizes: str
    check: Callable[[str], object] = lambda argument: None
    folder: str = ""
    dials: Mapping[str, Dial] | None = None
    fitted: bool = False
    state: Callable[[], str] = lambda: "ready"

    @property
    def usage(self) -> str:
        """What a user types: `digits`, `idx:DIR` or `textures(binary=0.0, ...)`."""
        if self.dials:
            first, dial = next(iter(self.dials.items()))
            return f"{self.name}({first}={dial.default}, ...)"
        return self.name + self.folder


def _tfds(name: str) -> Source:
    """The row of a tensorflow-datasets image set."""
    known = known_set(name)
    assert known is not None
    layout = UPSTREAM.get(known.name)
    return Source(
        name,
        lambda argument, options: tfds_content(name, options),
        f"tensorflow-datasets {known.version}",
        shape="x".join("?" if side is None else str(side) for side in known.shape),
        sizes=layout.sizes if layout else "",
        check=lambda argument: check_tfds(name),
        state=lambda: state(name),
        fitted=True,
    )


def _made(made_set: MadeSet) -> Source:
    """The row of a set that is made from public packages."""
    return Source(
        made_set.name,
        lambda argument, options: made_content(made_set),
        f"{made_set.description}; {made_set.licence}",
        shape=made_set.shape,
        sizes=made_set.sizes,
        check=lambda argument: check_made(made_set),
        state=lambda: made_state(made_set),
    )


DATASETS: Mapping[str, Source] = types.MappingProxyType(
    {
        "digits": Source(
            "digits",
            lambda argument, options: digits(),
            "handwritten digits, shipped with scikit-learn",
            shape="8x8x1",
            sizes="1,197 / 300 / 300",
        ),
        "patches": Source(
            "patches",
            patches,
            "natural-image patches of scikit-learn's two photographs",
            shape="16x16x3, or image_size up to 64",
            sizes="4,576 / 1,456 / 1,456",
            fitted=True,
        ),
        "textures": Source(
            "textures",
            textures,
            "random textures: share of binary pixels, grey levels, spectrum, noise",
            shape="8x8x1, or image_size",
            sizes="2,000 / 500 / 500, or count",
            check=lambda text: read_dials("textures", text, TEXTURE_DIALS),
            dials=TEXTURE_DIALS,
            fitted=True,
        ),
        "linear_decoder": Source(
            "linear_decoder",
            linear_decoder,
            "images that a linear decoder can draw exactly, with planted noise",
            shape="8x8x1, or image_size",
            sizes="2,000 / 500 / 500, or count",
            check=lambda text: read_dials("linear_decoder", text, DECODER_DIALS),
            dials=DECODER_DIALS,
            fitted=True,
        ),
        "idx:": Source(
            "idx:",
            lambda folder, options: idx_folder(folder),
            "a folder of IDX files (MNIST and relatives), gzipped or not",
            shape="any, 1 or 3 channels",
            sizes="5,000 of the training images become validation",
            check=check_idx_folder,
            state=lambda: "your folder",
            folder="DIR",
        ),
        "images:": Source(
            "images:",
            images_folder,
            "your own pictures (png, jpeg, webp, gif, bmp, tiff, pnm) by sub-folder",
            shape="32x32x3, or image_size and channels",
            sizes="2/3, 1/6, 1/6 by content, or train, val, test folders; crops",
            check=check_images_folder,
            state=lambda: "your folder",
            folder="DIR",
            fitted=True,
        ),
        "arrays:": Source(
            "arrays:",
            arrays_file,
            "your own array (npy, npz, h5), n x h x w [x channels], labels, mask",
            shape="any, any number of channels",
            sizes="2/3, 1/6, 1/6, or 5,000 each held out",
            check=check_arrays_file,
            state=lambda: "your file",
            folder="FILE[:KEY]",
        ),
        **{name: _made(made_set) for name, made_set in MADE_SETS.items()},
        **{name: _tfds(name) for name in (*UPSTREAM, *OWN)},
    }
)


def load(
    name: str,
    *,
    image_size: int | None = None,
    channels: int | None = None,
    max_examples: int | None = None,
    group_by: str | None = None,
    value_range: tuple[float, float] | None = None,
    crops: int | None = None,
) -> Dataset:
    """The dataset of that name, its images fitted to `image_size` and `channels`.

    Args:
      name: a name, prefix or call that DATASETS lists.
      image_size: pixels per side, 4 to 1024; None keeps the images as they come.
      channels: 1 or 3; None keeps them.
      max_examples: at most that many images, every split in proportion.
      group_by: "parent" keeps the pictures of one folder of `images:` in one split.
      value_range: the levels that are black and white, of `arrays:` and of pictures of
        `images:` that have more than 8 bits; None takes the whole range of a picture's
        type, and of floating-point arrays [0, 1].
      crops: squares of `image_size` that a picture of `images:` gives at most, as they
        are; None makes all of it one.

    Raises:
      DataError: the name is unknown, or the data absent or damaged; one line.
    """
    options = Options(image_size, channels, max_examples, group_by, value_range, crops)
    source, argument = find(name)
    if crops is not None and source.name != "images:":
        raise DataError(f"crops={crops}: {name} is cut already; only images:DIR is not")
    content = source.content(argument, options)
    splits = content.splits
    if not source.fitted:
        splits = {
            key: Split(fit_images(split.images, image_size, channels), split.labels)
            for key, split in splits.items()
        }
    splits = three_splits(splits, max_examples)
    description = content.description or source.description
    return make_dataset(
        name, dataclasses.replace(content, splits=splits, description=description)
    )


def check(name: str) -> None:
    """Raises DataError, in milliseconds, when `name` is unknown or its data absent."""
    source, argument = find(name)
    source.check(argument)


def canonical(name: str) -> str:
    """The one spelling of a name: ~ expanded, no slash at the end of a folder.

    Raises:
      DataError: the name is unknown, or no system takes its folder as a path.
    """
    source, argument = find(name)
    return source.name + argument if source.folder else name


def find(name: str) -> tuple[Source, str]:
    """The row of a name and its argument: a folder, or what the parentheses hold."""
    word, arguments = family(name), name.partition("(")[2]
    if word in DATASETS and DATASETS[word].dials and name.endswith(")"):
        return DATASETS[word], arguments[:-1]
    prefix, colon, folder = name.partition(":")
    source = DATASETS.get(prefix + colon)
    if source is not None and source.folder and not folder:
        raise DataError(
            f"dataset {name!r} names no folder or file; valid: {source.usage}"
        )
    if source is not None and source.folder:
        return source, str(expanded(folder, prefix + colon))
    if source is not None and not colon:
        return source, ""
    if known_set(name) is not None:
        return _tfds(name), ""
    known = ", ".join(row.usage for row in DATASETS.values())
    if (folder_named := _folder_named(name)) is not None:
        raise DataError(
            f"unknown dataset {name[:80]!r}: a folder of pictures is written "
            f"images:{folder_named}, one of IDX files idx:{folder_named}"
        )
    near = nearest(word if arguments else prefix + colon, [*DATASETS, *tfds_sets()])
    row = DATASETS.get(near) if near else None
    hint = f"; did you mean {row.usage if row else near}?" if near else ""
    raise DataError(f"unknown dataset {name[:80]!r}; valid: {known}{hint}")


def _folder_named(name: str) -> Path | None:
    """The folder at a name that does not say what lies there."""
    try:
        folder = expanded(name, "")
    except DataError:
        return None
    return folder if name and os.path.isdir(folder) else None
