"""run.sh: verbs, the choice of Python and lock, and an environment made once."""

import hashlib
import importlib
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from lossjax.suite.cli.__main__ import OF_A_CLONE, VERBS

ROOT = Path(__file__).parents[3]
VERSION = "{}.{}".format(*sys.version_info[:2])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment as `python -m venv` makes it."""
    place = tmp_path_factory.mktemp("made") / "venv"
    base = getattr(sys, "_base_executable", sys.executable)
    subprocess.run([base, "-I", "-m", "venv", place], check=True)
    return place


@pytest.fixture
def clone(tmp_path: Path, made: Path) -> Path:
    """A clone whose locks hold nothing, so that an install takes a second.

    The Python beside it copies the environment that it should make: making one, with
    pip in it, takes seconds.
    """
    root = tmp_path / "a clone"
    fake_python(
        tmp_path,
        "copying-python",
        f'case "$*" in\n*" -m venv "*) exec cp -a "{made}/." "${{@: -1}}" ;;\n'
        f'*ensurepip*) echo "$0" ;;\n*) exec "{sys.executable}" "$@" ;;\nesac',
    )
    (root / "requirements").mkdir(parents=True)
    (root / "lossjax/suite/cli").mkdir(parents=True)
    shutil.copy(ROOT / "run.sh", root)
    for name in ("environment.sh", "check.py"):
        shutil.copy(ROOT / "requirements" / name, root / "requirements")
    for lock in ("build", "cpu", "cuda", "cuda13", "tpu", "dev", "store"):
        (root / f"requirements/{lock}.lock").write_text(f"# {lock}\n")
    (root / "lossjax/suite/cli/__main__.py").write_text(
        "import os, sys; print('ran', os.getcwd(), sys.version_info[:2], sys.argv[1:])"
    )
    return root


def run(
    root: Path, *words: str, cwd: Path | None = None, **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """run.sh with these variables besides the usual ones; None takes one away."""
    python = root.parent / "copying-python"
    settings = {"LOSSJAX_DEVICE": "cpu"}
    settings["LOSSJAX_PYTHON"] = str(python) if python.exists() else sys.executable
    variables = {**os.environ, "LOSSJAX_VENV": "", **settings, **environment}
    return subprocess.run(
        ["sh", str(root / "run.sh"), *words],
        env={name: value for name, value in variables.items() if value is not None},
        cwd=cwd,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )


def sourced(root: Path, code: str, **environment: str) -> str:
    """What `code` prints where environment.sh has been read."""
    script = f'set -eu; root="{root}"; source "{root}/requirements/environment.sh"\n'
    done = subprocess.run(
        ["bash", "-c", script + code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    return (done.stdout + done.stderr).strip()


def fake_python(folder: Path, name: str, body: str) -> Path:
    path = folder / name
    path.write_text(f"#!/bin/bash\n{body}\n")
    path.chmod(0o755)
    return path


def wheel(folder: Path, name: str, version: str, module: str) -> Path:
    """A wheel of one module, as any index would offer it."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    record = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{name}.py", module)
        archive.writestr(
            f"{record}/METADATA",
            f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        )
        archive.writestr(
            f"{record}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(
            f"{record}/RECORD", f"{name}.py,,\n{record}/METADATA,,\n{record}/RECORD,,\n"
        )
    return path


