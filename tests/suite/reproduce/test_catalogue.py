"""Studies are files: one more is one more study, and a broken one is one line."""

import json
import re
import shutil
from pathlib import Path

import contributing
import pytest

from lossjax.suite.cli.errors import UserError
from lossjax.suite.reproduce import __main__ as reproduce
from lossjax.suite.reproduce import configs
from lossjax.suite.reproduce.catalogue import STUDIES, Catalogue, read
from lossjax.suite.shipped import ROOT

(EXAMPLE,) = contributing.example("A study")


def written(folder: Path, text: str = EXAMPLE, name: str = "best_g.py") -> Path:
    file = folder / name
    file.write_text(text)
    return file


@pytest.mark.slow
def test_a_new_study_is_one_file(tmp_path: Path) -> None:
    """The example of CONTRIBUTING.md, word for word, trained small by the verb."""
    out = tmp_path / "out"
    assert reproduce.main([str(written(tmp_path)), "--quick", f"--out={out}"]) == 0
    place = out / "quick" / "best_g"
    summary = json.loads((place / "summary.json").read_text())
    assert summary["study"] == "best_g" and summary["what"].startswith("Is there a ")
    assert summary["made"]["runs"] == 210  # 21 losses, 5 rates, 2 seeds
    assert len(summary["table"]) == 21 and summary["counts"]["mse"] > 0
    assert (place / "figures" / "best_g.svg").is_file()
    page = (out / "quick" / "index.html").read_text()
    assert 'id="best_g"' in page and "Source: own expectation" in page


def test_a_file_put_into_the_folder_is_in_the_list(tmp_path: Path) -> None:
    shutil.copy(ROOT / "experiments" / "aa.py", tmp_path)
    studies = Catalogue(tmp_path)
    assert list(studies) == ["aa"]
    file = written(tmp_path)
    assert list(studies) == ["aa", "best_g"] and studies["best_g"].file == file
    assert studies.find("best_g").what == EXAMPLE.split("\n")[0].strip('"')
    assert studies["best_g"].source.startswith("own expectation: power(g) goes from")
    # A file of dataclasses whose annotations are text, wherever it lies.
    written(tmp_path, EXAMPLE.replace('"""\n\n', LATER, 1), "later.py")
    assert studies["later"].name == "later"


LATER = (
    '"""\n\nfrom __future__ import annotations\n\nimport dataclasses\n\n'
    "@dataclasses.dataclass\nclass Row:\n    name: str\n\n"
)


@pytest.mark.parametrize(
    ("line", "other", "message"),
    [
        ("\nSTUDY = ", "\nSTUDIES = ", "does not end in STUDY = Study.*step 3"),
        ("half-MSE?", "half-MSE.", "its first line does not ask a question.*step 1"),
        ("\nSource: ", "\nSources: ", "no paragraph begins with 'Source: '.*step 1"),
        ("ENDS = (", "ENDS = power(", r"line \d+: NameError: name 'power' is not"),
        ("ENDS = (", "ENDS = (((", r"line \d+: SyntaxError: "),
        ("import pandas", "import pandaz", r"line \d+: ModuleNotFoundError: "),
    ],
)
def test_a_step_left_out_is_one_line(
    tmp_path: Path, line: str, other: str, message: str
) -> None:
    assert line in EXAMPLE
    file = written(tmp_path, EXAMPLE.replace(line, other, 1))
    with pytest.raises(UserError, match=message) as error:
        reproduce.main([str(file), "--from-stored"])
    assert str(file) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("respons", "unknown config 'respons': did you mean 'response'"),
        ("surgery:adam-white2-tunned", "did you mean 'adam-white2-tuned'"),
    ],
)
def test_a_config_that_is_not_there_is_one_line(
    tmp_path: Path, config: str, message: str
) -> None:
    text = EXAMPLE.replace('config="response"', f'config="{config}"')
    with pytest.raises(UserError, match=message):
        reproduce.main([str(written(tmp_path, text)), "--quick", f"--out={tmp_path}/o"])
    assert not (tmp_path / "o").exists()


def test_a_config_with_a_dial_is_refused_before_training(tmp_path: Path) -> None:
    config = tmp_path / "dial.py"
    config.write_text(
        "from lossjax.suite.config import sweep\n\n\ndef get_config():\n"
        "    return sweep(losses=('bce', 'huber(delta = tune(0.1, 0.3))'))\n"
    )
    text = EXAMPLE.replace('config="response"', f'config="{config}"')
    with pytest.raises(UserError, match="rows of a study are of single losses") as said:
        reproduce.main([str(written(tmp_path, text)), "--quick", f"--out={tmp_path}/o"])
    assert "\n" not in str(said.value) and not (tmp_path / "o").exists()


def test_a_study_elsewhere_goes_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    file = written(tmp_path)
    assert STUDIES.find("~/best_g.py").file == file
    assert STUDIES.find("experiments/aa.py") == STUDIES["aa"] == STUDIES.find("aa")
    for arguments, message in (
        ([str(file), "--publish"], "--publish: .*best_g.py is not in experiments/"),
        (["~/best_h.py"], "unknown study '~/best_h.py'"),
    ):
        with pytest.raises(UserError, match=message):
            reproduce.main(arguments)
    (tmp_path / "other").mkdir()
    other = written(tmp_path / "other")
    with pytest.raises(UserError, match="two files are named best_g.py"):
        reproduce.main([str(file), str(other)])


@pytest.mark.parametrize("name", STUDIES)
def test_studies_and_configs_import_the_machine_and_not_each_other(name: str) -> None:
    text = (ROOT / "experiments" / f"{name}.py").read_text()
    if STUDIES[name].config:
        text += (ROOT / "configs" / f"{STUDIES[name].config}.py").read_text()
    assert not re.search(r"^\s*(from|import) (experiments|configs)\b", text, re.M)


def test_a_config_has_each_of_its_sweeps_by_an_argument() -> None:
    plan = configs.config("surgery")
    whole = plan.sweeps()
    chosen = configs.sweeps("surgery:sgd-white8-equal", "usual")
    assert list(chosen.values()) == [whole["sgd, white 8, equal"]]
    (small,) = configs.sweeps("surgery:sgd-white8-equal", "quick").values()
    assert small.train_steps == 20 and len(small.seeds) == 2


def test_experiments_shows_studies_and_nothing_else() -> None:
    stems = sorted(file.stem for file in (ROOT / "experiments").iterdir())
    found = [name for name in stems if name != "__pycache__"]
    assert found == list(STUDIES) == [study.name for study in STUDIES.values()]
    assert read(ROOT / "experiments" / "aa.py") == STUDIES["aa"]
