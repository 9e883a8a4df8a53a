"""Who may import whom: a laptop rebuilds every report, TensorFlow is never needed."""

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
LAPTOP = next(
    contract
    for contract in CONTRACTS["contracts"]
    if "laptop" in contract["name"].casefold()
)


def imported(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after running `code`."""
    code += "\nimport sys\nprint(*{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_results_are_read_without_jax() -> None:
    modules = LAPTOP["source_modules"]
    assert {"lossjax.suite.report", "lossjax.suite.store"} <= set(modules)
    found = imported("\n".join(f"import {module}" for module in modules))
    assert "numpy" in found
    assert not found & set(LAPTOP["forbidden_modules"])


@pytest.mark.slow
def test_an_import_installs_no_signal_handlers() -> None:
    """Of any module; programs that are run by their own Python aside."""
    imported(
        "import importlib, pkgutil, signal\n"
        "import lossjax\n"
        "numbers = [n for n in signal.valid_signals() if signal.getsignal(n)]\n"
        "before = [signal.getsignal(n) for n in numbers]\n"
        "for module in pkgutil.walk_packages(lossjax.__path__, 'lossjax.'):\n"
        "    try:\n"
        "        importlib.import_module(module.name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        assert error.name.split('.')[0] in ('mkdocs', 'ray', 'torch'), error\n"
        "assert [signal.getsignal(n) for n in numbers] == before\n"
        "import sys; assert 'lossjax.suite.sweep.grid' in sys.modules\n"
    )


@pytest.mark.parametrize(
    ("package", "line", "contract"),
    [
        (
            "lossjax.losses.loss",
            "import lossjax.suite.config",
            "knows nothing of the programs",
        ),
        ("lossjax.losses.loss", "import lossjax.metrics.images", "of the programs"),
        ("lossjax.suite.config", "import experiments", "nothing of the experiments"),
        ("lossjax", "def f():\n    import tensorflow", "TensorFlow is never needed"),
        ("lossjax.suite.data", "import tensorflow as tf", "TensorFlow is never needed"),
        ("lossjax.suite.store.results", "import lossjax.losses.loss", "without jax"),
        (
            "lossjax.suite.store.results",
            "import tensorflow_datasets",
            "tensorflow-datasets",
        ),
    ],
)
def test_the_import_rules_catch(
    tmp_path: Path, package: str, line: str, contract: str
) -> None:
    """A planted import, in a copy that holds only the modules, breaks its rule.

    That they hold is one of the static checks of `./run.sh test`.
    """
    for name in ("lossjax", "experiments"):
        for source in (ROOT / name).rglob("*.py"):
            target = tmp_path / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    planted = tmp_path / package.replace(".", "/")
    planted = (
        planted / "__init__.py" if planted.is_dir() else planted.with_suffix(".py")
    )
    planted.write_text(f"{planted.read_text()}\n{line}\n")
    tool = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [tool, "--no-logo", "--no-cache"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    broken = [line for line in done.stdout.splitlines() if "BROKEN" in line]
    assert any(contract in line for line in broken), done.stdout


def test_a_plain_install_has_all_that_is_imported() -> None:
    lock = (ROOT / "requirements" / "cpu.lock").read_text()
    locked = set(re.findall(r"^([a-z0-9.-]+)==", lock, re.MULTILINE))
    found: dict[str, str] = {}
    for package in ("lossjax", "experiments"):
        for path in (ROOT / package).rglob("*.py"):
            # These run under locks of their own: of the cluster, the site, the bench.
            if path.name == "site_hooks.py" or path.parent.name in ("bench", "on_ray"):
                continue
            for name in imported_at_once(path):
                found.setdefault(name, str(path))
    owners = importlib.metadata.packages_distributions()
    ours = {"lossjax", "experiments", *sys.stdlib_module_names}
    missing = {
        name: path
        for name, path in found.items()
        if name not in ours
        and not {d.casefold().replace("_", "-") for d in owners.get(name, ())} & locked
    }
    assert {"jax", "mpmath", "pandas"} <= set(found)
    assert not missing


def imported_at_once(path: Path) -> set[str]:
    """Top-level names that a module imports as soon as it is imported itself."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.split(".")[0])
    return names
