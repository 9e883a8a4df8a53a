"""What is generated in README.md and docs/, each part between its markers.

`python -m lossjax.suite.docs.generated` writes the parts and the pages of studies; a
test and `./run.sh docs` say when one is stale. Numbers come from results/published,
lists from the tables that the programs themselves read.
"""

import functools
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from lossjax.suite.cards import card
from lossjax.suite.cli.errors import Exit, UserError
from lossjax.suite.cli.signals import run
from lossjax.suite.docs import command_line, lists, measurements, study_pages
from lossjax.suite.docs.response_words import response_words
from lossjax.suite.docs.steps_table import steps_table
from lossjax.suite.report.published import refreshed
from lossjax.suite.reproduce.catalogue import STUDIES
from lossjax.suite.shipped import PUBLISHED, clone
from lossjax.suite.store import sealing
from lossjax.suite.sweep import backend

_MARKED = re.compile(r"<!-- ([^>]+?) -->\n(?:.*?\n)??<!-- end -->", re.DOTALL)
_OF_REPORTS = ("table", "dial")  # made by `report.published`
# Links of generated parts start at the clone's folder.
_LINK = re.compile(r"\]\((results/published/)")


def main(arguments: list[str]) -> int:
    if arguments:
        raise UserError(f"stray argument {arguments[0]!r}: generated takes none")
    for path, text in stale(clone("docs")).items():
        path.parent.mkdir(exist_ok=True)
        sealing.publish(path, text)
        print(f"written: {path.relative_to(clone('docs'))}")
    return Exit.DONE


def stale(root: Path) -> dict[Path, str]:
    """Every file whose generated parts are not as they should be now, with its text."""
    backend.devices()  # losses are evaluated for their cards
    return {
        path: text
        for path, text in documents(root).items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    }


def documents(root: Path) -> dict[Path, str]:
    """README.md and every page of docs/ as they should be now."""
    docs = root / "docs"
    texts = {docs / name: text for name, text in study_pages.pages().items()}
    for path in (root / "README.md", *sorted(docs.rglob("*.md"))):
        if path not in texts:
            text = made(path.read_text(encoding="utf-8"), path.name)
            up = "../" * len(path.relative_to(root).parents[:-1])
            texts[path] = _LINK.sub(r"](" + up + r"\1", text)
    return texts


def made(text: str, where: str) -> str:
    """A Markdown text with every marked part as it should be now."""

    def again(match: re.Match[str]) -> str:
        name = match[1]
        if name.split()[0] in _OF_REPORTS:
            return match[0]
        if name not in PARTS:
            raise UserError(f"{where}: <!-- {name} --> is no generated part")
        return f"<!-- {name} -->\n{PARTS[name]()}\n<!-- end -->"

    return _MARKED.sub(again, refreshed(text, PUBLISHED))


VALIDATION = ("aa", "planted_noise", "planted_variance")
PARTS: Mapping[str, Callable[[], str]] = {
    "losses": card.markdown,
    "cards": lists.cards,
    "metrics": lists.metrics,
    "models": lists.models,
    "datasets": lists.datasets,
    "configs": lists.configs,
    "purposes": lists.purposes,
    "api": lists.api,
    "verbs": command_line.verbs,
    "help": command_line.help_texts,
    "bce or mse": measurements.bce_or_mse,
    "protocol of these rows": measurements.protocol,
    "questions": measurements.questions,
    "answers": measurements.answers,
    "published": measurements.published,
    "studies": functools.partial(measurements.studies, STUDIES),
    "validation": functools.partial(measurements.studies, VALIDATION),
    **{
        f"study {name}": functools.partial(measurements.study_table, STUDIES[name])
        for name in (*VALIDATION, "link_and_start", "vae_pytorch", "matched_scale")
    },
    **{
        f"answer {name}": functools.partial(measurements.answer, STUDIES[name])
        for name in (
            "atlas",
            "advice",
            "planted_advice",
            "surgery",
            "matched_scale",
            "cb_warp",
        )
    },
    "answer response": response_words,
    "steps": steps_table,
    "bench": measurements.bench,
    "gpu": measurements.gpu,
    "ahead": measurements.ahead,
    "scale": measurements.scale,
    "soak": measurements.soak,
}

if __name__ == "__main__":
    run(main, sys.argv[1:])
