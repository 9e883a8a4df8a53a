"""What an H100 would be told to do, by its compiler; there need not be one.

The compiler comes with jax's CUDA plugin: installed, or with jax-cuda12-plugin,
jax-cuda12-pjrt and nvidia-cuda-nvcc-cu12 in the folder that LOSSJAX_CUDA_PLUGIN names
(`pip install --no-deps --target=FOLDER ...`).
"""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lossjax.suite.shipped import ROOT

PLUGIN = os.environ.get("LOSSJAX_CUDA_PLUGIN", "")
FOLDERS = [PLUGIN] if PLUGIN else [path for path in sys.path if path]
COMPILERS = [
    folder
    for folder in FOLDERS
    if (Path(folder) / "jax_plugins" / "xla_cuda12").is_dir()
    and (Path(folder) / "nvidia" / "cuda_nvcc").is_dir()
]
needs_compiler = pytest.mark.skipif(
    not COMPILERS or importlib.util.find_spec("jax") is None,
    reason="jax's CUDA plugin is not installed; LOSSJAX_CUDA_PLUGIN names a folder",
)


def compiled(*arguments: str) -> list[dict]:
    """What `ahead_of_time` says of a sweep's programs, between its head and total."""
    tools = Path(COMPILERS[0]) / "nvidia" / "cuda_nvcc"
    target = Path(__file__).with_name("h100.txtpb")
    module = "lossjax.suite.sweep.ahead_of_time"
    ended = subprocess.run(
        [sys.executable, "-m", module, str(target), "80", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=900,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join((str(ROOT), COMPILERS[0])),
            "PATH": os.pathsep.join((str(tools / "bin"), os.environ["PATH"])),
            "XLA_FLAGS": f"--xla_gpu_cuda_data_dir={tools}",
            "JAX_PLATFORMS": "cpu",
            "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1",
        },
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    head, *programs, _ = map(json.loads, ended.stdout.splitlines())
    assert head["programs"] == len(programs) and head["layout"]["mapping"] == "vmap"
    return programs


@needs_compiler
@pytest.mark.slow
def test_ten_losses_of_digits_are_one_program_of_few_launches() -> None:
    """Two rows of ten losses: as many operations as for any number of rows."""
    (program,) = compiled(
        "--config=configs/digits.py",
        "--config.seeds=0,1",
        "--config.learning_rates=1e-3,",
    )
    step = program["step"]
    assert sum(step.values()) <= 80, step
    assert not {"sort", "copy", "conditional", "while"} & set(step), step
    assert not [kind for kind in step if "cudnn" in kind], step
    assert any(trips > 8 for trips in program["trips"]), "no loop of known length"
    assert program["collectives"] == []
