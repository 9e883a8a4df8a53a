"""tensorflow-datasets by name: prepared once, decoded once, TensorFlow never loaded."""

import dataclasses
import io
import os
import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lossjax.suite.cli.errors import DataError
from lossjax.suite.data.cache import cached, file_sha256
from lossjax.suite.data.dataset import (
    Content,
    Options,
    Split,
    plan_splits,
    refuse_above_memory,
)
from lossjax.suite.data.fitting import fit_images, fit_picture
from lossjax.suite.data.folders import expanded
from lossjax.suite.data.progress import progress
from lossjax.suite.data.tfds_sets import OWN, UPSTREAM, TfdsSet, tfds_sets
from lossjax.suite.store.untrusted import UntrustedError, conform, read_json

_CONFIG = re.compile(r"\w[\w.+-]{0,99}").fullmatch  # no path, and no path too long
_BLOCK = 512  # records read at a time
_INFO = {
    "name": str,
    "version": str,
    "splits": [{"name": str, "shardLengths?": [(str, int)], "filepathTemplate?": str}],
}
_FEATURES = "tensorflow_datasets.core.features."


def data_dir() -> Path:
    """Where prepared sets lie, as tensorflow-datasets itself has it."""
    place = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return expanded(place, "TFDS_DATA_DIR=")


def known_set(name: str) -> TfdsSet | None:
    """The set of that name, `emnist` or `emnist/letters`; None where there is none."""
    base, slash, config = name.partition("/")
    known = tfds_sets().get(base)
    if known is None or (slash and (known.config is None or not _CONFIG(config))):
        return None
    return dataclasses.replace(known, config=config) if slash else known


def prepared_folder(known: TfdsSet) -> Path:
    """Where that set lies once it is prepared."""
    config = [known.config] if known.config else []
    return data_dir().joinpath(known.name, *config, known.version)


def check_tfds(name: str) -> Path:
    """The folder of a prepared set, or DataError with the command that prepares it."""
    known = known_set(name)
    if known is None:
        raise DataError(f"unknown dataset {name!r}")
    folder = prepared_folder(known)
    try:
        info = read_json(folder / "dataset_info.json", {"fileFormat?": str})
        written = info.get("fileFormat", "tfrecord")
        if written != "array_record":
            raise DataError(
                f"{name} is prepared as {written[:40]}, which needs TensorFlow: set "
                f"TFDS_DATA_DIR to another folder, then {remedy(name)}"
            )
        conform(info, _INFO, folder)
    except FileNotFoundError:
        other = _other_versions(folder)
        raise DataError(
            f"{name} is not prepared in {data_dir()}{other}: {remedy(name)}"
        ) from None
    except UntrustedError as error:
        raise DamagedError(name, folder, str(error.reason)) from None
    for key, expected in (("name", known.name), ("version", known.version)):
        if info[key] != expected:
            raise DamagedError(
                name, folder, f"its {key} is {info[key][:80]!r}, not {expected!r}"
            )
    if any("/" in split.get("filepathTemplate", "") for split in info["splits"]):
        raise DamagedError(name, folder, "it names files of another folder")
    return folder


def _refuse_strange(name: str, folder: Path) -> None:
    """Raises DamagedError for what tensorflow-datasets would trust in that folder.

    It waits for a pipe's content for ever, and imports whichever module the list of
    features names.
    """
    try:
        for path in folder.iterdir():
            if not (path.is_file() or path.is_dir()):
                raise DamagedError(name, folder, "no regular file", path.name)
        features = [read_json(folder / "features.json", dict)]
    except FileNotFoundError:
        raise DamagedError(name, folder, "missing", "features.json") from None
    except (UntrustedError, OSError) as error:
        reason = getattr(error, "reason", "cannot be read")
        raise DamagedError(name, folder, reason, "features.json") from None
    while features:
        one = features.pop()
        features += [child for child in one.values() if isinstance(child, dict)]
        for key in ("pythonClassName", "type"):
            kind = one.get(key, _FEATURES)
            if isinstance(kind, str) and not kind.startswith(_FEATURES):
                reason = f"{kind[:80]!r} is no feature"
                raise DamagedError(name, folder, reason, "features.json")


class DamagedError(DataError):
    """A prepared set whose files are not what was written."""

    def __init__(
        self, name: str, folder: Path, reason: str, file: str = "dataset_info.json"
    ) -> None:
        super().__init__(
            f"{name} in {folder} is damaged ({file}: {reason}): delete that folder and "
            f"{remedy(name)}"
        )


def _other_versions(folder: Path) -> str:
    """Which other versions of a set lie beside the folder of the one that is read."""
    places = folder.parent.glob("*/dataset_info.json")
    found = sorted(place.parent.name for place in places)
    if not found:
        return ""
    return f" as {folder.name} ({', '.join(found[:4])} lies there, which is not read)"


