"""Networks that are taken home: the sweep's own pictures to the bit, or one line."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from typed_commands import SMALL

import lossjax
from lossjax.suite import data
from lossjax.suite.cli.errors import UserError
from lossjax.suite.report.display import Comparison
from lossjax.suite.store import parameters
from lossjax.suite.store import results as store
from lossjax.suite.sweep import __main__ as sweep
from lossjax.suite.sweep.resident import gallery_of

pytestmark = pytest.mark.slow
MODELS = "conv_ae,mlp_ae,vae(dequantise=1)"
LOSSES = "bce,gaussian_shared"  # of two channels, and with a trained scalar


def asked(out: Path, *more: str) -> list[str]:
    return [
        f"--out={out}",
        *SMALL,
        f"--config.models={MODELS}",
        f"--config.losses={LOSSES}",
        "--config.seeds=0,1",
        "--config.width=4,4",
        *more,
    ]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("kept") / "out"
    assert sweep.main(asked(out, "--keep_models=best")) == 0
    return out


def test_output_images_are_those_of_the_sweep(out: Path) -> None:
    kept = parameters.stored(out)
    runs = store.load(out).results
    assert len(kept) == 12 and len(runs) == 36  # of three rates one
    test = data.load("digits").test.images
    images = test[gallery_of(len(test))]
    for run_id in kept:
        model = lossjax.load(out / "runs" / run_id)
        shown = np.round(model(images) * 255).astype(np.uint8)
        np.testing.assert_array_equal(shown, runs[run_id].gallery)
        codes = model.encode(images)
        assert codes.shape == (len(images), 2)
        np.testing.assert_allclose(model.decode(codes), model(images), atol=1e-6)
        floats = (images / 255).astype(np.float32)
        np.testing.assert_array_equal(model(floats[..., 0]), model(images))
        np.testing.assert_array_equal(model(images[:3]), model(images)[:3])
    chosen = Comparison.of(out).run("bce", 1)
    assert chosen.name in kept and runs[chosen.name].run.seed == 1


def test_all_are_kept_and_nothing_else_is_trained(
    out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    before = {name: one.metrics for name, one in store.load(copy).results.items()}
    narrow = "--config.models=mlp_ae"
    assert sweep.main(asked(copy, "--keep_models=all", narrow)) == 0
    assert "8 stored runs without a model: trained again" in capsys.readouterr().out
    after = {name: one.metrics for name, one in store.load(copy).results.items()}
    assert before == after
    assert len(parameters.stored(copy)) == 12 + 8
    assert sweep.main(asked(copy, "--keep_models=best", narrow)) == 0
    assert len(parameters.stored(copy)) == 12 + 8  # an earlier call wanted them


def test_what_cannot_be_loaded_is_one_line(out: Path, tmp_path: Path) -> None:
    run = out / "runs" / min(parameters.stored(out))
    model = lossjax.load(run)
    wrong = [
        (lambda: model(np.zeros((2, 9, 8, 1), np.uint8)), r"takes \(n, 8, 8, 1\)"),
        (
            lambda: model(np.full((1, 8, 8), 2.0)),
            "float64 from 2 to 2; valid are uint8",
        ),
        (lambda: model(np.zeros((1, 8, 8), np.uint16)), "uint16 from 0 to 0"),
        (lambda: model.decode(np.zeros((1, 3))), r"valid is \(n, 2\)"),
        (lambda: lossjax.load(out), "holds no model.npz; ./run.sh sweep --keep_models"),
    ]
    content = bytearray((run / "model.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "model.npz").write_bytes(content)
    wrong.append((lambda: lossjax.load(tmp_path), "damaged|sha256"))
    for call, words in wrong:
        with pytest.raises(UserError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="'some': valid: best, all"):
        sweep.main(asked(tmp_path / "no", "--keep_models=some"))


def test_a_changed_number_is_seen_by_its_hash(out: Path, tmp_path: Path) -> None:
    run = out / "runs" / min(parameters.stored(out))
    with np.load(run / "model.npz") as arrays:  # anybody's numpy reads it
        changed = {name: arrays[name] for name in arrays}
    changed["head/bias"] = changed["head/bias"] + 1
    np.savez(tmp_path / "model.npz", **changed)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="its sha256 does not match"):
        lossjax.load(tmp_path)
