"""The ledger of claims as a terminal and a document show it."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.padding import Padding

from lossjax.suite.reproduce.claim import Settled, settle
from lossjax.suite.reproduce.questions import CLAIMS
from lossjax.suite.shipped import PUBLISHED

TITLE = "# The claims ledger"


def settled(folder: Path = PUBLISHED) -> list[Settled]:
    """Every claim with its answer."""
    return [settle(claim, folder) for claim in CLAIMS]


def show(entries: Sequence[Settled], console: Console) -> None:
    """Each claim, its verdict, the answer, and where its numbers stand."""
    for entry in entries:
        claim = entry.claim
        console.print(f"{claim.key}  {claim.says}", style="bold")
        style = "green" if entry.answered else "yellow"
        lines = [(entry.answer.verdict, style)]
        if entry.answered:
            lines += [
                (entry.answer.words, ""),
                (f"numbers: {'; '.join(entry.numbers)}", "dim"),
                (f"figure: results/published/{entry.answer.figure}", "dim"),
            ]
        for words, look in lines:
            console.print(Padding(words, (0, 0, 0, 4)), style=look)
        console.print()
    answered = sum(entry.answered for entry in entries)
    console.print(f"{answered} of {len(entries)} claims are answered from stored rows")


def markdown(entries: Sequence[Settled]) -> str:
    """The whole ledger as a document; figures relative to the project's folder."""
    parts = [f"{TITLE}\n"]
    for entry in entries:
        claim, answer = entry.claim, entry.answer
        parts.append(f"## {claim.key}. {claim.says}\n")
        parts.append(f"*Asked: {claim.asked}.*\n")
        parts.append(f"**{answer.verdict}**\n")
        if entry.answered:
            parts.append(f"{answer.words}\n")
            parts.append(f"Figure: results/published/{answer.figure}\n")
            parts.append("Numbers:\n")
            parts += [f"- {number}" for number in entry.numbers]
            parts.append("")
    return "\n".join(parts)
