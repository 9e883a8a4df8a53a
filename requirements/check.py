"""Imports what a lock is there for, in the environment that runs this: check.py LOCK

Prints the file of each module, relative to the environment; says in one line what is
missing, and exits with 1.
"""

import importlib
import os
import re
import sys
import warnings
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def members(text: str) -> set[str]:
    """Packages that pyproject.toml names; all where a lock does not tell them apart."""
    pins = [pin for pin in re.split(r"\n(?=\S)", text) if re.match(r"[\w.-]+==", pin)]
    named = [pin for pin in pins if "lossjax (pyproject.toml" in pin]
    return {canonical(pin.partition("==")[0]) for pin in named or pins}


def modules(packages: set[str]) -> Iterator[str]:
    """Importable names of the packages; ImportError where one is not installed."""
    owners = metadata.packages_distributions()
    found = {canonical(owner) for names in owners.values() for owner in names}
    if absent := sorted(packages - found):
        raise ImportError(f"{', '.join(absent)} not installed")
    for name, names in owners.items():
        if name.isidentifier() and not name.startswith("_"):
            if packages & {canonical(owner) for owner in names}:
                yield name


def main(lock: str) -> None:
    # What the user's shell tells JAX or matplotlib is no part of the question.
    for variable in set(os.environ) - {"HOME", "PATH", "TMPDIR"}:
        del os.environ[variable]
    warnings.simplefilter("ignore")
    for name in modules(members(Path(lock).read_text())):
        if file := importlib.import_module(name).__file__:
            print(Path(file).relative_to(sys.prefix))


if __name__ == "__main__":
    try:
        main(sys.argv[1])
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {error}")
