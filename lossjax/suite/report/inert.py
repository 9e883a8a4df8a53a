"""Anybody's text in a page, a table or a file name: shown as it is, obeyed by nothing.

Names, messages and labels come from folders, own code and stored files. What a reader's
program would act on (a browser, TeX, a spreadsheet, a Markdown viewer, a terminal that
prints the file) is escaped where it is written, never where it is kept.
"""

import hashlib
import re
import unicodedata
from typing import Any

from lossjax.suite.store.untrusted import printable

_LONGEST = 120  # letters of a slug; the ending and a temporary's name come to it
# `mse[cut](delta=1)` would be a link.
_MARKDOWN = re.compile(r"[\\`*$|~]|(?<=\])\(")
_HTML = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
# Between two tags; what is set as it stands, breaks where it stands.
_WORDS = re.compile(r"<pre\b.*?</pre>|(?:(?<=>)|\A)[^<]*--[a-z][^<]*", re.DOTALL)
_FLAG = re.compile(r"(?<![\w-])--[a-z][\w.-]*=?")
_WHOLE = r'<span class="flag">\g<0></span>'
_FORMULA = re.compile(r"[=+\-@\t\r]")


def visible(text: str) -> str:
    """The text with every control, direction mark, surrogate and the like spelled out.

    Line breaks and spaces of every width are kept.
    """
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(c if _seen(c) else ascii(c)[1:-1] for c in text)


def _seen(c: str) -> bool:
    return c.isprintable() or c == "\n" or unicodedata.category(c) == "Zs"


def unbroken(html: str) -> str:
    """HTML in whose text no line ends within the name of a flag, after its hyphens.

    What follows the name may be long, and breaks where it must.
    """

    def whole(words: re.Match[str]) -> str:
        kept = words[0].startswith("<")
        return words[0] if kept else _FLAG.sub(_WHOLE, words[0])

    return _WORDS.sub(whole, html)


def markdown_cell(value: Any) -> Any:
    """A cell that no Markdown viewer takes for markup, mathematics, HTML or a link."""
    if not isinstance(value, str):
        return value
    text = printable(value).translate(_HTML)
    return _MARKDOWN.sub(lambda found: "\\" + found[0], text)


def csv_cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: a quote before what begins one.

    Numbers written as text stay what they are.
    """
    if not isinstance(value, str):
        return value
    value = visible(value)
    if not _FORMULA.match(value):
        return value
    try:
        float(value)
    except ValueError:
        return f"'{value}"
    return value


def slug(name: str) -> str:
    """A name as part of a file name on any system; a long one ends in its hash."""
    plain = re.sub(r"[^A-Za-z0-9.=+-]+", "_", name).strip("_.") or "_"
    if len(plain) <= _LONGEST:
        return plain
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
    return f"{plain[: _LONGEST - 9]}-{digest[:8]}"
