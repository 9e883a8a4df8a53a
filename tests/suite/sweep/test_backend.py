"""Accelerators that jax may not see, told from what only looks like one."""

import subprocess
import types
from pathlib import Path

import pytest
from rich.console import Console

from lossjax import platform
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.shipped import ROOT
from lossjax.suite.sweep import __main__ as sweep
from lossjax.suite.sweep.backend import accelerators, start


@pytest.mark.parametrize(
    ("files", "kinds"),
    [
        ({}, []),
        ({"dev/nvidia0": ""}, ["gpu"]),
        ({"dev/nvidiactl": ""}, []),
        ({"dev/dxg": "", "usr/lib/wsl/lib/libcuda.so.1": ""}, ["gpu"]),
        ({"dev/dxg": ""}, []),
        ({"dev/accel0": ""}, ["tpu"]),
        ({"dev/vfio/0": ""}, []),
        ({"dev/vfio/0": "", "sys/bus/pci/devices/a/vendor": "0x10de\n"}, []),
        ({"dev/vfio/0": "", "sys/bus/pci/devices/a/vendor": "0x1ae0\n"}, ["tpu"]),
        ({"dev/vfio/vfio": "", "sys/bus/pci/devices/a/vendor": "0x1ae0\n"}, []),
    ],
    ids=str,
)
def test_accelerators_are_known_by_what_only_they_have(
    files: dict[str, str], kinds: list[str], tmp_path: Path
) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert accelerators(tmp_path) == kinds
    # What run.sh installs for.
    script = (
        f'root="{ROOT}"; source "$root/requirements/environment.sh"; detect_device $0'
    )
    found = subprocess.check_output(["bash", "-euc", script, tmp_path], text=True)
    assert found.split() == [
        {"gpu": "cuda"}.get(kind, kind) for kind in kinds or ["cpu"]
    ]


def test_precision_that_no_cpu_has_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = "config.precision=tf32x3: needs a gpu, this is a cpu: float32 computes here"
    with pytest.raises(UserError, match=words):
        sweep.main(["--config.precision=tf32x3", f"--out={out}"])
    assert not out.exists()


def test_programs_of_the_self_test_are_kept_as_those_of_the_sweep_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[str] = []
    for name in ("use_compilation_cache", "self_test"):
        monkeypatch.setattr(platform, name, lambda *_, n=name: order.append(n))
    start(Sweep(), "cpu", Console(quiet=True))
    assert order == ["use_compilation_cache", "self_test"]


def test_provenance_names_what_computes_on_an_accelerator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert set(platform.versions()) == {"jax", "jaxlib"}
    names = "jax-cuda13-plugin", "nvidia-cudnn-cu13", "nvidia-nccl-cu13", "libtpu"
    packages = [
        types.SimpleNamespace(metadata={"Name": name}, version="1") for name in names
    ]
    monkeypatch.setattr(platform.metadata, "distributions", lambda: packages)
    for backend, expected in (("gpu", set(names[:2])), ("tpu", {"libtpu"})):
        monkeypatch.setattr(platform.jax, "default_backend", lambda b=backend: b)
        assert set(platform.versions()) == {"jax", "jaxlib"} | expected


NEW = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release\n"
OLD = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.124.06  Wed Feb 26\n"


@pytest.mark.parametrize(
    ("driver", "cards", "device"),
    [
        (NEW, {"h100": "0x2330"}, "cuda13"),
        (NEW, {"t4": "0x1eb8", "h100": "0x2330"}, "cuda13"),
        (OLD, {"h100": "0x2330"}, "cuda"),
        (NEW, {"v100": "0x1db6"}, "cuda"),
        (NEW, {"a": "0x2330", "v100": "0x1db6"}, "cuda"),
        (NEW, {"v100": "0x1db6", "z": "0x2330"}, "cuda"),
        (NEW, {}, "cuda"),
        ("", {"h100": "0x2330"}, "cuda"),
        ("no version\n", {"h100": "0x2330"}, "cuda"),
    ],
)
def test_cuda_13_for_a_new_driver_and_no_old_card(
    driver: str, cards: dict[str, str], device: str, tmp_path: Path
) -> None:
    folder = tmp_path / "sys/bus/pci/devices"
    sound = {"vendor": "0x10de", "class": "0x040300", "device": "0x0fbb"}
    shown = {"vendor": "0x10de", "class": "0x030200"}
    parts = {"sound": sound, **{k: shown | {"device": v} for k, v in cards.items()}}
    files = {
        folder / name / key: value
        for name, part in parts.items()
        for key, value in part.items()
    }
    files |= {tmp_path / "dev/nvidia0": ""}
    if driver:
        files |= {tmp_path / "proc/driver/nvidia/version": driver}
    for file, text in files.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    code = f'set -eu; root="{ROOT}"; source "$root/requirements/environment.sh"'
    said = subprocess.run(
        ["bash", "-c", f'{code}; detect_device "$0"', str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert said.stdout.split() == [device], said.stderr
