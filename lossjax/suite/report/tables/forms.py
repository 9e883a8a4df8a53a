"""A table as a file: Markdown to paste, LaTeX (booktabs) to print, CSV to compute."""

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from tabulate import tabulate

from lossjax.suite.report.inert import csv_cell, markdown_cell
from lossjax.suite.store import sealing
from lossjax.suite.store.untrusted import printable

FORMS = {"md": "pipe", "tex": "latex_booktabs"}  # ending -> tabulate's name
NOTES = {"md": "{}", "tex": r"\par\footnotesize {}"}
BOLD = re.compile(r"(?<= )\*\*(\S[^*&]*)\*\*(?= )")
SYMBOLS = {"±": r"$\pm$", "↓": r"$\downarrow$", "↑": r"$\uparrow$"}


def number(value: float) -> float | str:
    """Empty where there is no number; else Python's shortest exact text."""
    return float(value) if math.isfinite(value) else ""


def _short(value: Any) -> Any:
    return f"{value:.5g}" if isinstance(value, float) else value


def write_long(
    stem: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> None:
    """A table of one fact a line: five digits as shown, all of them in the CSV."""
    exact = pd.DataFrame(list(rows), columns=list(columns), dtype=object)
    write(stem, exact.map(_short), exact)


def write(stem: Path, shown: pd.DataFrame, exact: pd.DataFrame, note: str = "") -> None:
    """The same table three times; CSV holds full precision, the note is for readers."""
    for ending, form in FORMS.items():
        inert = _INERT[ending]
        cells = shown.map(inert).rename(columns=inert)
        text = tabulate(cells, "keys", form, showindex=False, disable_numparse=True)
        if ending == "tex":
            # tabulate forgets the columns of a table without rows.
            columns = f"{{tabular}}{{{'l' * shown.shape[1]}}}"
            text = text.replace("{tabular}{}", columns, 1)
            # It escapes every cell; what Markdown says in its own way is left.
            text = BOLD.sub(r"\\textbf{\1}", text)
            text = re.sub("[±↓↑]", lambda found: SYMBOLS[found[0]], text)
        below = f"\n{NOTES[ending].format(note)}\n" if note else ""
        sealing.publish(Path(f"{stem}.{ending}"), text + "\n" + below)
    exact = exact.map(csv_cell).rename(columns=csv_cell)
    sealing.publish(Path(f"{stem}.csv"), exact.to_csv(index=False, lineterminator="\n"))


def _markdown(value: Any) -> Any:
    bold = isinstance(value, str) and re.fullmatch(r"\*\*[^*|<`$\[]+\*\*", value)
    return value if bold else markdown_cell(value)


def _latex(value: Any) -> Any:
    """tabulate escapes what TeX acts on, but for a line break."""
    return printable(value) if isinstance(value, str) else value


_INERT = {"md": _markdown, "tex": _latex}