def tfds_content(name: str, options: Options) -> Content:
    """The images of a prepared set, from the cache of decoded images or decoded now.

    Raises:
      DataError: not prepared, damaged, or larger than this machine's memory.
    """
    folder = check_tfds(name)
    known = known_set(name)
    assert known is not None  # check_tfds refused it otherwise
    _refuse_strange(name, folder)
    files = sorted(path for path in folder.iterdir() if path.is_file())
    key = {
        "set": dataclasses.astuple(known),
        "files": [(path.name, file_sha256(path)) for path in files],
        "options": [options.image_size, options.channels, options.max_examples],
    }
    return cached("tfds", key, lambda: _decode(name, known, folder, options))


def state(name: str) -> str:
    """ready, preparable here, needs network, or needs TensorFlow; for `data list`."""
    known = known_set(name)
    try:
        check_tfds(name)
        return "ready"
    except DamagedError:
        return "damaged"
    except DataError:
        if known is None or not known.preparable:
            return "needs TensorFlow once"
        layout = UPSTREAM.get(known.name)
        return f"needs network, {layout.megabytes} MB" if layout else "preparable here"


def remedy(name: str) -> str:
    """The command that prepares a set, or what it takes instead."""
    base = name.partition("/")[0]
    if base in UPSTREAM:
        return (
            f"run ./run.sh data prepare {name} "
            f"(network, {UPSTREAM[base].megabytes} MB; offline with --manual_dir=DIR)"
        )
    if base in OWN:
        return f"run ./run.sh data prepare {name}"
    return (
        f"its builder needs TensorFlow once; where that is installed run tfds build "
        f"{name} --file_format=array_record, and set TFDS_DATA_DIR to its folder"
    )


def _decode(name: str, known: TfdsSet, folder: Path, options: Options) -> Content:
    import tensorflow_datasets as tfds

    damaged = f"{name} in {folder} is damaged"
    mend = f"delete that folder and {remedy(name)}"
    try:
        builder = tfds.builder_from_directory(folder)
        counts = {key: one.num_examples for key, one in builder.info.splits.items()}
        skip = {known.image: tfds.decode.SkipDecoding()}
        sources = {k: builder.as_data_source(k, decoders=skip) for k in counts}
        lengths = {
            k: _records_in(one.filepaths) for k, one in builder.info.splits.items()
        }
    except Exception as error:  # whatever its parsers meet in a damaged file
        raise DataError(f"{damaged} ({error}): {mend}") from error
    for key, count in counts.items():
        if lengths[key] != count:
            raise DataError(
                f"{damaged}: {lengths[key]:,} of {count:,} records of {key!r}: {mend}"
            )
    found = {k: n for k, n in counts.items() if k in ("train", "validation", "test")}
    if "train" not in found:
        raise DataError(f"{name} has no training split, only {', '.join(counts)}")
    plan = plan_splits(found, options.max_examples)
    shape = shape_of(name, known, options)
    count = sum(len(index) for _, index in plan.values())
    refuse_above_memory(name, count, shape)
    splits = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for key, (source, index) in plan.items():
            try:
                splits[key] = _split(
                    pool, sources[source], index, known, shape, f"decoding {name} {key}"
                )
            except Exception as error:
                raise DataError(f"{damaged} ({error}): {mend}") from error
    return Content(splits, f"{name} {known.version} of tensorflow-datasets")


def _records_in(paths: list[Path]) -> int:
    """Records that the files really hold; a data source believes the metadata."""
    from array_record.python.array_record_module import ArrayRecordReader

    total = 0
    for path in paths:
        reader = ArrayRecordReader(str(path))
        total += reader.num_records()
        reader.close()
    return total


def shape_of(name: str, known: TfdsSet, options: Options) -> tuple[int, int, int]:
    """(height, width, channels) that the images of a set are fitted to."""
    height, width, channels = known.shape
    if options.image_size is not None:
        height = width = options.image_size
    if height is None or width is None:
        raise DataError(f"{name}: images differ in size; give image_size")
    return height, width, options.channels or channels


def _split(
    pool: ThreadPoolExecutor,
    source: Any,
    index: np.ndarray,
    known: TfdsSet,
    shape: tuple[int, int, int],
    words: str,
) -> Split:
    layout = UPSTREAM.get(known.name)
    images = np.empty((len(index), *shape), np.uint8)
    labels = np.empty(len(index), np.int32)

    def read(start: int) -> int:
        block = index[start : start + _BLOCK]
        for place, record in enumerate(_records(source, block), start):
            images[place] = _image(record[known.image], shape)
            if known.label is not None:
                labels[place] = record[known.label]
        return start

    starts = range(0, len(index), _BLOCK)
    for _ in progress(pool.map(read, starts), len(starts), words):
        pass
    if layout is not None and layout.transpose:
        images = np.ascontiguousarray(images.swapaxes(1, 2))
    if layout is not None and layout.levels != 1:
        images *= np.uint8(layout.levels)
    return Split(images, labels if known.label is not None else None)


def _records(source: Any, block: np.ndarray) -> Iterator[Mapping[str, Any]]:
    yield from source.__getitems__(block.tolist())


def _image(encoded: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    height, width, channels = shape
    with Image.open(io.BytesIO(encoded)) as stored:
        fits = stored.size == (width, height)
        picture = stored if fits else fit_picture(stored.convert("RGB"), height)
        pixels = np.atleast_3d(np.asarray(picture))
    return fit_images(pixels[None], None, channels)[0]
