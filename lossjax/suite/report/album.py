"""Figures as files and as parts of the page.

The same evidence gives the same bytes, whatever the locale, clock or hash seed.
"""

import io
import re
import warnings
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from lossjax.suite.report.inert import slug, visible
from lossjax.suite.report.style import INK, PAPER, RULE


class Album:
    """Writes each figure as SVG and PNG and hands back what the page shows."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.names: list[str] = []
        directory.mkdir(parents=True, exist_ok=True)

    def add(self, name: str, figure: Figure, alt: str, caption: str = "") -> Markup:
        """Write the figure and return it as an inline `<figure>` with its alt text."""
        name = slug(name)
        while name in self.names:
            name += "_"
        self.names.append(name)
        buffer = io.StringIO()
        metadata = {"Date": None, "Creator": None}
        with warnings.catch_warnings():
            # A letter that the font lacks, of a name of the user's, is drawn as a box.
            warnings.filterwarnings("ignore", "Glyph .* missing")
            figure.savefig(buffer, format="svg", metadata=metadata)
            path = self.directory / f"{name}.png"
            figure.savefig(path, metadata={"Software": None})
        svg = visible(buffer.getvalue())  # a control in a name would be no XML
        (self.directory / f"{name}.svg").write_text(svg, encoding="utf-8")
        return shown(svg, alt, caption)


def shown(svg: str, alt: str, caption: str = "") -> Markup:
    """An SVG file as a figure of a page, with its alt text."""
    return Markup(
        '<figure><div role="img" aria-label="{}">{}</div>'
        "<figcaption>{}</figcaption></figure>"
    ).format(alt, Markup(inline(svg)), caption or alt)


def inline(svg: str) -> str:
    """An SVG file as part of a page: no prologue, themed by CSS, no clashing ids."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r' xmlns(:xlink)?="[^"]*"', "", svg).replace("xlink:href", "href")
    used = set(re.findall(r"(?:href=\"|url\()#([^\")]+)", svg))
    svg = re.sub(
        r' id="([^"]*)"', lambda m: m.group(0) if m.group(1) in used else "", svg
    )
    svg = unstyled(svg)
    for colour, name in ((INK, "ink"), (RULE, "rule"), (PAPER, "paper")):
        svg = svg.replace(colour, f"var(--{name})")
    return re.sub(r"\n\s*", "\n", svg).replace("<svg", '<svg focusable="false"', 1)


def unstyled(svg: str) -> str:
    """An SVG of matplotlib's with attributes in place of styles, which a page forbids.

    Its one style sheet holds for all: the outermost element hands it down.
    """
    svg = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, flags=re.S)
    svg = svg.replace("<svg", f"<svg {_INHERITED}", 1)
    return re.sub(r' style="([^"]*)"', _attributes, svg)


_INHERITED = 'stroke-linejoin="round" stroke-linecap="butt"'


def _attributes(style: re.Match[str]) -> str:
    values = dict(
        re.split(r":\s*", part.strip(), maxsplit=1)
        for part in style[1].split(";")
        if part.strip()
    )
    if font := re.fullmatch(r"(\S+) (.+)", values.pop("font", "")):
        values |= {"font-size": font[1], "font-family": font[2]}
    return "".join(f' {name}="{value}"' for name, value in values.items())