def source(folder: Path, name: str, backend: str) -> Path:
    """A source archive that the named backend builds."""
    path = folder / f"{name}-1.tar.gz"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n",
        "pyproject.toml": "[build-system]\n"
        f'requires = ["{backend}"]\nbuild-backend = "{backend}"\n',
    }
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            entry = tarfile.TarInfo(f"{name}-1/{file}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def lock(root: Path, name: str, package: Path) -> None:
    """A lock that holds this package alone, with its hash."""
    package_name, version, *_ = package.name.removesuffix(".tar.gz").split("-")
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    (root / f"requirements/{name}.lock").write_text(
        f"{package_name}=={version} \\\n    --hash=sha256:{digest}\n"
        "    # via lossjax (pyproject.toml)\n"
    )


POISON = """
[global]
python = /no/such/python
[install]
user = true
dry-run = true
no-deps = true
only-binary = :all:
target = {elsewhere}
prefix = {elsewhere}
root = {elsewhere}
"""


def test_no_setting_and_no_foreign_module_leads_the_install_astray(
    clone: Path, tmp_path: Path
) -> None:
    index, here, elsewhere = (tmp_path / x for x in ("index", "here", "elsewhere"))
    for folder in (index, here, elsewhere, tmp_path / "pip"):
        folder.mkdir()
    # The build is pinned too: a newer backend is on the index and must not be taken.
    for version in ("2", "1"):
        (tmp_path / version).mkdir()
        built = wheel(tmp_path / version, "probe", "1", f"built_with = {version}")
        backend = "import os, shutil\ndef build_wheel(folder, *_):\n"
        backend += f"    return os.path.basename(shutil.copy({str(built)!r}, folder))"
        lock(clone, "build", wheel(index, "backend", version, backend))
    lock(clone, "cpu", source(index, "probe", "backend"))
    (clone / "lossjax/suite/cli/__main__.py").write_text(
        "import os, probe; print('built with', probe.built_with)\n"
        "print({'PYTHONHOME', 'PYTHONHASHSEED', 'PYTHONOPTIMIZE'} & {*os.environ})"
    )
    for module in ("venv", "pip", "ensurepip", "compileall", "probe", "sysconfig"):
        (here / f"{module}.py").write_text(f"open({str(elsewhere / 'ran')!r}, 'w')\n")
    (tmp_path / "pip/pip.conf").write_text(POISON.format(elsewhere=elsewhere))
    names = ("TARGET", "PREFIX", "ROOT", "SRC", "REPORT", "LOG")
    astray = {f"PIP_{name}": f"{elsewhere}/{name}" for name in names}
    done = run(
        clone,
        "losses",
        cwd=here,
        LOSSJAX_PYTHON=sys.executable,
        HOME=None,
        XDG_CONFIG_HOME=str(tmp_path),
        PYTHONPATH=str(here),
        PYTHONHOME="/no/such/home",
        PYTHONSAFEPATH=None,
        PYTHONHASHSEED="no number",
        PYTHONWARNINGS="error",
        PYTHONOPTIMIZE="2",
        PYTHONIOENCODING="no-codec",
        PIP_USER="1",
        PIP_DRY_RUN="1",
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(index),
        **astray,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "built with 1\nset()\n"
    assert not list(elsewhere.iterdir())


@pytest.mark.slow
def test_a_broken_environment_mends_itself(clone: Path, tmp_path: Path) -> None:
    lock(clone, "cpu", wheel(tmp_path, "probe", "1", ""))
    found = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    assert run(clone, "losses", **found).returncode == 0
    venv = clone / ".venv-cpu"
    python = venv / "bin/python"
    (module,) = venv.glob("lib/python*/site-packages/probe.py")
    breaks = (
        lambda: (python.unlink(), fake_python(venv / "bin", "python", "exit 127")),
        module.unlink,
        # What a kill leaves: an environment without the record of a finished lock.
        lambda: (venv / "lossjax-locks").write_text(""),
    )
    # Active, so that the Python found first is that of the environment to be mended.
    active = {"PATH": f"{venv}/bin:{os.environ['PATH']}", "LOSSJAX_PYTHON": ""}
    for damage in breaks:
        damage()
        mended = run(clone, "losses", **found, **active)
        assert mended.returncode == 0, mended.stderr
        assert "installing the cpu packages" in mended.stderr
        assert module.exists()
        assert run(clone, "losses", **active).stderr == ""


@pytest.mark.slow
def test_packages_that_do_not_import_are_not_recorded(
    clone: Path, tmp_path: Path
) -> None:
    lock(clone, "cpu", wheel(tmp_path, "probe", "1", "import no_such_module"))
    found = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)}
    done = run(clone, "losses", **found)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines()[-2].endswith("No module named 'no_such_module'")
    assert "cannot be imported" in done.stderr.splitlines()[-1]
    assert (clone / ".venv-cpu/lossjax-locks").read_text() == ""


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("/proc/lossjax", "cannot write to /proc/lossjax: name a place of your own"),
        ("/dev/null/venv", "cannot write to /dev/null/venv"),
        ("a:b", "Python takes no path with a colon"),
    ],
)
def test_a_place_that_cannot_be_is_named_in_one_line(
    clone: Path, place: str, words: str
) -> None:
    done = run(clone, "losses", LOSSJAX_VENV=place, cwd=clone)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert words in done.stderr and "LOSSJAX_VENV=PATH" in done.stderr


