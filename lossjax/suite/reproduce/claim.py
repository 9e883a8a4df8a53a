"""What a claim is, and the book of stored numbers that answers are read from."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lossjax.suite.reproduce import folder
from lossjax.suite.reproduce.finding import Verdict, significant
from lossjax.suite.shipped import PUBLISHED


class Missing(Exception):
    """What an answer needs is not stored; its text names the study."""


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the rows say of a claim.

    Attributes:
      verdict: true, false, or what it depends on, in a few words.
      words: the answer, for a student.
      figure: the stored figure that carries it, relative to results/published.
    """

    verdict: str
    words: str
    figure: str


@dataclasses.dataclass(frozen=True)
class Claim:
    """A row of the table of claims.

    Attributes:
      key: S1 to S5 for the questions that began the project, else Q and a number.
      says: what is claimed or asked, in a line.
      asked: where.
      answer: reads the book, and nothing else.
    """

    key: str
    says: str
    asked: str
    answer: Callable[["Book"], Answer]


@dataclasses.dataclass(frozen=True)
class Settled:
    """A claim with its answer and every stored number that was looked up for it."""

    claim: Claim
    answer: Answer
    numbers: tuple[str, ...]

    @property
    def answered(self) -> bool:
        return bool(self.answer.figure)


class Book:
    """Stored summaries, by study or sweep; remembers what was looked up."""

    def __init__(self, place: Path = PUBLISHED) -> None:
        self._place = place
        self._read: dict[str, dict[str, Any]] = {}
        self.looked_up: list[str] = []

    def summary(self, name: str) -> dict[str, Any]:
        if name not in self._read:
            path = self._place / name / "summary.json"
            if not path.is_file():
                raise Missing(name)
            self._read[name] = json.loads(path.read_text(encoding="utf-8"))
        return self._read[name]

    def finding(self, study: str, key: str) -> dict[str, Any]:
        """The stored finding of that key."""
        result = {f["key"]: f for f in self.summary(study)["findings"]}.get(key)
        if result is None:
            raise Missing(f"{study}, finding {key}")
        self._note(study, f"{result['what']}: {result['ours']}")
        return result

    def number(self, study: str, key: str, digits: int = 3, scale: float = 1) -> str:
        """A finding's number of ours, to so many digits."""
        return significant(scale * self.value(study, key), digits)

    def value(self, study: str, key: str) -> float:
        """A finding's number of ours."""
        return float(self.finding(study, key)["number"]["center"])

    def said(self, study: str, key: str) -> str:
        """A finding of ours, as the study says it."""
        return str(self.finding(study, key)["ours"])

    def low(self, study: str, key: str) -> float:
        """The lower limit of a finding's number."""
        return float(self.finding(study, key)["number"]["low"])

    def holds(self, study: str, *keys: str) -> bool:
        """Whether all of these findings came out as published or expected."""
        verdicts = {self.finding(study, key)["verdict"] for key in keys}
        return verdicts <= {Verdict.REPRODUCED, Verdict.EXPECTED}

    def cell(self, study: str, column: str, **line: str) -> str:
        """A cell of a study's table, in the line whose cells have these values."""
        for row in self.summary(study)["table"]:
            if all(row.get(name) == value for name, value in line.items()):
                at = ", ".join(line.values())
                self._note(study, f"{at}: {column}: {row[column]}")
                return str(row[column])
        raise Missing(f"{study}, line {line}")

    def ranking(self, sweep: str, metric: str) -> dict[str, Mapping[str, Any]]:
        """Every loss's standing on the first dataset and model of a stored sweep."""
        (dataset,) = self.summary(sweep)["datasets"].values()
        (model,) = dataset["models"].values()
        found = model["metrics"][metric]
        lines, direction = found["ranking"], found["direction"]
        best = [line["loss"] for line in lines if line["best_set"]]
        self._note(sweep, f"tied for best by {metric}: {', '.join(best)}")
        return {line["loss"]: line | {"direction": direction} for line in lines}

    def best_set(self, sweep: str, metric: str) -> list[str]:
        """The losses that are tied for best."""
        return [k for k, v in self.ranking(sweep, metric).items() if v["best_set"]]

    def _age(self, name: str) -> str:
        """Of which NUMERICS a study's numbers are, where they are of an old one."""
        summary = self.summary(name)
        return folder.age(summary["made"]) if "made" in summary else ""

    def _note(self, name: str, words: str) -> None:
        age = self._age(name)
        line = f"{name} ({age}): {words}" if age else f"{name}: {words}"
        if line not in self.looked_up:
            self.looked_up.append(line)


def settle(claim: Claim, place: Path = PUBLISHED) -> Settled:
    """The claim's answer; one that says what is missing where rows are not there."""
    book = Book(place)
    try:
        answer = claim.answer(book)
    except Missing as missing:
        answer = Answer(f"not answered yet: needs {missing}", "", "")
    return Settled(claim, answer, tuple(book.looked_up))
