"""One metric of losses that are compared: who is best, who is tied, who is worse."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from lossjax.suite.verify.arithmetic import LEVEL, P, holm, interval, sign_flip

ENDS = ("center", "low", "high")
BEHIND = ("behind", "behind_low", "behind_high")


@dataclasses.dataclass(frozen=True)
class Ranked:
    """One metric of one setting: its losses, best first."""

    direction: str
    lines: Mapping[str, Mapping[str, Any]]  # by loss, then column of ranking.csv
    doubt: Mapping[str, float]  # of each p, where it hangs on random flips
    n: int  # seeds of an arm
    needed: int | None  # seeds with which the test could reject, where n is too few

    @property
    def tied(self) -> list[str]:
        """The losses tied for best, the best one first; none where none is best."""
        return [loss for loss, line in self.lines.items() if line["best_set"]]

    @property
    def best(self) -> str | None:
        first = next(iter(self.lines))
        return first if self.lines[first]["word"] == "best" else None

    @property
    def defined(self) -> list[str]:
        """The losses that can have the metric."""
        return [x for x, line in self.lines.items() if line["word"] != "not defined"]

    def worse(self) -> list[str]:
        """The losses significantly worse than the best that have a mean."""
        means = self.means()
        return [loss for loss in means if self.lines[loss]["word"] == "worse"]

    def means(self) -> dict[str, float]:
        """The means of the losses that have one, turned so that smaller is better."""
        sign = _sign(self.direction)
        means = {loss: sign * line["center"] for loss, line in self.lines.items()}
        return {loss: mean for loss, mean in means.items() if not math.isnan(mean)}

    def undecidable(self, loss: str) -> bool:
        """Whether other random flips could give the loss another word."""
        doubt = self.doubt.get(loss, 0.0)
        return doubt > 0 and abs(self.lines[loss]["p_holm"] - LEVEL) <= doubt


def rank(
    scores: pd.DataFrame,
    counts: Mapping[str, Mapping[str, int]],
    direction: str,
    margin: Mapping[str, Any],
) -> Ranked:
    """The losses on one metric.

    Args:
      scores: a line per seed, a column per loss; NaN where a seed has none. Losses are
        paired by the line.
      counts: by loss: lost seeds, diverged and failed runs.
      direction: lower or higher, whichever is better.
      margin: value, and whether it is relative to the best mean.
    """
    sign = _sign(direction)
    values = {loss: scores[loss].to_numpy(float) for loss in scores}
    means = {
        loss: interval(own) for loss, own in values.items() if np.isfinite(own).all()
    }
    order = sorted(means, key=lambda loss: sign * means[loss][0])
    last = [loss for loss in scores if loss not in means]
    # Seeds that survived and have no score: a metric that the loss cannot have.
    undefined = [
        loss
        for loss in last
        if counts[loss]["lost"] < len(scores) and not np.isfinite(values[loss]).any()
    ]
    last.sort(key=lambda loss: (loss in undefined, counts[loss]["lost"]))
    lines: dict[str, dict[str, Any]] = {
        loss: {
            "place": place,
            **dict(zip(ENDS, means.get(loss, 3 * (math.nan,)), strict=True)),
            "n": int(np.isfinite(values[loss]).sum()),
            **counts[loss],
            "word": "not defined" if loss in undefined else "worse",
            **dict.fromkeys((*BEHIND, "margin", "p_holm", "effect"), math.nan),
        }
        for place, loss in enumerate([*order, *last], start=1)
    }
    doubt: dict[str, float] = {}
    needed = 1
    if order:
        best = order[0]
        slack = margin["value"] * (abs(means[best][0]) if margin["relative"] else 1.0)
        gaps = {loss: sign * (values[loss] - values[best]) for loss in order[1:]}
        # Of a loss that is the best one under another name there is nothing to test.
        tested = {loss: gap for loss, gap in gaps.items() if np.any(gap)}
        p = holm({loss: sign_flip(gap - slack) for loss, gap in tested.items()})
        needed = math.ceil(math.log2(2 * len(tested) / LEVEL)) if tested else 1
        doubt = {loss: one.doubt for loss, one in p.items()}
        lines[best]["word"] = "best"
        for loss, gap in gaps.items():
            lines[loss] |= _gap(gap, slack, p.get(loss, P(1.0)).value)
        for line in lines.values():
            line["margin"] = slack
    for line in lines.values():
        line["best_set"] = line["word"] in ("best", "equivalent", "undecided")
    few = needed if len(scores) < needed else None
    return Ranked(direction, lines, doubt, len(scores), few)


def _gap(gap: np.ndarray, slack: float, p: float) -> dict[str, Any]:
    """A rival's paired differences to the best, and what they let one say."""
    center, low, high = interval(gap)
    if p <= LEVEL and center > slack:
        word = "worse"
    else:
        word = "equivalent" if high <= slack else "undecided"
    spread = float(np.std(gap, ddof=1)) if len(gap) > 1 else math.nan
    return {
        **dict(zip(BEHIND, (center, low, high), strict=True)),
        "p_holm": p,
        "effect": center / spread if spread > 0 else math.nan,
        "word": word,
    }


def _sign(direction: str) -> float:
    return 1.0 if direction == "lower" else -1.0
