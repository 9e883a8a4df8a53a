"""What people say and ask of these losses, read from `answers.md`."""

import functools
import re
from collections.abc import Mapping
from pathlib import Path

import jinja2

from lossjax.suite.reproduce.claim import Answer, Book, Claim, Missing
from lossjax.suite.wording import listed

TEMPLATE = Path(__file__).with_name("answers.md")
# Metrics by which BCE and MSE are compared on the digits: all that are not derived.
JUDGES = (
    *("mse", "ssim", "excess_bce", "mae", "sharpness_error"),
    *("knn_accuracy", "probe_accuracy"),
)
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

    def seeds(sweep: str, metric: str) -> int:
        return int(next(iter(book.ranking(sweep, metric).values()))["n"])

    @functools.cache
    def different() -> list[str]:
        return book.apart("digits", "bce", "mse", JUDGES)

    def winner(sweep: str, metric: str, *losses: str) -> str:
        standing = book.ranking(sweep, metric)
        sign = 1 if standing[losses[0]]["direction"] == "lower" else -1
        return min(losses, key=lambda loss: sign * standing[loss]["center"])

    def behind(sweep: str, metric: str, *losses: str) -> str:
        """By how much the worse of two losses is behind, in per cent of the better."""
        standing = book.ranking(sweep, metric)
        better, worse = sorted(abs(standing[loss]["center"]) for loss in losses)
        return f"{100 * (worse / better - 1):.1f} %"

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
        "tied": book.best_set,
        "seeds": seeds,
        "score": score,
        "winner": winner,
        "behind": behind,
        "stored": stored,
        "answer": lambda key: _answer(bodies, key, book).words,
        "alike": lambda: [metric for metric in JUDGES if metric not in different()],
        "different": different,
        "longer": longer,
    }
    return environment


CLAIMS = claims(TEMPLATE.read_text(encoding="utf-8"))
