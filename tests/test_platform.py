"""The guard against XLA's wrong numbers, and the self-test that bites without it."""

import os
import subprocess
import sys
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from lossjax import platform, trust
from lossjax.suite.shipped import ROOT


def run(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "XLA_FLAGS"} | environment,
        timeout=300,
    )


def test_self_test_passes_under_the_guard() -> None:
    platform.self_test()


def test_self_test_bites_where_the_guard_is_off() -> None:
    code = "from lossjax import platform; platform.self_test()"
    ended = run(code, JAX_DEFAULT_MATMUL_PRECISION="highest")
    assert ended.returncode == 1
    assert "PlatformError: self-test 'matrix product, product, sum'" in ended.stderr


def test_the_users_flags_are_kept() -> None:
    code = (
        "import os; from lossjax import platform; platform.prepare(cpu_devices=3);"
        "import jax; print(os.environ['XLA_FLAGS']); print(jax.device_count())"
    )
    mine = "--xla_cpu_enable_fast_min_max=false"
    flags, count = run(code, XLA_FLAGS=mine).stdout.split("\n")[:2]
    assert flags.split() == [
        mine,
        "--xla_cpu_experimental_ynn_fusion_type=-reduce",
        "--xla_force_host_platform_device_count=3",
    ]
    assert count == "3"
    own = "--xla_force_host_platform_device_count=1"
    assert run(code, XLA_FLAGS=own).stdout.split("\n")[1] == "1"


def test_a_wrong_convolution_is_caught(monkeypatch) -> None:
    def shifted(images, kernel, strides, padding):
        from lossjax.models.convolution import convolve

        return convolve(images, kernel[::-1], strides, padding)

    monkeypatch.setattr(platform, "convolve", shifted)
    with pytest.raises(platform.PlatformError, match="'convolution'"):
        platform.self_test()


def test_a_nan_is_caught(monkeypatch) -> None:
    nan = (np.array([np.nan]), np.array([1.0]))
    monkeypatch.setattr(platform, "_patterns", lambda: {"nan": nan})
    with pytest.raises(platform.PlatformError, match="'nan'"):
        platform.self_test()


def test_float32_means_float32() -> None:
    assert jax.config.jax_default_matmul_precision == "highest"


def test_a_cache_that_cannot_be_made_only_warns(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.warns(UserWarning, match="no compilation cache"):
        platform.use_compilation_cache(str(tmp_path / "file" / "cache"))


def test_programs_are_not_loaded_from_a_folder_that_others_write(tmp_path) -> None:
    before = jax.config.jax_compilation_cache_dir
    tmp_path.chmod(0o777)
    with pytest.warns(UserWarning, match="can be written by everybody"):
        platform.use_compilation_cache(str(tmp_path))
    assert jax.config.jax_compilation_cache_dir == before
    assert trust.refusal(tmp_path.parent) == ""


@pytest.mark.skipif(os.getuid() != 0, reason="gives a folder to another user")
def test_programs_are_not_loaded_from_another_user_s_folder(tmp_path) -> None:
    os.chown(tmp_path, 12_345, -1)
    with pytest.warns(UserWarning, match="belongs to another user"):
        platform.use_compilation_cache(str(tmp_path))


def test_compilers_are_told_only_what_they_know() -> None:
    """An option of LLVM is an error to any other compiler."""
    tpu = SimpleNamespace(platform="tpu")
    assert platform.compiler_options(tpu, seldom=True) == {}
    cpu = platform.compiler_options(jax.devices("cpu")[0], small=True)
    assert not platform.compiler_options(jax.devices("cpu")[0])
    doubled = jax.jit(lambda x: 2 * x, compiler_options=cpu)
    assert cpu and doubled(3) == 6
    seldom = platform.compiler_options(jax.devices()[0], seldom=True)
    assert cpu.items() <= seldom.items()
    # Which options there are depends on the release: this one is asked itself.
    for name, value in ((platform._LEVEL, 1), (platform._FUSED, False)):
        assert (name in seldom) == compiles({name: value})
    assert not platform._compiler_knows("xla_no_such_option", 1)


def compiles(options: dict[str, int | bool]) -> bool:
    try:
        return jax.jit(lambda x: 3 * x, compiler_options=options)(2) == 6
    except jax.errors.JaxRuntimeError:
        return False
