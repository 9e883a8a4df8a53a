"""The rows of a report in the form of other tools."""

import csv
import io
from pathlib import Path

import pandas as pd

from lossjax.suite.cli.commandline import file_of
from lossjax.suite.cli.errors import UserError
from lossjax.suite.report.evidence import Evidence
from lossjax.suite.report.tables import listings

_MAGIC = b"PAR1"  # how every Parquet file begins


def check(text: str) -> Path:
    """The file that --export names.

    Raises:
      UserError: it is of no known form, or replaces what is none.
    """
    path = file_of("--export", text)
    if path.suffix != ".parquet":
        raise UserError(f"--export={text}: a file is named NAME.parquet")
    if path.exists():
        with open(path, "rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise UserError(f"--export={text}: is no Parquet file; move it away")
    return path


def parquet(evidence: Evidence, path: Path) -> None:
    """What rows.csv holds, a row a run, with numbers and truths as such."""
    names, *lines = csv.reader(io.StringIO(listings.rows(evidence)))
    frame = pd.DataFrame(lines, columns=names)
    for name in names:
        if name == "chosen":
            frame[name] = frame[name] == "True"
        elif name in ("seed", "latent_dim", "train_steps"):
            frame[name] = frame[name].map(int)
        elif name not in ("dataset", "model", "loss", "status", "arm"):
            frame[name] = frame[name].map(lambda text: float(text or "nan"))
    frame.to_parquet(path, index=False)
