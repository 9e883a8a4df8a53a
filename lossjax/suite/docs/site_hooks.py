"""Hooks of mkdocs: README.md is the first page, and its index of docs the navigation.

Pages link to each other and to figures as they lie in the repository, so that they can
be read there; in the site README.md and what lies outside docs/ have other places.
"""

import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from lossjax.suite.docs import notebook_pages
from lossjax.suite.report.inert import unbroken

ROOT = Path(__file__).resolve().parents[3]
INDEX = "## Documentation"
# Pages of the repository beside docs/, by their names in the site.
PAGES: Mapping[str, str] = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
# Links in Markdown, and pictures.
_LINK = re.compile(r"(\]\()([^)\s#:]+)(#[^)\s]*)?(\))")
_GROUP = re.compile(r"^- \*\*(.+?)\*\*: (.+?)(?=\n- |\Z)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """The navigation: README.md's index, and the pages of studies below their list."""
    config.nav = navigation((ROOT / "README.md").read_text(encoding="utf-8"))
    return config


def navigation(readme: str) -> list[dict[str, Any]]:
    """Sections and pages as README.md lists them."""
    index = readme.partition(INDEX)[2].partition("\n## ")[0].strip()
    nav: list[dict[str, Any]] = [{"lossjax": "index.md"}]
    for title, words in _GROUP.findall(index):
        pages: list[dict[str, Any]] = [
            {name: in_site(target)} for name, target in _ENTRY.findall(words)
        ]
        nav.append({title: pages})
        if any("studies.md" in page.values() for page in pages):
            studies = sorted((ROOT / "docs" / "studies").glob("*.md"))
            pages.append({"Each study": [f"studies/{file.name}" for file in studies]})
    return nav


def in_site(path: str) -> str:
    """Where a file, by its path in the repository, lies in the site."""
    page = path.removeprefix("docs/")
    if page.endswith(".ipynb"):
        page = f"{page.removesuffix('.ipynb')}.md"
    return PAGES.get(path, page)


def in_repository(page: str) -> str:
    """The other way round, for a page."""
    named = {site: path for path, site in PAGES.items()}
    return named.get(page, f"docs/{page}")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds notebooks, the pages outside docs/, and what pages link to there."""
    for notebook in sorted((ROOT / "docs").glob("*.ipynb")):
        site = in_site(f"docs/{notebook.name}")
        text = notebook_pages.page(notebook)
        files.append(File.generated(config, site, content=text))
    for path, site in PAGES.items():
        files.append(_file(config, site, ROOT / path))
    linked = {
        target
        for file in files.documentation_pages()
        for target in _targets(file.src_uri, file.content_string)
    }
    for path in sorted(linked - set(PAGES)):
        if not path.startswith("docs/") and (ROOT / path).is_file():
            files.append(_file(config, path, ROOT / path))
    return files


def _file(config: MkDocsConfig, site: str, path: Path) -> File:
    return File.generated(config, site, abs_src_path=str(path))


def _targets(page: str, text: str) -> Sequence[str]:
    """Files that a page links to, by their paths in the repository."""
    here = posixpath.dirname(in_repository(page))
    return [
        posixpath.normpath(posixpath.join(here, target))
        for _, target, _, _ in _LINK.findall(text)
    ]


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """No line of prose ends within a flag's name."""
    return unbroken(html)


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """The theme's dialog has a name for those who hear the page."""
    return output.replace('role="dialog"', 'role="dialog" aria-label="Search"')


def on_page_markdown(
    markdown: str, page: Page, config: MkDocsConfig, files: Files
) -> str:
    """Links as they are in the site."""
    source = page.file.src_uri
    here = posixpath.dirname(in_repository(source))

    def again(match: re.Match[str]) -> str:
        start, target, anchor, end = match.groups()
        path = posixpath.normpath(posixpath.join(here, target))
        place = posixpath.relpath(in_site(path), posixpath.dirname(source) or ".")
        return f"{start}{place}{anchor or ''}{end}"

    return _LINK.sub(again, markdown)
