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


def rows_of(out: Path, *asked: str) -> list[dict[str, str]]:
    """What a small sweep of two seeds at one rate gives, verified."""
    small = [f"--out={out}", *SMALL, "--config.learning_rates=1e-2"]
    small += ["--config.seeds=0,1", "--config.batch_size=8"]
    assert sweep.main([*small, *asked]) == 0
    assert verify.main([f"--out={out}"]) == 0
    with open(out / "report" / "rows.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_arrays_and_losses_of_ones_own(tmp_path: Path) -> None:
    out, mine = tmp_path / "out", tmp_path / "mine.py"
    rng = np.random.default_rng(0)
    bands = rng.integers(0, 4096, (40, 8, 8, 12)).astype(np.uint16)
    mask = rng.random((40, 8, 8)) < 0.7
    bands[~mask] = 60_000  # a dead pixel's level, outside the range
    np.savez(tmp_path / "own.npz", images=bands, labels=np.arange(40) % 2, mask=mask)
    mine.write_text(HALF + "share * (1 / (1 + jnp.exp(-raw)) - target) ** 2\n")
    asked = [
        f"--config.datasets=arrays:{tmp_path / 'own.npz'}",
        "--config.value_range=0,4095",
        "--config.pixel_weights=inverse_frequency",
        f"--config.losses=mse,{mine}:half(share=1.0),{mine}:half",
    ]
    rows = rows_of(out, *asked)
    scores = [float(row["test_mse"]) for row in rows]
    # The same loss by another name: the same numbers, but for roundings.
    np.testing.assert_allclose(scores[:2], scores[2:4], rtol=1e-4)
    assert "test_probe_accuracy" in rows[0]
    with open(out / "report" / "tables" / "pixels.csv", newline="") as file:
        splits = list(csv.DictReader(file))
    assert sum(int(line["counted"]) for line in splits) == 12 * mask.sum()
    assert {line["levels"] for line in splits} == {"4096"}
    before = set(store.load(out).results)
    mine.write_text(HALF + "share * jnp.abs(jnp.tanh(raw / 2) / 2 + 0.5 - target)\n")
    rows_of(out, *asked)
    added = [r.run for k, r in store.load(out).results.items() if k not in before]
    # After an edit its runs, and no others, are trained anew.
    assert sorted({run.loss for run in added}) == [
        f"{mine}:half",
        f"{mine}:half(share=1)",
    ]
    assert len(added) == 4


@pytest.mark.slow
def test_floats_of_an_hdf5_file_through_a_variational_model(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    images = np.random.default_rng(0).uniform(-1, 1, (40, 8, 8)).astype(np.float32)
    out, file = tmp_path / "out", tmp_path / "own.h5"
    with h5py.File(file, "w") as made:
        made["scan/images"], made["scan/mask"] = images, images > -0.9
    lines = rows_of(
        out,
        f"--config.datasets=arrays:{file}:scan/images",
        "--config.value_range=-1,1",
        "--config.models=vae(body=mlp)",
        "--config.losses=gaussian_shared",
    )
    # A real number has a density and no bits.
    assert not any(line["test_bits_per_dim"] for line in lines)
    assert not any(line["test_bits_gaussian"] for line in lines)
    assert all(float(line["test_elbo"]) for line in lines)
    page = (out / "report" / "index.html").read_text(encoding="utf-8")
    assert "bits per dimension are not defined" in page
