"""An array and a loss of the user's own, through sweep, report and verify."""

import csv
from pathlib import Path

import numpy as np
import pytest
from typed_commands import SMALL

from lossjax.suite.store import results as store
from lossjax.suite.sweep import __main__ as sweep
from lossjax.suite.verify import __main__ as verify

HALF = "import jax.numpy as jnp\n\ndef half(raw, target, share=0.5):\n    return "


@pytest.mark.slow
def test_arrays_and_losses_of_ones_own(tmp_path: Path) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine.py"
    rng = np.random.default_rng(0)
    bands = rng.integers(0, 4096, (40, 8, 8, 12)).astype(np.uint16)
    np.savez(tmp_path / "own.npz", images=bands, labels=np.arange(40) % 2)
    mine.write_text(HALF + "share * (1 / (1 + jnp.exp(-raw)) - target) ** 2\n")
    asked = [
        f"--out={out}",
        f"--config.datasets=arrays:{tmp_path / 'own.npz'}",
        "--config.value_range=0,4095",
        *SMALL,
        f"--config.losses=mse,{mine}:half(share=1.0),{mine}:half",
        "--config.learning_rates=1e-2",
        "--config.seeds=0,1",
        "--config.batch_size=8",
    ]
    assert sweep.main(asked) == 0
    assert verify.main([f"--out={out}"]) == 0
    with open(out / "report" / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    scores = [float(row["test_mse"]) for row in rows]
    # The same loss by another name: the same numbers, but for roundings.
    np.testing.assert_allclose(scores[:2], scores[2:4], rtol=1e-4)
    assert "test_probe_accuracy" in rows[0]
    before = set(store.load(out).results)
    mine.write_text(HALF + "share * jnp.abs(jnp.tanh(raw / 2) / 2 + 0.5 - target)\n")
    assert sweep.main(asked) == 0
    assert verify.main([f"--out={out}"]) == 0
    added = [r.run for k, r in store.load(out).results.items() if k not in before]
    # After an edit its runs, and no others, are trained anew.
    assert sorted({run.loss for run in added}) == [
        f"{mine}:half",
        f"{mine}:half(share=1)",
    ]
    assert len(added) == 4
