"""Models of the user's own through sweep, report, verify and load."""

import csv
from pathlib import Path

import numpy as np
import pytest
from typed_commands import SMALL

import lossjax
from lossjax.suite import data
from lossjax.suite.cli.errors import UserError
from lossjax.suite.shipped import ROOT
from lossjax.suite.store import parameters
from lossjax.suite.store import results as store
from lossjax.suite.sweep import __main__ as sweep
from lossjax.suite.sweep.resident import gallery_of
from lossjax.suite.verify import __main__ as verify

CODE = (ROOT / "tests" / "models" / "own_example.py").read_text()


def asked(folder: Path, *more: str) -> list[str]:
    mine = folder / "mine.py"
    return [
        f"--out={folder / 'out'}",
        *SMALL,
        f"--config.models={mine}:UNet(rate=0.2),{mine}:Plain",
        "--config.losses=bce,gaussian_pixel",  # of one and of two channels
        "--config.learning_rates=1e-2",
        "--config.seeds=0,1",
        "--config.width=4,4",
        "--config.train_steps=40",
        "--keep_models=all",
        *more,
    ]


@pytest.mark.slow
def test_through_sweep_report_verify_and_load(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine, out = tmp_path / "mine.py", tmp_path / "out"
    mine.write_text(CODE)
    assert sweep.main(asked(tmp_path)) == 0
    printed = capsys.readouterr().out
    assert "norm/mean, norm/var carried from step to step" in printed
    assert verify.main([f"--out={out}"]) == 0
    with open(out / "report" / "rows.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8 and {row["status"] for row in rows} == {"ok"}
    for row in rows:  # metrics of the code where there is one
        assert bool(row["test_knn_accuracy"]) == ("Plain" in row["model"])
        assert float(row["diag_gradient_snr"]) > 0
    test = data.load("digits").test.images
    images = test[gallery_of(len(test))]
    averages = set()
    for run_id, result in store.load(out).results.items():
        assert result.curve["validation_mse"][-1] < result.curve["validation_mse"][0]
        model = lossjax.load(out / "runs" / run_id)
        shown = np.round(model(images) * 255).astype(np.uint8)
        np.testing.assert_array_equal(shown, result.gallery)
        if "Plain" in result.run.model:
            np.testing.assert_allclose(
                model.decode(model.encode(images)), model(images), atol=1e-6
            )
            continue
        with pytest.raises(UserError, match="has no method encode"):
            model.encode(images)
        with pytest.raises(UserError, match="has no method decode"):
            model.decode(np.zeros((1, 2)))
        averages.add(float(model.params["state"]["norm/mean"][0]))
    assert len(averages) == 4 and 0 not in averages

    before = set(store.load(out).results)
    mine.write_text(CODE.replace("momentum=0.5", "momentum=0.6"))
    with pytest.raises(UserError, match="mine.py: has changed since"):
        lossjax.load(out / "runs" / run_id)
    assert sweep.main(asked(tmp_path, f"--config.models={mine}:Plain,conv_ae")) == 0
    added = [r.run for k, r in store.load(out).results.items() if k not in before]
    # The file is part of what its models are, and of no other.
    assert {run.model for run in added} == {f"{mine}:Plain", "conv_ae"}
    assert ["own_model" in run.fixed for run in added].count(True) == 4
    assert len(parameters.stored(out)) == 16


@pytest.mark.slow
def test_a_wrong_one_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    mine = tmp_path / "mine.py"
    mine.write_text(CODE)
    for name, words in (
        ("Sigmoid", "adding 1 to the bias head/bias adds"),
        ("Batchwise", "changes while images are scored"),
        ("Plan", "did you mean Plain"),
    ):
        with pytest.raises(UserError, match=f"^config.models: .*{words}"):
            sweep.main(asked(tmp_path, f"--config.models={mine}:{name}"))
    mine.write_text("class (\n")
    with pytest.raises(UserError, match="config.models: .*no Python that can be read"):
        sweep.main(asked(tmp_path))
    assert not (tmp_path / "out").exists()
