"""Every number that README.md and docs/ write by hand is a definition or from rows.

Numbers between generated markers are looked up when they are written; those of
docs/theory.md have a test for each statement; a study's page is made of its file.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lossjax.suite.reproduce.claim import Book
from lossjax.suite.shipped import PUBLISHED, ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = {"theory.md"}
# Levels, margins, limits, versions and sizes: no rows could change them.
DEFINED: Mapping[str, set[str]] = {
    "README.md": {"95 %", "3.11", "3.12", "3.13"},
    "advise.md": {"0.2"},
    "bce-or-mse.md": {"95 %", "0.1"},
    "cloud.md": {"80 %"},
    "command-line.md": {"3.11", "3.13"},
    "models.md": {"0.5"},
    "published.md": {"95 %"},
    "report.md": {"95 %"},
    "validation.md": {"5 %", "7.5 %", "1 %", "95 %", "0.10", "0.12"},
}


def _bench(book: Book, key: str) -> list[float]:
    """Numbers of a column of the table of speeds, in per cent or times."""
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    head, *lines = re.findall(r"^\| .+ \|$", page.split("<!-- end")[0], re.M)[:6]
    at = [cell.strip() for cell in head.split("|")].index(key)
    return [float(re.findall(r"[\d.]+", line.split("|")[at])[0]) for line in lines]


def _colour_ahead(book: Book) -> str:
    slower = [x for x in _bench(book, "against its best") if x < 1]
    return f"{100 * (1 - max(slower)):.0f} to {100 * (1 - min(slower)):.0f} %"


def _requests(book: Book) -> str:
    """Of one run, in the packs that a store takes most for."""
    path = PUBLISHED / "bench" / "store.json"
    found = json.loads(path.read_text(encoding="utf-8"))
    most = max(x["store"]["requests"] for x in found["packs"].values()) / found["runs"]
    return "below 0.1 requests per run" if most < 0.1 else f"{most:.2g} requests"


def _mean_scales(book: Book) -> str:
    lines = [x for x in book.summary("matched_scale")["table"] if "mean" in x.values()]
    scales = [float(line["implied sigma"].split()[0]) for line in lines]
    return f"{min(scales):.0f} to {max(scales):.0f} times"


def _some_left_out(book: Book) -> str:
    column = "some arm of 4 left out"
    parts = [float(x[column].split()[0]) for x in book.summary("aa")["table"]]
    return f"{min(parts):.0f} to {max(parts):.0f} %"


def _more_error(book: Book) -> str:
    """Of the ssim loss over bce and mse, and that the three are tied by SSIM."""
    error = {k: v["center"] for k, v in book.ranking("digits", "mse").items()}
    ratios = [error["ssim"] / error[loss] for loss in ("bce", "mse")]
    tied = {"ssim", "bce", "mse"} <= set(book.best_set("digits", "ssim"))
    tenth = all(1.05 < ratio < 1.15 for ratio in ratios)
    return "about a tenth more squared error" if tied and tenth else "otherwise"


def _covered(book: Book) -> str:
    laws = book.summary("planted_variance")["counts"]["laws"]
    said = [own["low"] <= own["planted"] <= own["high"] for own in laws.values()]
    return (
        "For a = 0 and 1/2 the interval covers it; for a = 1 it does not"
        if said == [True, True, False]
        else f"covered: {said}"
    )


def _planted_g_is_tied(book: Book) -> str:
    findings = book.summary("planted_variance")["findings"]
    said = [f["verdict"] for f in findings if "tied for best" in f["what"]]
    every = said and set(said) == {"as expected"}
    return "the planted g is tied for best in every trial" if every else str(said)


def _few_steps(book: Book) -> str:
    early = book.cell("planted_variance", "after 200 steps", variance="s^0")
    late = book.holds("planted_variance", "a_0_the_optimum_covers_g_1")
    below = "below 1" if float(early) < 1 else f"at {early}"
    there = "where theory puts it" if late else "elsewhere"
    return (
        f"after 200 steps the best g for constant variance lies {below}, because a "
        f"smaller g trains faster, and after 400 it is {there}"
    )


# What a page says, and what the rows say.
FROM_ROWS: Mapping[str, Mapping[str, Callable[[Book], str]]] = {
    "README.md": {"0.58": lambda book: book.number("bce_floor", "perfect", 2)},
    "bce-or-mse.md": {
        "0.71": lambda book: f"{math.sqrt(0.5):.2f}",
        "13 to 20 times": _mean_scales,
        "about a tenth more squared error": _more_error,
    },
    "cloud.md": {"below 0.1 requests per run": _requests},
    "speed.md": {"8 to 9 %": _colour_ahead},
    "validation.md": {
        "5 to 8 %": _some_left_out,
        "For a = 0 and 1/2 the interval covers it; for a = 1 it does not": _covered,
        "the planted g is tied for best in every trial": _planted_g_is_tied,
        "after 200 steps the best g for constant variance lies below 1, because a "
        "smaller g trains faster, and after 400 it is where theory puts it": _few_steps,
    },
}
NUMBER = re.compile(
    r"(?<![\w.:/-])\d[\d,]*(?:\.\d+(?: %| times\b|(?![\w%]|\.\d))|(?: %| times\b))"
)


def prose(text: str) -> str:
    """A page without what is generated, code, formulas and the places of links."""
    text = re.sub(r"<!-- ([^>]+?) -->\n(?:.*?\n)??<!-- end -->", "", text, flags=re.S)
    text = re.sub(
        r"```.*?```|`[^`]*`|^    .*?$|\]\([^)]*\)", "", text, flags=re.S | re.M
    )
    return " ".join(text.split())


def untraced(page: str, text: str) -> list[str]:
    """Numbers of a page that are neither defined nor from rows."""
    text = prose(text)
    for phrase in FROM_ROWS.get(page, ()):
        text = text.replace(phrase, "")
    return [x for x in NUMBER.findall(text) if x not in DEFINED.get(page, ())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_number_is_defined_or_from_rows(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    if page.name not in ELSEWHERE:
        assert untraced(page.name, text) == []
    book = Book(PUBLISHED)
    for phrase, rows in FROM_ROWS.get(page.name, {}).items():
        assert phrase in prose(text)
        assert rows(book) == phrase


def test_a_number_without_rows_is_found() -> None:
    text = "It is 0.58 of 95 %; 2.5 times\nas much, 3 % more.\n\n    x = 0.1\n"
    assert untraced("README.md", text) == ["2.5 times", "3 %"]
