"""Every text stands out, and a page has what a screen reader asks for, without scripts.

axe-core is not a dependency: these are the rules that pages of the suite once broke.
"""

import html.parser
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import stored_sweeps
from matplotlib.colors import to_rgb

from lossjax.suite.config import Sweep
from lossjax.suite.report.build import build
from lossjax.suite.report.looks import luminance
from lossjax.suite.report.markup import PAGE
from lossjax.suite.reproduce import page as reproduced
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.shipped import ROOT

TEXTS, GROUNDS = ("ink", "soft", "accent"), ("paper", "ground", "best")
PAIRS = [*itertools.product(TEXTS, GROUNDS), ("warn", "warn-ground"), ("ink", "rule")]


def schemes() -> dict[str, dict[str, str]]:
    """The colours of the page in light, in the dark and in print."""
    css = (PAGE / "page.css").read_text()
    found = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]
    light, dark, paper = found
    return {"light": light, "dark": light | dark, "print": light | paper}


@pytest.mark.parametrize("scheme", ["light", "dark", "print"])
def test_every_text_has_a_contrast_of_4_5(scheme: str) -> None:
    colours = schemes()[scheme]
    for text, ground in PAIRS:
        pair = [luminance(to_rgb(colours[name])) + 0.05 for name in (text, ground)]
        assert max(pair) / min(pair) >= 4.5, (text, ground)


class Outline(html.parser.HTMLParser):
    """What has no name, and what scrolls without keys."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.wrong: list[str] = []
        self.headings: list[int] = []
        self._open = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in ("button", "th", "a", "summary", "h1", "h2", "h3"):
            self._open = "" if given.get("aria-label") else tag
        if given.get("class") == "scroll" and not (
            given.get("tabindex") == "0" and given.get("aria-label")
        ):
            self.wrong.append("scroll")
        if tag == "img" and not given.get("alt"):
            self.wrong.append("img")
        if tag == "nav" and not given.get("aria-label"):
            self.wrong.append("nav")
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))

    def handle_data(self, data: str) -> None:
        if data.strip():
            self._open = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == self._open:
            self.wrong.append(f"nameless {tag}")


def a_report(out: Path) -> str:
    sweep = Sweep(losses=tuple(stored_sweeps.LOSSES), learning_rates=(3e-3,))
    stored_sweeps.write(out, sweep)
    return build(out).page.read_text(encoding="utf-8")


def studies(out: Path) -> str:
    return reproduced.page({name: STUDIES[name] for name in ("aa", "improper")}, out)


@pytest.mark.parametrize("made", [a_report, studies])
def test_a_page_has_names_for_all_that_is_used(
    made: Callable[[Path], str], tmp_path: Path
) -> None:
    page = made(tmp_path)
    outline = Outline(page)
    assert outline.wrong == []
    # No level of heading is left out on the way down.
    assert outline.headings[0] == 1 and outline.headings.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(outline.headings))
    for name in ("id", "aria-label"):  # of what scrolls: both are gone to by name
        regions = re.findall(f'<div class="scroll"[^>]* {name}="([^"]*)"', page)
        assert len({*regions}) == len(regions) > 1
    assert {"<main>", "<header>", "<footer>"} <= set(re.findall("<[a-z]+>", page))


@pytest.mark.parametrize("path", sorted((ROOT / "docs").rglob("*.md")), ids=str)
def test_docs_have_an_outline_and_words_for_every_picture(path: Path) -> None:
    text = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.M | re.S)
    levels = [len(marks) for marks in re.findall("^(#+) ", text, re.M)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    assert "![](" not in text
