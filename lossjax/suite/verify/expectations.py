"""What the tables of a report must hold, line by line, from what was recomputed."""

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from lossjax.suite.verify.archive import Archive
from lossjax.suite.verify.recomputation import Recomputation
from lossjax.suite.verify.standings import BEHIND, ENDS, Ranked

SETTING = ("dataset", "model")
RUN = (*SETTING, "loss", "learning_rate", "seed", "latent_dim", "train_steps")
METRIC = (*SETTING, "metric")
Key = tuple[str, ...]  # what names a line
Line = Mapping[str, Any]  # by column


@dataclasses.dataclass(frozen=True)
class Expected:
    """One table; columns that are not named here are not looked at."""

    key: Sequence[str]  # the columns that name a line
    lines: Mapping[Key, Line]
    exact: bool = False  # it holds stored numbers, not computed ones


@dataclasses.dataclass(frozen=True)
class Sampled:
    """A p-value that hangs on random flips: another draw may be so far away."""

    value: float
    doubt: float


def rows(archive: Archive, runs: pd.DataFrame) -> Expected:
    """rows.csv: every run; test scores of those alone that a seed counts by."""
    scores = [
        f"{s}_{m}" for s in ("val", "test") for m in archive.description["metrics"]
    ]
    scores += [name for name in runs if name.startswith("diag_")]
    lines: dict[Key, Line] = {}
    # Of a sweep with a dial, two arms may share a run.
    names = (*RUN, "arm") if archive.sweep.tuned else RUN
    for run in runs.to_dict("records"):
        hidden = [n for n in scores if n.startswith("test_") and not run["chosen"]]
        lines[tuple(str(run[name]) for name in names)] = {
            "chosen": run["chosen"],
            "status": run["status"],
            "diverged_step": _number(run["diverged_step"]),
            **{name: run.get(name, math.nan) for name in scores},
            **dict.fromkeys(hidden, math.nan),
        }
    return Expected(names, lines, exact=True)


def pixels(archive: Archive) -> Expected:
    """pixels.csv: of every split how many pixels there are and how many count."""
    lines: dict[Key, Line] = {}
    for name, described in archive.description["datasets"].items():
        facts = described.get("pixels", {})
        height, width, channels = described["shape"]
        for split in ("train", "validation", "test"):
            values = described[split] * height * width * channels
            count = facts["counted"][split] if facts else values
            lines[name, split] = {
                "images": described[split],
                "values": values,
                "counted": count,
                "share": count / values,
                "levels": facts.get("levels", 256) or "any",
                "black": float(facts.get("black", 0)),
                "white": float(facts.get("white", 255)),
            }
    return Expected(("dataset", "split"), lines)


def _number(value: Any) -> Any:
    """A whole number; NaN where there is none."""
    return math.nan if value is None or math.isnan(value) else int(value)


def tables(found: Sequence[Recomputation]) -> Iterator[tuple[str, Expected]]:
    """The tables over all settings, by their file's stem."""
    of_metric: list[tuple[Key, Recomputation, Ranked]] = [
        ((one.dataset, one.model, metric), one, ranked)
        for one in found
        for metric, ranked in one.ranked.items()
    ]
    standings: dict[Key, Line] = {
        (*key, loss): {
            "direction": ranked.direction,
            "derived_from": one.derived.get(key[-1], ""),
            **standing(ranked, loss),
            **one.dial(loss),
        }
        for key, one, ranked in of_metric
        for loss in ranked.lines
    }
    yield "ranking", Expected((*METRIC, "loss"), standings)
    verdicts: dict[Key, Line] = {
        key: {"derived_from": one.derived.get(key[-1], ""), **_verdict(ranked)}
        for key, one, ranked in of_metric
    }
    yield "verdicts", Expected(METRIC, verdicts)
    rates: dict[Key, Line] = {
        (one.dataset, one.model, loss): {**arm, "missing": 0}
        for one in found
        for loss, arm in one.arms.items()
    }
    yield "rates", Expected((*SETTING, "loss"), rates)
    settings: dict[Key, Line] = {
        (one.dataset, one.model): {
            "settled": one.settled,
            "no_other_better_by_every_metric": ", ".join(one.pareto),
        }
        for one in found
        if one.ranked
    }
    yield "settings", Expected(SETTING, settings)
    changes: dict[Key, Line] = {
        key: change
        for key, one, ranked in of_metric
        if (change := _change(one.half.get(key[-1]), ranked))
    }
    yield "budgets", Expected(METRIC, changes)


def standing(ranked: Ranked, loss: str) -> dict[str, Any]:
    """A loss on a metric, without the words that other random flips could change."""
    line = dict(ranked.lines[loss])
    line["p_holm"] = Sampled(line["p_holm"], ranked.doubt.get(loss, 0.0))
    if ranked.undecidable(loss):
        del line["word"], line["best_set"]
    return line


def _verdict(ranked: Ranked) -> dict[str, Any]:
    lines = ranked.lines
    facts: dict[str, Any] = {
        status: ", ".join(f"{n} {x[status]}" for n, x in lines.items() if x[status])
        for status in ("lost", "diverged", "failed")
    }
    facts |= {"n": ranked.n, "needed": _number(ranked.needed)}
    if not any(map(ranked.undecidable, lines)):
        for word in ("best", "equivalent", "undecided"):
            of_word = (loss for loss, line in lines.items() if line["word"] == word)
            facts[word] = ", ".join(of_word)
    return facts


def _change(half: Ranked | None, full: Ranked) -> dict[str, Any] | None:
    """The best mean at half of the steps and at all of them."""
    if half is None or half.best is None or full.best is None:
        return None
    before = half.lines[half.best]["center"]
    after = full.lines[full.best]["center"]
    if before == 0:
        return None
    return {
        "best_at_half": half.best,
        "center_at_half": before,
        "best": full.best,
        "center": after,
        "change": (after - before) / abs(before),
    }


def compared(one: Recomputation) -> Expected:
    """Losses by metrics."""
    lines: dict[Key, dict[str, Any]] = {}
    for metric, ranked in one.ranked.items():
        for loss in ranked.lines:
            own = standing(ranked, loss)
            cells = {
                f"{metric}_{name}": own[name] for name in (*ENDS, "word") if name in own
            }
            lines.setdefault((loss,), one.dial(loss)).update(cells)
    return Expected(("loss",), lines)


def behind(one: Recomputation, metrics: Mapping[str, Mapping[str, Any]]) -> Expected:
    """How far behind the best: in per cent where the margin is relative."""
    lines: dict[Key, Line] = {}
    for metric, ranked in one.ranked.items():
        best = ranked.lines[ranked.best]["center"] if ranked.best else math.nan
        in_percent = metrics[metric]["margin"]["relative"] and best != 0
        for loss in ranked.lines:
            own = standing(ranked, loss)
            gap = [0.0] * 3 if loss == ranked.best else [own[name] for name in BEHIND]
            if in_percent:
                gap = [100 * end / abs(best) for end in gap]
            lines[loss, metric] = {
                "derived_from": one.derived.get(metric, ""),
                **dict(zip(("behind", "low", "high"), gap, strict=True)),
                "unit": "%" if in_percent else metrics[metric]["unit"],
                **one.dial(loss),
                **{name: own[name] for name in ("word",) if name in own},
            }
    return Expected(("trained_with", "scored_by"), lines)
