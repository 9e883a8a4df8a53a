"""What the suite did not write is neither removed nor replaced, nor mixed with."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from lossjax.suite.cli.errors import UserError
from lossjax.suite.launch import actions
from lossjax.suite.reproduce import __main__ as reproduce
from lossjax.suite.reproduce import ledger
from lossjax.suite.store import checkpoint, ownership, results, sealing

ID = "3940a00fb63bc680"
HEX = 32 * "0"


def held(folder: Path) -> dict[str, str]:
    """Every file and link below a folder, and what it holds."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def written(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


def aged(*folders: Path) -> None:
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.utime(path, (0, 0), follow_symlinks=False)


def test_what_killed_writers_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    run = tmp_path / "runs" / ID
    written(run, "result.json", "state.npz")
    sealing.publish(tmp_path / "sweep.json", "{}")
    whole = held(tmp_path)
    left = [
        *(run / sealing.temporary_name(n) for n in ("result.json", checkpoint.FILE)),
        tmp_path / sealing.temporary_name("sweep.json"),
        tmp_path / sealing.temporary_name("report") / "index.html",
    ]
    left[-1].parent.mkdir()
    for path in left:
        path.write_text("half")
    ownership.discard_temporaries(tmp_path)
    assert all(path.exists() for path in left), "their writers may be alive"
    aged(tmp_path)
    ownership.discard_temporaries(tmp_path)
    assert held(tmp_path) == whole and not left[-1].parent.exists()


def test_only_what_a_sweep_names_so_is_removed(tmp_path: Path) -> None:
    """Files of editors, linters, git and shells begin with a dot and have another."""
    out = written(
        tmp_path / "out",
        *(".env.local", ".pre-commit-config.yaml", ".eslintrc.json", ".config.d/a"),
        *(f".notes.{HEX}", f".sweep.json.{HEX}0", f".sweep.json.{HEX[1:]}"),
        *(f".sweep.json.{HEX}.old", f".sweep.json.{HEX}/a", f"runs/.result.json.{HEX}"),
        *(f"runs/{ID}/.env.local", f"runs/mine/.result.json.{HEX}"),
        *(f"runs/{ID}/deep/.result.json.{HEX}", f"mine/.sweep.json.{HEX}"),
        *(f"runs/{ID}/.sweep.json.{HEX}", f"runs/{ID}/.report.{HEX}/a"),
    )
    before = held(out)
    aged(out)
    ownership.discard_temporaries(out)
    assert held(out) == before


@pytest.mark.parametrize("link", ["runs", f"runs/{ID}", f".report.{HEX}"])
def test_nothing_is_removed_through_a_link(tmp_path: Path, link: str) -> None:
    temporary = f".result.json.{HEX}"
    names = temporary, f"{ID}/{temporary}", "index.html"
    elsewhere = written(tmp_path / "elsewhere", *names)
    out = tmp_path / "out"
    (out / link).parent.mkdir(parents=True)
    (out / link).symlink_to(elsewhere)
    aged(elsewhere, out)
    ownership.discard_temporaries(out)
    assert set(held(elsewhere)) == set(names)
    assert (out / link).is_symlink()


def sealed(out: Path) -> Path:
    results.write_sweep(out, {"losses": []})
    return out


@pytest.mark.parametrize(
    "make",
    [
        lambda out: out.rmdir(),
        lambda out: None,
        lambda out: written(out, f"runs/{ID}/result.json", f".sweep.json.{HEX}"),
        lambda out: written(out, f".report.{HEX}/index.html"),
        lambda out: (out / "report").mkdir(),
        lambda out: written(sealed(out), "notes.md", "runs/notes.txt"),
    ],
    ids=["absent", "empty", "killed", "killed_reporting", "no_report", "with_notes"],
)
def test_a_directory_of_a_sweep_may_be_gone_on_with(
    tmp_path: Path, make: Callable[[Path], object]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    make(out)
    ownership.check(out)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["main.py"], "holds main.py and no sweep.json"),
        ([".git/config"], "holds .git and no sweep.json"),
        (["runs/Nov26_host/events"], "holds runs and no sweep.json"),
        (["report/thesis.tex"], "report/thesis.tex was not written by this suite"),
        (["report/index.html"], "report/index.html was not written by this suite"),
        (["report"], "report was not written by this suite"),
        (["sweep.json", f"runs/{ID}/result.json"], "sweep.json: "),
        (["sweep.json/mine"], "sweep.json"),
    ],
)
def test_a_directory_that_holds_other_things_is_refused(
    tmp_path: Path, names: list[str], said: str
) -> None:
    out = written(tmp_path / "out", *names)
    before = held(out)
    with pytest.raises(UserError) as refusal:
        ownership.check(out, "--to")
    assert said in str(refusal.value) and "\n" not in str(refusal.value)
    assert str(refusal.value).startswith(f"--to={out}: ")
    assert held(out) == before


def test_runs_that_lie_elsewhere_are_not_taken_over(tmp_path: Path) -> None:
    written(tmp_path / "elsewhere", f"{ID}/result.json")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "runs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="holds runs"):
        ownership.check(tmp_path / "out")


def test_fetch_brings_nothing_to_a_directory_of_other_things(tmp_path: Path) -> None:
    """It is refused before the store is asked."""
    target = written(tmp_path / "to", "sweep.json")
    with pytest.raises(UserError, match=f"--to={target}: "):
        actions.bring(tmp_path, target)
    assert held(target) == {"sweep.json": "sweep.json"}


@pytest.mark.parametrize("name", ["index.html", "claims.md", "aa/summary.json"])
def test_reproduce_replaces_nobody_elses_page(tmp_path: Path, name: str) -> None:
    arguments = ["claims"] if name != "aa/summary.json" else ["aa", "--from-stored"]
    written(tmp_path, name)
    with pytest.raises(UserError, match=f"{name} was not written by this suite"):
        reproduce.main([*arguments, f"--out={tmp_path}"])
    assert held(tmp_path) == {name: name}


def test_reproduce_replaces_its_own_page(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(f"{ownership.SIGN} content='x'>")
    (tmp_path / "claims.md").write_text(f"{ledger.TITLE}\n")
    assert reproduce.main(["claims", f"--out={tmp_path}"]) == 0
    assert len((tmp_path / "claims.md").read_text()) > 1000
