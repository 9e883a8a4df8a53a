"""The verb and the call are one; what is refused is one line, and nothing is made."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lossjax
from lossjax.suite.advise import __main__ as verb
from lossjax.suite.advise import timetable
from lossjax.suite.cli.errors import UserError
from lossjax.suite.store import results as store

SMALL = {"models": "mlp_ae", "hidden": (4,), "latent_dim": 2, "curve_points": 2}


def picture(value: np.ndarray, kind: str = "PNG") -> bytes:
    kept = io.BytesIO()
    Image.fromarray(value).save(kept, kind)
    return kept.getvalue()


def noise(seed: int) -> bytes:
    random = np.random.default_rng(seed)
    return picture(random.integers(0, 256, (12, 12, 3)).astype(np.uint8))


FOLDERS: dict[str, tuple[dict[str, bytes], str]] = {
    "empty": ({}, "the folder is empty"),
    "one": ({"a.png": noise(0)}, "1 different picture, at least 12 are needed"),
    "equal": ({f"{i}.png": noise(0) for i in range(20)}, "1 different picture"),
    "black": (
        {f"{i}.png": picture(np.zeros((9, 9), np.uint8)) for i in range(20)},
        "1 different picture",
    ),
    "corrupt": ({f"{i}.png": noise(i)[:60] for i in range(20)}, "0 different pictures"),
    "text": ({"notes.txt": b"no picture"}, "0 different pictures"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_folders_that_hold_too_little(name: str, tmp_path: Path) -> None:
    files, words = FOLDERS[name]
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    with pytest.raises(UserError) as caught:
        verb.main([str(folder), f"--out={out}"])
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not out.exists()
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == files


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "advise needs pictures: a folder, a file of arrays, or a dataset"),
        (["digits", "mnist"], "stray argument 'mnist'"),
        (["/no/such/folder"], "/no/such/folder: does not exist; valid are a folder"),
        (["./no"], "./no: does not exist"),
        ([__file__], "test_advisor.py: is one file; valid are a folder"),
        (["digts"], "did you mean digits?"),
        (["digits", "--minutes=0"], "minutes = 0.0: must be a number of at least 0.2"),
        (["digits", "--minutes=0.17"], "which is 12 seconds"),
        (["digits", "--minutes=nan"], "must be a number of at least"),
        (["digits", "--minutes=soon"], "--minutes=soon: must be a number"),
        (["digits", "--for=beauty"], "unknown purpose 'beauty': did you mean"),
        (["digits", "--config.seeds=1,2"], "config.seeds: the advisor chooses it"),
        (["digits", "--config.lossses=bce"], "did you mean 'losses'?"),
        (["digits", "--config.image_size"], "needs a value"),
        (["digits", "--config.models=vae,mlp_ae"], "the advisor trains one"),
        (["digits", "--minute=3"], "unknown flag '--minute'"),
    ],
)
def test_refuses_in_one_line(arguments: list[str], words: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError) as caught:
        verb.main([*arguments, f"--out={out}"])
    assert words in str(caught.value) and "\n" not in str(caught.value)
    assert not out.exists()


def test_codes_need_labels_and_nothing_goes_into_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(20):
        (folder / f"{i}.png").write_bytes(noise(i))
    before = sorted(folder.iterdir())
    with pytest.raises(UserError, match="--for=codes: needs labels"):
        lossjax.recommend(folder, purpose="codes", out=tmp_path / "out")
    with pytest.raises(UserError, match="lies in the folder that is looked at"):
        lossjax.recommend(folder, out=folder / "advice")
    assert sorted(folder.iterdir()) == before and not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_verb_and_the_call_are_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """And what is stored is not trained again, nor planned anew."""
    monkeypatch.setattr("lossjax.suite.shipped.LOCAL", tmp_path)
    monkeypatch.setattr(timetable, "_WISHES", ((None, (1e-3,), 5),))
    monkeypatch.setattr(timetable, "LADDER", (5,))
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (160, 8, 8)).astype(np.uint8)
    mask = np.ones(images.shape, bool)
    mask[:, :2] = False
    made = lossjax.recommend(images, mask=mask, minutes=60, **SMALL)
    told = capsys.readouterr().out
    assert "mask" in told and "nothing to train" not in told
    assert made.loss == "bce" and not made.decided  # noise, and five steps
    assert "nothing was learned yet" in made.text
    assert "def loss" in made.code["jax"] and "mask" in made.report().read_text()
    file = next((tmp_path / "arrays").glob("*.npz"))
    fields = [
        f"--config.{name}={value[0] if isinstance(value, tuple) else value}"
        for name, value in SMALL.items()
    ]
    runs = {path: path.stat().st_mtime_ns for path in store.result_files(made.out)}
    assert verb.main([str(file), "--minutes=60", *fields]) == 0
    printed = capsys.readouterr().out
    assert made.text in " ".join(printed.split()) and "measuring" not in printed
    assert "def loss(target: Array, raw: Array)" in printed  # keras, too
    assert runs == {path: path.stat().st_mtime_ns for path in runs}
    assert len(runs) == len(list(store.result_files(made.out)))
    assert made.report().is_file()
