"""Pixels that are no bytes: what asks for bytes is refused, and verify counts them."""

from pathlib import Path

import numpy as np
import pytest

from lossjax.suite.cli.errors import UserError
from lossjax.suite.sweep import __main__ as sweep

RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (["--config.losses=mse,discretized_logistic"], "discretized_logistic is a"),
        (["--config.losses=categorical"], "categorical is a probability of 256 grey"),
        (["--config.models=vae(dequantise=1)"], "adds the noise of a grey level"),
    ],
)
def test_what_needs_grey_levels_is_refused_of_floats(
    tmp_path: Path, asked: list[str], words: str
) -> None:
    np.save(tmp_path / "own.npy", RANDOM.random((20, 8, 8), np.float32))
    name, out = f"arrays:{tmp_path / 'own.npy'}", tmp_path / "out"
    with pytest.raises(UserError) as caught:
        sweep.main(
            [f"--config.datasets={name}", f"--out={out}", "--config.batch_size=8"]
            + asked
        )
    text = str(caught.value)
    assert words in text and f"{name} has floats" in text and "\n" not in text
    assert not out.exists()
