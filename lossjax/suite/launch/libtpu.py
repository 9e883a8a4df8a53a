"""libtpu for compiling without a TPU: from the tpu lock, beside the environment."""

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from lossjax import trust
from lossjax.suite.cli.errors import UserError
from lossjax.suite.shipped import ROOT


def library() -> Path:
    """libtpu.so, installed on first use: 210 MB, hashes checked.

    It goes to a folder of its own, so that the environment's jax stays as it is.
    """
    spec = importlib.util.find_spec("libtpu")
    if spec is not None and spec.origin is not None:
        return Path(spec.origin).parent / "libtpu.so"
    lock = pinned((ROOT / "requirements" / "tpu.lock").read_text())
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    key = hashlib.sha256((lock + version).encode()).hexdigest()[:12]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = base / "lossjax" / f"libtpu-{key}"
    file = folder / "libtpu" / "libtpu.so"
    if folder.is_dir() and (why := trust.refusal(folder)):
        raise UserError(f"--check: libtpu is not loaded: {why}")
    if not file.is_file():
        print(f"installing libtpu into {folder} (once, 210 MB)", file=sys.stderr)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
            _install(lock, Path(fresh))
            try:
                os.rename(Path(fresh) / "made", folder)
            except OSError:
                if not file.is_file():  # else somebody was quicker
                    raise
    return file


def version(library: Path) -> str:
    """Of the libtpu whose library that is, as pip has noted it."""
    for note in library.parent.parent.glob("libtpu-*.dist-info"):
        return note.name.removeprefix("libtpu-").removesuffix(".dist-info")
    return "unknown"


def pinned(lock: str) -> str:
    """The lines of a lock that pin libtpu, hashes and markers included."""
    return "".join(re.findall(r"^libtpu==.*\n(?:    --hash.*\n)+", lock, re.MULTILINE))


def _install(lock: str, folder: Path) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text(lock)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--require-hashes", "--target", str(folder / "made")]
    ended = subprocess.run(
        [*command, "-r", str(requirements)], capture_output=True, text=True
    )
    if ended.returncode:
        said = (ended.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise UserError(f"--check: libtpu cannot be installed: {said}")
