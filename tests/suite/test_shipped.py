"""Which file a config's name means."""

import os
from pathlib import Path

import pytest

from lossjax.suite import shipped
from lossjax.suite.cli.errors import UserError


@pytest.mark.parametrize(
    "text", ["digits", "digits.py", "configs/digits", "configs/digits.py"]
)
def test_a_shipped_config_goes_by_its_name(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / text).mkdir(parents=True)  # a folder is no config
    assert os.path.samefile(shipped.config(text), shipped.CONFIGS / "digits.py")


def test_a_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    own = tmp_path / "digits.py"
    own.touch()
    for text in (own.name, f"./{own.name}", str(own), f"~/{own.name}"):
        assert os.path.samefile(shipped.config(text), own)
    # Without its ending it is no path of a file here.
    assert os.path.samefile(shipped.config("digits"), shipped.CONFIGS / "digits.py")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("digit", "did you mean 'digits'? valid: aa, atlas, beta_nll, cb_warp, "),
        ("configs/digit.py", "did you mean 'configs/digits.py'? "),
        ("mnst.py", "did you mean 'configs/mnist.py'? valid: configs/aa.py, "),
        ("", "valid: aa, atlas, beta_nll, cb_warp, "),
        ("..", "valid: aa, atlas, beta_nll, cb_warp, "),
        ("~", "valid: aa, atlas, beta_nll, cb_warp, "),
        ("~nobody_of_that_name/mnist.py", "mnist.py'? valid: configs/aa.py, "),
        ("x" * 300, "valid: aa, atlas, beta_nll, cb_warp, "),
    ],
)
def test_an_unknown_config_gets_the_shipped_ones(
    text: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as refused:
        shipped.config(text)
    assert f"unknown config file {text!r}: " in str(refused.value)
    assert hint in str(refused.value)
