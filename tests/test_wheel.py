"""The wheel, installed where there is no clone."""

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from typed_commands import SMALL

from lossjax.suite.shipped import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the wheel is installed into, without what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    python = (sys.executable, "-m")
    build = (*python, "hatchling", "build", "-t", "wheel", "-d", folder / "built")
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (folder / "built").iterdir()
    target = folder / "installed"
    alone = ("--no-deps", "--no-index", "--no-compile", "--target", target)
    install = (*python, "pip", "install", *alone, wheel)
    subprocess.run(install, check=True, capture_output=True)
    return target


def environment(installed: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(installed), "COLUMNS": "100"}


def lossjax(
    installed: Path, folder: Path, *words: str
) -> subprocess.CompletedProcess[str]:
    """The installed command, in a folder."""
    return subprocess.run(
        [installed / "bin" / "lossjax", *words],
        cwd=folder,
        env=environment(installed),
        capture_output=True,
        text=True,
    )


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }


def test_holds_the_package_and_what_comes_with_it(installed: Path) -> None:
    names = {path.name.partition("-")[0] for path in installed.iterdir()}
    assert names == {"lossjax", "bin"}
    held = files(installed / "lossjax")
    for folder in ("configs", "experiments", "results/published"):
        shipped = files(ROOT / folder)
        name = f"shipped/{Path(folder).name}"
        assert shipped == files(installed / "lossjax" / name)
        held = {file: held[file] for file in held if not file.startswith(f"{name}/")}
    assert held == files(ROOT / "lossjax")
    assert {"py.typed", "__init__.pyi", "suite/report/page/index.html"} <= set(held)


def modules_of(extra: str) -> set[str]:
    """What an extra brings, by the names that are imported, and a plain install not."""
    plain: set[str] = set()
    todo = [Requirement(text).name for text in PROJECT["dependencies"]]
    while todo:
        name = todo.pop().casefold().replace("_", "-")
        if name not in plain:
            plain.add(name)
            needed = map(Requirement, importlib.metadata.requires(name) or ())
            todo += [
                need.name
                for need in needed
                if need.marker is None or need.marker.evaluate({"extra": ""})
            ]
    brought = {
        Requirement(text).name for text in PROJECT["optional-dependencies"][extra]
    }
    owners = importlib.metadata.packages_distributions()
    return {
        module
        for module, names in owners.items()
        if {name.casefold().replace("_", "-") for name in names} & (brought - plain)
    }


def run_without(
    modules: set[str], code: str, installed: Path, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Runs code where modules cannot be imported."""
    taken = f"import sys\nsys.modules.update(dict.fromkeys({sorted(modules)!r}))\n"
    return subprocess.run(
        [sys.executable, "-c", taken + code],
        cwd=folder,
        env=environment(installed),
        capture_output=True,
        text=True,
    )


def test_the_library_needs_nothing_of_the_suite(
    installed: Path, tmp_path: Path
) -> None:
    modules = modules_of("suite")
    assert {"ml_collections", "pandas", "matplotlib", "sklearn"} <= modules
    code = """
import importlib, pkgutil
import lossjax
assert "jax" not in sys.modules and "numpy" not in sys.modules
assert "NUMERICS" in dir(lossjax) and "lazy_loader" not in dir(lossjax)
for module in pkgutil.walk_packages(lossjax.__path__, "lossjax."):
    if not module.name.startswith("lossjax.suite"):
        importlib.import_module(module.name)
from lossjax import *
platform.prepare()
print(*sorted(set(dir(lossjax)) - set(globals())), resolve("huber(delta=0.05)").name)
try:
    compare("digits")
except ImportError as error:
    print(error)
"""
    done = run_without(modules, code, installed, tmp_path)
    assert done.returncode == 0, done.stderr
    name, why = done.stdout.splitlines()
    assert name == "huber(delta=0.05)"
    assert why.startswith("compare needs lossjax[suite]: pip install 'lossjax[suite]'")


@pytest.mark.parametrize("verb", ["sweep", "report", "reproduce"])
def test_a_plain_install_says_what_its_verbs_need(
    verb: str, installed: Path, tmp_path: Path
) -> None:
    code = "from lossjax.suite.cli.__main__ import main\nmain()"
    code = f"sys.argv = ['lossjax', {verb!r}]\n{code}"
    done = run_without({"ml_collections"}, code, installed, tmp_path)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "needs lossjax[suite]: pip install 'lossjax[suite]' (ml_collections" in line


@pytest.mark.slow
def test_stored_rows_are_found_from_any_folder(installed: Path, tmp_path: Path) -> None:
    words = ("reproduce", "bce_practice", "--from-stored")
    done = lossjax(installed, tmp_path, *words)
    assert done.returncode == 0, done.stderr
    made = tmp_path / "results/local/reproduce/bce_practice"
    assert (made / "summary.json").is_file()
    assert str(made.relative_to(tmp_path)) in done.stdout


@pytest.mark.slow
def test_what_works_on_a_clone_is_refused(installed: Path, tmp_path: Path) -> None:
    done = lossjax(installed, tmp_path, "test")
    assert done.returncode == 2, done.stdout
    (line,) = done.stderr.splitlines()
    assert "needs a clone" in line
    code = """
from lossjax.suite.docs import __main__ as docs
from lossjax.suite.launch import __main__ as launch
from lossjax.suite.reproduce import __main__ as reproduce
for program, *words in (
    (launch, "--accelerator=A100:8", "--out=gs://b/p"),
    (reproduce, "bce_practice", "--publish"),
    (docs,),
):
    try:
        program.main(words)
    except docs.UserError as error:
        print(error)
"""
    done = run_without(set(), code, installed, tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == done.stdout.count("needs a clone") == 3
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_programs_run_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    done = lossjax(installed, tmp_path, "sweep", "--dry_run", "--config=response")
    assert done.returncode == 0, done.stderr
    assert "nothing was trained" in done.stdout
    done = lossjax(installed, tmp_path, "reproduce", "--list")
    assert done.returncode == 0, done.stderr
    studies = {line.split(" ")[0] for line in done.stdout.splitlines()}
    assert {"aa", "vae_pytorch"} <= studies
    done = lossjax(installed, tmp_path, "sweep", "--dry_run", "--config=nothing")
    assert done.returncode == 2 and "digits, " in done.stderr
    assert not list(tmp_path.iterdir())
    done = lossjax(installed, tmp_path, "sweep", "--platform=cpu", *SMALL)
    assert done.returncode == 0, done.stderr
    (rows,) = tmp_path.glob("results/local/digits-*/report/rows.csv")
    assert "models=mlp_ae" in str(rows)
