"""The verb `data`: lists datasets with their state, prepares one."""

import sys

from tabulate import tabulate

from lossjax.suite.cli.commandline import define, parse
from lossjax.suite.cli.errors import DataError, Exit, UserError, unknown
from lossjax.suite.cli.signals import run
from lossjax.suite.data.made import MADE_SETS
from lossjax.suite.data.sources import DATASETS, check, find, load
from lossjax.suite.data.tfds import data_dir, known_set
from lossjax.suite.data.tfds_sets import tfds_sets

USAGE = """
./run.sh data list [--all]
./run.sh data prepare NAME [--manual_dir=DIR | --source=DIR]

Lists the datasets with their state, or downloads, imports or makes one.

  ./run.sh data list
  ./run.sh data prepare mnist
  ./run.sh data prepare glyphs --source=DIR     of unpacked packages
"""
VERBS = ("list", "prepare")


def _list(everything: bool) -> None:
    rows = dict(DATASETS)
    others = [name for name in tfds_sets() if name not in rows]
    if everything:
        rows |= {name: find(name)[0] for name in others}
    print(
        tabulate(
            [
                (row.usage, row.shape, row.sizes, row.state(), row.description)
                for row in rows.values()
            ],
            ["name", "shape", "images", "state", "what it is"],
        )
    )
    if not everything:
        print(
            f"\n{len(others)} more image sets of tensorflow-datasets need TensorFlow "
            "once to be prepared: ./run.sh data list --all"
        )
    print(f"Prepared sets lie in {data_dir()} (TFDS_DATA_DIR).")


def _prepare(name: str, manual_dir: str | None, source: str | None) -> None:
    from lossjax.suite.data.made.made_folder import made_folder, make
    from lossjax.suite.data.tfds_prepare import prepare_tfds

    made_set = MADE_SETS.get(name)
    for field, value, valid in (
        ("manual_dir", manual_dir, known_set(name)),
        ("source", source, made_set),
    ):
        if value is not None and valid is None:
            raise UserError(f"--{field}={value}: {name} is not prepared from there")
    if known_set(name) is None and (made_set is None or made_folder(made_set).exists()):
        check(name)
        print(f"{name} is ready: nothing to prepare")
        return
    if made_set is None:
        folder = prepare_tfds(name, manual_dir)
    else:
        folder, as_published = make(made_set, source)
        if not as_published:
            print(f"note: not the images of the published rows: {name} in {folder}")
    try:
        dataset = load(name)
    except DataError as error:
        if "give image_size" not in str(error):
            raise
        print(f"{name} is prepared in {folder}; it needs image_size")
        return
    shape = "x".join(map(str, dataset.image_shape))
    sizes = " / ".join(f"{len(split):,}" for split in dataset.splits.values())
    print(f"{name} is ready: {shape}, {sizes} images (train / validation / test)")


def main(arguments: list[str]) -> int:
    values = define(
        all=(False, "with list: every known image set"),
        manual_dir=(None, "with prepare: folder of files under their upstream names"),
        source=(None, "with prepare: folder of the unpacked packages of a made set"),
    )
    verb, *names = parse(values, arguments, USAGE, operands=2) or [""]
    if verb not in VERBS:
        raise unknown("argument of data", verb, VERBS)
    if verb == "list":
        if names or values.manual_dir or values.source:
            raise UserError("data list takes --all and nothing else")
        _list(values.all)
    elif not names or values.all:
        raise UserError("data prepare takes the NAME of a dataset and where it lies")
    else:
        _prepare(names[0], values.manual_dir, values.source)
    return Exit.DONE


if __name__ == "__main__":
    run(main, sys.argv[1:])
