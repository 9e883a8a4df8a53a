"""What every page of the suite must hold to, read as a browser reads it."""

import base64
import hashlib
import html.parser
from collections.abc import Sequence


class Page(html.parser.HTMLParser):
    """The elements of a page, its text, and what its policy allows."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text, self.inside = "", {"style": "", "script": ""}
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        named = {name: value or "" for name, value in attrs}
        assert len(named) == len(attrs), f"twice in <{tag}>: {attrs}"
        self.attributes += named.items()
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named["content"]

    def handle_data(self, data: str) -> None:
        if self.cdata_elem in self.inside:
            self.inside[self.cdata_elem] += data
        self.text += data


def obeys_nothing(text: str, links: Sequence[str] = ()) -> Page:
    """Asserts that a page runs and applies what its policy names, and nothing else.

    Args:
      links: addresses that it may lead to.
    """
    page = Page(text)
    assert page.elements.count("style") == 1 and page.elements.count("script") <= 1
    for name, value in page.attributes:
        assert name != "style" and not name.startswith("on"), (name, value)
        inside = value.startswith(("#", "data:")) or value in links
        assert name not in ("href", "src") or inside, value
    allowed = dict(part.split(" ", 1) for part in page.policy.split("; "))
    assert "unsafe" not in page.policy and allowed["default-src"] == "'none'"
    for tag, content in page.inside.items():
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest())
        expected = f"'sha256-{digest.decode()}'" if tag in page.elements else None
        assert allowed.get(f"{tag}-src") == expected, tag
    return page
