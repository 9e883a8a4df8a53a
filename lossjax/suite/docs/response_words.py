"""What the published response sweep says of g of power(g), in words."""

import json
from pathlib import Path

from lossjax.suite.shipped import PUBLISHED
from lossjax.suite.wording import listed

ENDS = {"BCE (g = 0)": "power(g=0)", "half-MSE (g = 1)": "power(g=1)"}
EDGES = ("power(g=-0.5)", "power(g=2)")


def response_words(place: Path = PUBLISHED) -> str:
    """Which ends are tied for best, metric by metric; optima at an edge; diverged."""
    path = place / "response" / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    (dataset,) = summary["datasets"].values()
    (model,) = dataset["models"].values()
    ranked = {
        name: {row["loss"]: row for row in column["ranking"]}
        for name, column in model["metrics"].items()
        if column["derived_from"] is None
    }
    said: dict[str, list[str]] = {}
    for metric, rows in ranked.items():
        tied = [words for words, loss in ENDS.items() if rows[loss]["best_set"]]
        words = " and ".join(tied) if tied else "neither end"
        said.setdefault(words, []).append(f"`{metric}`")
    text = "; ".join(f"by {listed(names)} {words}" for words, names in said.items())
    seeds = ranked["mse"][ENDS["BCE (g = 0)"]]["n"]
    sentences = [f"Tied for best ({seeds} seeds) are, of the two ends, {text}."]
    for metric, rows in ranked.items():
        best = next(iter(rows))
        if best not in EDGES:
            continue
        error = ranked["mse"][best]
        lowest = min(row["center"] for row in ranked["mse"].values())
        sentences.append(
            f"By `{metric}` the best is `{best}`, at the edge of the scan, so that a "
            f"value beyond it may be better; its squared error is "
            f"{error['center'] / lowest:.2f} times the lowest"
            f"{', which is significantly worse' if error['word'] == 'worse' else ''}."
        )
    gone = {loss: row["diverged"] for loss, row in ranked["mse"].items()}
    each = [f"{runs} of `{loss}`" for loss, runs in gone.items() if runs]
    if each:
        sentences.append(f"Runs that diverged, of all learning rates: {listed(each)}.")
    return " ".join(sentences)
