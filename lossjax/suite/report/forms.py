"""A table as a file: Markdown to paste, LaTeX (booktabs) to print, CSV to compute."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lossjax.suite.store import results


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


def write(stem: Path, shown: pd.DataFrame, exact: pd.DataFrame) -> None:
    """The same table three times; CSV holds full precision."""
    markdown = shown.to_markdown(index=False, disable_numparse=True)
    results.publish(Path(f"{stem}.md"), markdown + "\n")
    results.publish(Path(f"{stem}.tex"), _booktabs(shown))
    results.publish(Path(f"{stem}.csv"), exact.to_csv(index=False, lineterminator="\n"))


def _booktabs(frame: pd.DataFrame) -> str:
    """A LaTeX table; pandas' own writer takes seconds for thousands of rows."""
    lines = [list(frame.columns), *frame.itertuples(index=False)]
    head, *body = (" & ".join(_latex(v) for v in line) + r" \\" for line in lines)
    rules = [r"\toprule", head, r"\midrule", *body, r"\bottomrule"]
    begin = rf"\begin{{tabular}}{{{'l' * len(frame.columns)}}}"
    return "\n".join([begin, *rules, r"\end{tabular}", ""])


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "↓": r"$\downarrow$",
    "↑": r"$\uparrow$",
    **{character: f"\\{character}" for character in "_%&#${}"},
}


def _latex(value: Any) -> str:
    """A cell as LaTeX; the best set's bold survives."""
    text = str(value)
    bold = text.startswith("**") and text.endswith("**") and len(text) > 4
    text = "".join(_LATEX.get(c, c) for c in (text[2:-2] if bold else text))
    return f"\\textbf{{{text}}}" if bold else text
