"""What is said of the response sweep follows its rows."""

import json
from pathlib import Path

from lossjax.suite.docs.response_words import response_words


def row(loss: str, center: float, word: str, diverged: int = 0) -> dict[str, object]:
    kept = {"loss": loss, "center": center, "word": word, "n": 10}
    return kept | {"best_set": word != "worse", "diverged": diverged}


def test_ends_edges_and_diverged_runs_are_said(tmp_path: Path) -> None:
    mse = [
        row("power(g=0)", 0.10, "best"),
        row("power(g=1)", 0.11, "undecided"),
        row("power(g=2)", 0.13, "worse"),
        row("power(g=-0.5)", 0.20, "worse", diverged=3),
    ]
    sharp = [mse[2] | {"word": "best", "best_set": True}, *mse[3:]]
    sharp += [one | {"word": "worse", "best_set": False} for one in mse[:2]]
    metrics = {
        "mse": {"derived_from": None, "ranking": mse},
        "psnr": {"derived_from": "mse", "ranking": mse},
        "sharp": {"derived_from": None, "ranking": sharp},
    }
    summary = {"datasets": {"d": {"models": {"m": {"metrics": metrics}}}}}
    (tmp_path / "response").mkdir()
    (tmp_path / "response" / "summary.json").write_text(json.dumps(summary))
    assert response_words(tmp_path) == (
        "Tied for best (10 seeds) are, of the two ends, by `mse` BCE (g = 0) and "
        "half-MSE (g = 1); by `sharp` neither end. By `sharp` the best is "
        "`power(g=2)`, at the edge of the scan, so that a value beyond it may be "
        "better; its squared error is 1.30 times the lowest, which is significantly "
        "worse. Runs that diverged, of all learning rates: 3 of `power(g=-0.5)`."
    )
