"""The studies: every file of experiments/, each loaded when it is asked for."""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

from lossjax.suite import loader, shipped
from lossjax.suite.cli.errors import UserError
from lossjax.suite.reproduce.study import Study

SEE = "see CONTRIBUTING.md, A study"


class Catalogue(Mapping[str, Study]):
    """The studies of a folder, by the names of their files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> Study:
        if name not in self:
            raise KeyError(name)
        return read(self._folder / f"{name}.py")

    def __contains__(self, name: object) -> bool:
        return name in loader.names(self._folder)

    def __iter__(self) -> Iterator[str]:
        return iter(loader.names(self._folder))

    def __len__(self) -> int:
        return len(loader.names(self._folder))

    def find(self, text: str) -> Study:
        """A study by its name, or by a path to its file.

        Raises:
          UserError: there is none, or its file is not one of a study.
        """
        return read(loader.find(text, self._folder, "study"))


def read(file: Path) -> Study:
    """The study that a file ends in.

    Raises:
      UserError: the file does not run, or a step of writing a study was left out.
    """
    module = loader.load(file)
    study = getattr(module, "STUDY", None)
    if not isinstance(study, Study):
        raise UserError(f"{file}: does not end in STUDY = Study(...); {SEE}, step 3")
    study = dataclasses.replace(study, file=file, text=(module.__doc__ or "").strip())
    if not study.what.endswith("?"):
        raise UserError(
            f"{file}: its first line does not ask a question; {SEE}, step 1"
        )
    if not study.source:
        raise UserError(f"{file}: no paragraph begins with 'Source: '; {SEE}, step 1")
    return study


STUDIES = Catalogue(shipped.EXPERIMENTS)