def test_verbs_run_and_are_listed() -> None:
    listed = run(ROOT, "--help")
    assert listed.returncode == 0
    usage, own, *lines = listed.stdout.splitlines()
    assert "VERB" in usage and "--version" in own
    verbs = [line.split()[0] for line in lines]
    assert {"sweep", "report", "losses", "data", "test"} <= set(verbs)
    assert set(verbs) - set(OF_A_CLONE) == set(VERBS)
    for package, _ in VERBS.values():
        program = importlib.import_module(f"lossjax.suite.{package}.__main__")
        assert callable(program.main)
        assert program.main.__module__ == program.__name__
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ([], "usage"),
        (["swep"], "unknown verb 'swep'"),
        (["--out=x"], "unknown verb '--out=x'"),
        (["zzz"], "unknown verb 'zzz'"),
        (["sweep report"], "unknown verb"),
        (["*"], "unknown verb '*'"),
    ],
)
def test_unknown_verbs_list_the_verbs_and_never_install(
    clone: Path, words: list[str], hint: str
) -> None:
    done = run(clone, *words)
    assert done.returncode == 2
    assert hint in done.stderr and "  sweep " in done.stderr
    assert done.stdout == "" and not list(clone.glob(".venv*"))


def test_installs_once_and_keeps_the_users_folder(clone: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    # A module of the user's must not shadow one of ours or of a library.
    (here / "lossjax.py").write_text("raise SystemExit('shadowed')")
    first = run(clone, "losses", "a b", "--c=*", cwd=here)
    assert first.returncode == 0, first.stderr
    assert (
        f"ran {here} {sys.version_info[:2]} ['losses', 'a b', '--c=*']" in first.stdout
    )
    # pip's own hundreds of lines are not for somebody who came to see losses.
    said = [line.split()[1] for line in first.stderr.splitlines()]
    assert said == ["installing", "compiling", "importing"], first.stderr
    start = time.perf_counter()
    again = run(clone, "losses", cwd=here)
    assert again.returncode == 0 and again.stderr == ""
    assert time.perf_counter() - start < 2


def test_progress_of_an_install_is_few_lines() -> None:
    kinds = (
        "Collecting one-a==1 (x)",
        "Processing /a/two-1-py3.whl",
        "Ignoring three: x",
    )
    kinds += ("Requirement already satisfied: four==1 in x", "  Downloading x (2 MB)")
    said = "\n".join(kinds * 12) + "\nInstalling collected packages: one, two"
    shown = sourced(ROOT, 'echo "$SAID" | follow_pip bench', SAID=said).splitlines()
    assert shown == [f"run.sh: {n} of 10 packages: four" for n in (20, 40)]


@pytest.mark.slow
def test_an_environment_is_of_a_device_its_lock_and_extras(clone: Path) -> None:
    """In one clone: to make an environment takes seconds."""
    first = run(clone, "losses", LOSSJAX_EXTRA="store")
    assert first.returncode == 0, first.stderr
    assert "installing the store packages" in first.stderr
    assert run(clone, "losses", LOSSJAX_EXTRA="store").stderr == ""
    wrong = run(clone, "losses", LOSSJAX_EXTRA="clouds")
    assert wrong.returncode == 2 and "valid are store, cluster, dev" in wrong.stderr
    other = run(clone, "losses", LOSSJAX_DEVICE="tpu")
    assert "installing the tpu packages" in other.stderr
    assert {path.name for path in clone.glob(".venv*")} == {".venv-cpu", ".venv-tpu"}
    (clone / "requirements/dev.lock").write_text("# another\n")
    assert run(clone, "losses").stderr == ""
    (clone / "requirements/cpu.lock").write_text("# another\n")
    stale = clone / ".venv-cpu/stale"
    stale.touch()
    changed = run(clone, "losses")
    assert "installing" in changed.stderr and not stale.exists()


def test_an_environment_for_another_device_is_never_touched(
    clone: Path, tmp_path: Path
) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    fake_python(venv / "bin", "python", "exit 0")
    (venv / "lossjax-locks").write_text("cuda 0\n")
    refused = run(clone, "losses", LOSSJAX_VENV=str(venv))
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1
    assert f"{venv} is an environment for cuda and stays one" in refused.stderr
    assert (venv / "bin/python").exists()
    assert (venv / "lossjax-locks").read_text() == "cuda 0\n"
    wrong = run(clone, "losses", LOSSJAX_DEVICE="gpu")
    assert wrong.returncode == 2 and "valid are cpu, cuda, cuda13, tpu" in wrong.stderr


@pytest.mark.parametrize("body", ["exit 127", "exit 0", "echo EVIL"])
def test_nothing_is_emptied_where_sums_cannot_be_told(
    clone: Path, tmp_path: Path, body: str
) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    fake_python(venv / "bin", "python", "exit 0")
    (venv / "lossjax-locks").write_text("cpu 0\n")
    fake_python(tmp_path, "sha256sum", body)
    path = f"{tmp_path}:{os.environ['PATH']}"
    refused = run(clone, "losses", PATH=path, LOSSJAX_VENV=str(venv))
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1
    assert "sha256sum is needed on PATH" in refused.stderr
    assert (venv / "lossjax-locks").read_text() == "cpu 0\n"
    assert (venv / "bin/python").exists()


@pytest.mark.slow
def test_help_needs_no_more_than_the_programs(clone: Path) -> None:
    (clone / "tests").mkdir()
    shutil.copy(ROOT / "tests/__main__.py", clone / "tests")
    for verb, help_, installed in (("bench", "--help", ["cpu"]), ("test", "-h", [])):
        done = run(clone, verb, "--quick", help_)
        assert done.returncode == 0, done.stderr
        assert re.findall(r"installing the (\w+)", done.stderr) == installed
        said = "./run.sh test [PYTEST ARGUMENTS]" if verb == "test" else "ran"
        assert said in done.stdout


@pytest.mark.slow
def test_a_failed_install_says_so_and_is_not_recorded(clone: Path) -> None:
    lock = clone / "requirements/cpu.lock"
    lock.write_text("lossjax-no-such-package @ file:///no/such/file.whl\n")
    done = run(clone, "losses")
    assert done.returncode == 1
    assert "the install stopped" in done.stderr.splitlines()[-1]
    assert "ERROR: " in done.stderr  # pip's own words
    assert (clone / ".venv-cpu/lossjax-locks").read_text() == ""


def test_a_foreign_folder_is_left_alone(clone: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis").touch()
    done = run(clone, "losses", LOSSJAX_VENV=str(home))
    assert done.returncode == 2 and "was not made by run.sh" in done.stderr
    assert (home / "thesis").exists()


@pytest.mark.slow
def test_two_at_once_install_once(clone: Path) -> None:
    command = ["bash", str(clone / "run.sh"), "losses"]
    settings = {
        "LOSSJAX_DEVICE": "cpu",
        "LOSSJAX_PYTHON": str(clone.parent / "copying-python"),
    }
    both = [
        subprocess.Popen(
            command,
            env={**os.environ, "LOSSJAX_VENV": "", **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    results = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert all("ran" in out for out, _ in results)
    assert sum("installing" in err for _, err in results) == 1


def test_a_place_that_another_claims_this_moment_is_ours(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    lock = f'mkdir -p "{venv}"; touch "{venv}/lossjax-locks"'
    other = f'ls() {{ {lock}; command ls "$@"; }}'
    claim = f'LOSSJAX_DEVICE=cpu; venv="{venv}"; claim_place && echo ours'
    assert sourced(ROOT, f"{other}; {claim}") == "ours"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("echo 3.10; exit 1", "is Python 3.10: valid are Python 3.11"),
        ("exit 127", "is no Python: valid are Python 3.11"),
    ],
)
def test_an_unfit_python_is_named(
    clone: Path, tmp_path: Path, body: str, words: str
) -> None:
    python = fake_python(tmp_path, "some-python", body)
    done = run(clone, "losses", LOSSJAX_PYTHON=str(python))
    assert done.returncode == 2
    assert words in done.stderr and len(done.stderr.splitlines()) == 1
    assert not list(clone.glob(".venv*"))


def test_an_old_python3_gives_way_to_a_fitting_one(tmp_path: Path) -> None:
    old = "echo 3.9; exit 1"
    for name in ("python3", "python3.13", "python3.12"):
        fake_python(tmp_path, name, old)
    path = f"{tmp_path}:{os.environ['PATH']}"
    code = "choose_python; echo $python"
    fake_python(tmp_path, "python3.11", "echo 3.11")
    assert sourced(ROOT, code, PATH=path, LOSSJAX_PYTHON="") == "python3.11"
    fake_python(tmp_path, "python3.11", old)
    message = sourced(ROOT, code, PATH=path, LOSSJAX_PYTHON="")
    assert "needs Python 3.11, 3.12 or 3.13, found 3.9" in message


def test_a_python_without_venv_gets_the_apt_command(
    clone: Path, tmp_path: Path
) -> None:
    python = fake_python(
        tmp_path,
        "debians-python",
        f'[[ $* == *ensurepip* ]] && exit 1; exec "{sys.executable}" "$@"',
    )
    done = run(clone, "losses", LOSSJAX_PYTHON=str(python))
    assert done.returncode == 2
    assert "sudo apt-get install python3-venv" in done.stderr
    assert len(done.stderr.splitlines()) == 1 and not list(clone.glob(".venv*"))


def test_locks_are_hashed_and_name_no_place() -> None:
    versions = {}
    devices = "cpu", "cuda", "cuda13", "tpu"
    for name in ("build", *devices, "dev", "store", "cluster", "launch"):
        text = (ROOT / f"requirements/{name}.lock").read_text()
        lines = [line for line in text.splitlines() if not line.startswith(" ")]
        pins = [line for line in lines if not line.startswith("#")]
        assert all("==" in pin and pin.endswith("\\") for pin in pins)
        for word in ("://", "file:", "--index", "--find-links", " @ "):
            assert word not in text
        versions[name] = {pin.rstrip("\\ ") for pin in pins}
    for name in (*devices, "dev", "store", "cluster"):
        assert versions["cpu"] <= versions[name]


def test_what_is_asked_of_the_suite_itself_installs_nothing(clone: Path) -> None:
    """Even where the reader of --help goes after a line."""
    (clone / "pyproject.toml").write_text('[project]\nversion = "7.8.9"\n')
    assert run(clone, "--version").stdout == "lossjax 7.8.9\n"
    piped = f"set -o pipefail; sh '{clone / 'run.sh'}' --help | true"
    subprocess.run(["bash", "-c", piped], capture_output=True)
    assert not list(clone.glob(".venv*"))


def test_what_trains_keeps_memory_unless_the_user_says_otherwise(clone: Path) -> None:
    shown = "import os; print(os.environ.get('GLIBC_TUNABLES'))"
    (clone / "lossjax/suite/cli/__main__.py").write_text(shown)
    for verb in ("sweep", "advise", "reproduce"):
        ours = run(clone, verb, GLIBC_TUNABLES=None).stdout
        assert ours.startswith("glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=10")
    assert run(clone, "report", GLIBC_TUNABLES=None).stdout == "None\n"
    theirs = "glibc.malloc.check=0"
    assert run(clone, "sweep", GLIBC_TUNABLES=theirs).stdout.strip() == theirs
