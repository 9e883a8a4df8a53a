"""Compilers for accelerators that are not here: from the locks, beside the environment.

Each is installed on first use into a folder of its own, hashes checked, so that the
environment's jax stays as it is.
"""

import hashlib
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from lossjax import trust
from lossjax.suite.cli.errors import UserError
from lossjax.suite.shipped import ROOT


@dataclass(frozen=True)
class Compiler:
    """What is installed to compile for a kind of accelerator.

    Attributes:
      name: in messages, and of its folder.
      lock: that pins its packages, as pip names them.
      module: what is imported where the environment has it, and `file`: what it
        consists of, below the folder that holds the packages.
      megabytes: to download.
    """

    name: str
    lock: str
    packages: tuple[str, ...]
    module: str
    file: str
    megabytes: int

    def folder(self) -> Path:
        """The folder of its packages: the environment's, else one made on first use."""
        with_it = _folder_with(self.module)
        if with_it is not None and (with_it / self.file).is_file():
            return with_it
        lock = self.pinned((ROOT / "requirements" / f"{self.lock}.lock").read_text())
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        key = hashlib.sha256((lock + version).encode()).hexdigest()[:12]
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        folder = base / "lossjax" / f"{self.name}-{key}"
        if folder.is_dir() and (why := trust.refusal(folder)):
            raise UserError(f"--check: {self.name} is not loaded: {why}")
        if not (folder / self.file).is_file():
            print(
                f"installing {self.name} into {folder} (once, {self.megabytes} MB)",
                file=sys.stderr,
            )
            folder.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
                self._install(lock, Path(fresh))
                try:
                    os.rename(Path(fresh) / "made", folder)
                except OSError:
                    if not (folder / self.file).is_file():  # else somebody was quicker
                        raise
        return folder

    def versions(self, folder: Path) -> dict[str, str]:
        """Of its packages in a folder, as pip has noted them."""
        found = {}
        for package in self.packages:
            note = f"{package.replace('-', '_')}-*.dist-info"
            for place in folder.glob(note):
                name, version = place.name.removesuffix(".dist-info").split("-", 1)
                found[name.replace("_", "-")] = version
        return found

    def pinned(self, lock: str) -> str:
        """The lines of a lock that pin its packages, hashes and markers included."""
        names = "|".join(map(re.escape, self.packages))
        pins = rf"^(?:{names})==.*\n(?:    --hash.*\n)+"
        return "".join(re.findall(pins, lock, re.MULTILINE))

    def _install(self, lock: str, folder: Path) -> None:
        requirements = folder / "requirements.txt"
        requirements.write_text(lock)
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        command += ["--require-hashes", "--target", str(folder / "made")]
        ended = subprocess.run(
            [*command, "-r", str(requirements)], capture_output=True, text=True
        )
        if ended.returncode:
            said = (ended.stderr.strip().splitlines() or ["pip failed"])[-1]
            raise UserError(f"--check: {self.name} cannot be installed: {said}")


LIBTPU = Compiler("libtpu", "tpu", ("libtpu",), "libtpu", "libtpu/libtpu.so", 210)
CUDA = Compiler(
    "cuda-compiler",
    "cuda",
    ("jax-cuda12-plugin", "jax-cuda12-pjrt", "nvidia-cuda-nvcc-cu12"),
    "jax_plugins.xla_cuda12",
    "jax_plugins/xla_cuda12/xla_cuda_plugin.so",
    260,
)
_NVCC = "nvidia/cuda_nvcc"  # below the folder, what the plugin starts


def for_tpu() -> tuple[dict[str, str], dict[str, str]]:
    """(variables with which jax compiles for TPUs, versions of what compiles)."""
    folder = LIBTPU.folder()
    variables = {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_LIBRARY_PATH": str(folder / LIBTPU.file),
        "TPU_LOG_DIR": "disabled",
        "TPU_STDERR_LOG_LEVEL": "3",
        # Two at a time are no trouble where no TPU is opened.
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    }
    return variables, LIBTPU.versions(folder)


def for_cuda() -> tuple[dict[str, str], dict[str, str]]:
    """(variables with which jax compiles for NVIDIA's GPUs, versions likewise)."""
    folder = CUDA.folder()
    tools, paths = folder / _NVCC, os.environ.get("PYTHONPATH", "").split(os.pathsep)
    variables = {
        "PYTHONPATH": os.pathsep.join([*filter(None, paths), str(folder)]),
        "PATH": os.pathsep.join((str(tools / "bin"), os.environ.get("PATH", ""))),
        "XLA_FLAGS": f"--xla_gpu_cuda_data_dir={tools}",
        "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1",
        "TF_CPP_MIN_LOG_LEVEL": "3",  # no GPU is no news here
    }
    return variables, CUDA.versions(folder)


def _folder_with(module: str) -> Path | None:
    """The folder of packages that a module of the environment lies in."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        return None
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parents[module.count(".") + 1]
