"""Losses with a dial, from the command line to verify: trained, resumed, widened."""

from pathlib import Path

import pandas as pd
import pytest
from typed_commands import SMALL

from lossjax.suite.cli.errors import UserError
from lossjax.suite.store import parameters
from lossjax.suite.store import results as store
from lossjax.suite.sweep import __main__ as sweep
from lossjax.suite.verify import __main__ as verify

pytestmark = pytest.mark.slow
OWN = """import jax
import jax.numpy as jnp


def tilted(raw, target, quantile=0.7):
    r = target - jax.nn.sigmoid(raw)
    return jnp.maximum(quantile * r, (quantile - 1) * r)
"""


def asked(out: Path, losses: str, *more: str) -> list[str]:
    return [
        f"--out={out}",
        *SMALL,
        f"--config.losses={losses}",
        "--config.learning_rates=1e-3,1e-2",
        "--config.models=mlp_ae",
        "--config.seeds=0,1",
        *more,
    ]


def test_dials_from_the_command_line_to_verify(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, file = tmp_path / "out", tmp_path / "own.py"
    file.write_text(OWN)
    own = f"{file}:tilted(quantile=tune(0.3, 0.7))"
    mix = "mix(mae, ssim, weight=tune(0.8, 0.2))"
    assert sweep.main(asked(out, f"mae,{mix},{own}", "--keep_models=best")) == 0
    shown = capsys.readouterr().out
    assert "dial chosen by mse: mix(mae, ssim, weight=0." in shown
    rows = pd.read_csv(out / "report/rows.csv")
    assert set(rows.groupby("arm").size()) == {8}  # two seeds of 2 x 2 or of 4
    weights = {"mix(mae, ssim, weight=0.2)", "mix(mae, ssim, weight=0.8)"}
    quantiles = {f"{file}:tilted", f"{file}:tilted(quantile=0.3)"}
    assert set(rows["loss"]) == {"mae", *weights, *quantiles}
    assert set(rows.groupby(["arm", "seed"])["chosen"].sum()) == {1}
    assert len(parameters.stored(out)) == 6
    assert verify.main([f"--out={out}"]) == 0
    before = {k: r.metrics for k, r in store.load(out).results.items()}

    assert sweep.main(asked(out, f"mae,{mix},{own}")) == 0
    assert "all 24 runs are stored; nothing to train" in capsys.readouterr().out
    # A value more: those of the others stay, and mae tries two rates more.
    wider = "mix(mae, ssim, weight=tune(0.2, 0.5, 0.8))"
    assert sweep.main(asked(out, f"mae,{wider}")) == 0
    after = {k: r.metrics for k, r in store.load(out).results.items()}
    assert before.items() <= after.items()
    rows = pd.read_csv(out / "report/rows.csv")
    assert set(rows.groupby("arm").size()) == {12}
    new = {r.run.loss for k, r in store.load(out).results.items() if k not in before}
    assert new == {"mix(mae, ssim, weight=0.5)", "mae"}
    assert verify.main([f"--out={out}"]) == 0


@pytest.mark.parametrize(
    ("losses", "more", "words"),
    [
        ("bce,huber(delta=tune(0.1))", (), "config.losses: loss .* has 1 value"),
        ("bce,huber(delta=tune(0.1, 0.3))", ("--config.learning_rates=1e-2",), "room"),
        (
            "huber(delta=tune(0.1, 1)),huber(delta=tune(1, 0.1))",
            (),
            "named twice",
        ),
    ],
)
def test_bad_dials_leave_nothing(
    losses: str, more: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        sweep.main(asked(tmp_path / "out", losses, *more))
    assert not (tmp_path / "out").exists()
