"""`./run.sh data list [--all]` and `./run.sh data prepare NAME [--manual_dir=DIR]`."""

import argparse
from typing import NoReturn

from tabulate import tabulate

from lossjax.suite.cli import commandline
from lossjax.suite.config import UserError
from lossjax.suite.data.dataset import DataError
from lossjax.suite.data.sources import DATASETS, check, find, load
from lossjax.suite.data.tfds import data_dir, known_set
from lossjax.suite.data.tfds_sets import tfds_sets
from lossjax.suite.shipped import COMMAND


class _Parser(argparse.ArgumentParser):
    """argparse whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message}; {' '.join(self.format_usage().split())}")


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


def _prepare(name: str, manual_dir: str | None) -> None:
    from lossjax.suite.data.tfds_prepare import prepare_tfds

    if known_set(name) is None:
        check(name)
        print(f"{name} is ready: nothing to prepare")
        return
    folder = prepare_tfds(name, manual_dir)
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
    """Lists the datasets with their state, or prepares one."""
    parser = _Parser(prog=f"{COMMAND} data", description=__doc__, allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="list|prepare")
    listing = verbs.add_parser("list", help="name, shape, sizes and state")
    listing.add_argument("--all", action="store_true", help="every known image set")
    preparing = verbs.add_parser("prepare", help="download or import one set")
    preparing.add_argument("name", metavar="NAME")
    preparing.add_argument(
        "--manual_dir", metavar="DIR", help="files under their upstream names"
    )
    chosen = parser.parse_args(arguments)
    try:
        if chosen.verb == "list":
            _list(chosen.all)
        else:
            _prepare(chosen.name, chosen.manual_dir)
    except DataError as error:
        raise UserError(str(error)) from error
    return commandline.Exit.DONE
