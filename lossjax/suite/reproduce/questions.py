"""What people say and ask of these losses, read from `answers.md`."""

import functools
import re
from collections.abc import Mapping
from pathlib import Path

import jinja2

from lossjax.suite.reproduce.claim import Answer, Book, Claim, Missing
from lossjax.suite.wording import listed

TEMPLATE = Path(__file__).with_name("answers.md")
_HEAD = re.compile(r"^## (\w+): (.+)$", re.MULTILINE)
_FIELD = re.compile(r"^(Asked|Figure): (.+)$", re.MULTILINE)
_VERDICT = re.compile(r"^Verdict: (.+?)\n\n", re.MULTILINE | re.DOTALL)


def claims(text: str) -> tuple[Claim, ...]:
    """Every claim of a template, in its order."""
    _, *parts = _HEAD.split(text)
    bodies = {key: body for key, body in zip(parts[::3], parts[2::3], strict=True)}
    found = []
    for key, says in zip(parts[::3], parts[1::3], strict=True):
        asked = dict(_FIELD.findall(bodies[key]))["Asked"]
        answer = functools.partial(_answer, bodies, key)
        found.append(Claim(key, says, asked, answer))
    return tuple(found)


def _answer(bodies: Mapping[str, str], key: str, book: Book) -> Answer:
    """The verdict and the words of a claim, with what is looked up in the book.

    Raises:
      Missing: rows that it needs are not stored.
    """
    made = _environment(book, bodies).from_string(bodies[key]).render()
    verdict = _VERDICT.search(made)
    if verdict is None:
        raise ValueError(f"{TEMPLATE.name}: {key} has no verdict")
    words = " ".join(made[verdict.end() :].split())
    figure = dict(_FIELD.findall(made))["Figure"]
    return Answer(" ".join(verdict[1].split()), words, figure)


def _environment(book: Book, bodies: Mapping[str, str]) -> jinja2.Environment:
    """The names that a template knows; all of them read the book."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["listed"] = lambda names: listed(names) or "no metric"

    def stored(study: str) -> bool:
        try:
            return bool(book.summary(study))
        except Missing:
            return False

    def score(sweep: str, metric: str, loss: str) -> float:
        return float(book.ranking(sweep, metric)[loss]["center"])

    def longer(metric: str, better: str, other: str) -> str:
        """How far the second loss is behind the first after more training steps."""
        (dataset,) = book.summary("digits_budgets")["datasets"].values()
        said = []
        for name, model in dataset["models"].items():
            rows = {row["loss"]: row for row in model["metrics"][metric]["ranking"]}
            gap = 100 * (rows[other]["center"] / rows[better]["center"] - 1)
            (steps,) = re.findall(r"train_steps=(\d+)", name)
            said.append(f"{gap:z.1f} % after {int(steps):,}")
        return listed(said)

    environment.globals |= {
        "number": book.number,
        "value": book.value,
        "said": book.said,
        "low": book.low,
        "holds": book.holds,
        "cell": book.cell,
        "counts": lambda study: book.summary(study)["counts"],
        "tied": book.best_set,
        "score": score,
        "stored": stored,
        "answer": lambda key: _answer(bodies, key, book).words,
        "longer": longer,
    }
    return environment


CLAIMS = claims(TEMPLATE.read_text(encoding="utf-8"))
