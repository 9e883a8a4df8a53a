"""What the user's shell has no say in."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from typed_commands import SMALL

from lossjax.suite.shipped import ROOT

SETTLED = "from lossjax.suite.cli.environment import settle\nsettle()\n"


def run(code: str, folder: Path, *, behind: str = "", **more: str) -> str:
    """What code prints, once the environment is settled, with `behind` behind it."""
    done = subprocess.run(
        ["bash", "-c", f'"$0" -c "$1" {behind}', sys.executable, SETTLED + code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | more,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_settings_of_a_notebook_do_not_decide(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").write_bytes(b"font.size: 40 # \xff")
    code = (
        "import os, matplotlib; print(matplotlib.rcParams['font.size'], os.getcwd(), "
        "*sorted(n for n in os.environ if n.startswith(('JAX_', 'NNX_', 'MPL'))))"
    )
    shown = run(
        code,
        tmp_path,
        MPLBACKEND="module://matplotlib_inline.backend_inline",
        MATPLOTLIBRC=str(tmp_path),
        JAX_ENABLE_X64="maybe",
        JAX_DISABLE_JIT="1",
        NNX_GRAPH_MODE="false",
        JAX_PLATFORMS="cpu",
    )
    assert shown == f"10.0 {tmp_path} JAX_PLATFORMS\n"


@pytest.mark.slow
def test_every_program_beside_the_verbs_starts_as_they_do() -> None:
    """A notebook's backend and a bad setting of jax are nothing to it."""
    poison = {"MPLBACKEND": "nope", "JAX_ENABLE_X64": "maybe", "PYTHONPATH": str(ROOT)}
    started = {}
    for path in sorted((ROOT / "lossjax" / "suite").rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        text = path.read_text()
        # What runs on a Ray cluster has another Python, and a verb its own tests.
        if '__name__ == "__main__"' in text and "import ray" not in text:
            if path.name != "__main__.py" and (
                "import torch" not in text or find_spec("torch")
            ):
                started[name] = subprocess.Popen(
                    [sys.executable, "-m", name, "--nope"],
                    env=os.environ | poison,
                    stderr=subprocess.PIPE,
                    text=True,
                )
    assert "lossjax.suite.docs.generated" in started and len(started) > 4
    for name, process in started.items():
        said = process.communicate()[1].splitlines()
        assert process.returncode in (1, 2) and len(said) == 1, (name, said)
        assert said[0].startswith("lossjax: "), said


@pytest.mark.parametrize(
    "shell", [">&-", ">&- 2>&- <&-", "| head -1", "2>&1 | head -1", "2>&-"]
)
def test_whoever_stops_reading_stops_nothing(tmp_path: Path, shell: str) -> None:
    code = """
import sys, time, warnings
for line in range(3):
    print("line", line)
    print("line", line, file=sys.stderr)
    warnings.warn("line")
    time.sleep(0.1)
sys.stdout.flush()
file = open("done", "w")
assert file.fileno() > 2, "what C writes to a stream would go into the file"
"""
    run(code, tmp_path, behind=f"{shell}; exit ${{PIPESTATUS[0]}}")
    assert (tmp_path / "done").exists()


def test_a_full_disk_is_not_swallowed(tmp_path: Path) -> None:
    code = """
from lossjax.suite.cli.signals import run
run(lambda _: print("x") or 0, [])
"""
    shown = run(code, tmp_path, behind="> /dev/full; test $? = 1")
    assert shown == "lossjax: [Errno 28] No space left on device\n"


def test_no_encoding_stops_a_program(tmp_path: Path) -> None:
    shown = run("print('\u2588', chr(0xD800))", tmp_path, PYTHONIOENCODING="ascii")
    assert shown == "\\u2588 \\ud800\n"


@pytest.mark.slow
def test_a_clone_that_cannot_be_written_to(tmp_path: Path) -> None:
    clone, out = tmp_path / "clone", tmp_path / "out"
    for name in ("lossjax", "configs", "experiments", "tests"):
        unwanted = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, clone / name, ignore=unwanted)
    shutil.copy(ROOT / "run.sh", clone)
    (clone / "results").mkdir()
    calls = {
        "sweep": (["sweep", *SMALL, f"--out={out}"], 0, ""),
        "default": (["sweep", *SMALL], 2, "is not writable; name another directory"),
        "test": (None, 2, "not writable"),
    }
    for folder in (clone, *clone.rglob("*/")):
        folder.chmod(0o555)
    started = {}
    # No preexec_fn: that forks this process, which has jax in it.
    obeying = "import os, sys; from lossjax.suite.soak.testbed import without_override"
    obeying += "; without_override(); os.execv(sys.executable, sys.argv[1:])"
    for key, (words, _, _) in calls.items():
        program = ["lossjax.suite.cli", *words] if words else ["tests"]
        started[key] = subprocess.Popen(
            [sys.executable, "-B", "-c", obeying, sys.executable, "-m", *program],
            cwd=clone,
            env=os.environ | {"PYTHONPATH": str(clone), "HOME": str(tmp_path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    for key, process in started.items():
        said, (_, code, words) = process.communicate()[1], calls[key]
        assert process.returncode == code and words in said, (key, said)
        assert len(said.splitlines()) == bool(words), (key, said)
    assert (out / "report" / "rows.csv").is_file()
    assert not list(clone.rglob("__pycache__"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can be somebody else")
def test_nobody_without_a_home_is_told() -> None:
    code = "from lossjax.suite.cli.__main__ import main; import os, sys; "
    code += "os.setuid(54321); sys.argv[1:] = ['losses']; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={k: v for k, v in os.environ.items() if k != "HOME"},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    said = "lossjax: HOME is not set and this user has no home: export HOME=DIR\n"
    assert (done.returncode, done.stderr) == (2, said)
