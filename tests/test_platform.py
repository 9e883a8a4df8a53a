"""The guard against XLA's wrong numbers, and the self-test that bites without it."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest

from lossjax import canary, guard, platform, trust
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


LATE = "import jax; jax.numpy.zeros(3); import lossjax"


def test_where_the_guard_comes_too_late_all_say_so() -> None:
    """A notebook's order: an array first. The loss warns, once, whatever traces it."""
    code = f"""
{LATE}, warnings
x = jax.numpy.full((1, 8, 8, 1), 0.5)
def total(raw): return lossjax.resolve("bce").fn(raw, x).sum()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with jax.debug_nans(True):
        jax.jit(jax.vmap(jax.grad(total)))(x[None])
    total(x)
print([str(w.message) for w in caught])
for refused in (lossjax.platform.self_test, lossjax.platform.prepare):
    try: refused()
    except lossjax.platform.PlatformError as error: print(error)
"""
    ended = run(code, JAX_DEFAULT_MATMUL_PRECISION="highest")
    assert ended.returncode == 0, ended.stderr
    warned, bitten, refused = ended.stdout.splitlines()
    assert warned == repr([canary.LATE]) and refused == canary.LATE
    assert "self-test 'matrix product, product, sum'" in bitten


def test_importing_lossjax_is_enough() -> None:
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "import jax, lossjax; from lossjax import canary, resolve\n"
        "raw = jax.numpy.zeros((1, 8, 8, 1)); resolve('bce').fn(raw, raw)\n"
        "print(canary.holds())"
    )
    assert run(code).stdout == "True\n"


def test_devices_that_are_asked_for_too_late_are_a_warning() -> None:
    assert jax.devices()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XLA_FLAGS", guard.FLAG)
        with pytest.warns(RuntimeWarning, match="CPU devices stay 2, not 7"):
            platform.prepare(7)
        platform.prepare(2)
        platform.prepare(deterministic=True)  # a CPU is
        patch.setattr(platform.jax, "default_backend", lambda: "gpu")
        with pytest.raises(ValueError, match="jax has started without XLA_FLAGS=--xla"):
            platform.prepare(deterministic=True)
        patch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=true")
        platform.prepare(deterministic=True)


def test_the_users_flags_are_kept() -> None:
    code = (
        "import os; from lossjax import platform; "
        "platform.prepare(cpu_devices=3, deterministic=True);"
        "import jax; print(os.environ['XLA_FLAGS']); print(jax.device_count())"
    )
    mine = "--xla_cpu_enable_fast_min_max=false"
    flags, count = run(code, XLA_FLAGS=mine).stdout.split("\n")[:2]
    ours = "--xla_force_host_platform_device_count="
    repeated = "--xla_gpu_deterministic_ops=true"
    assert flags.split() == [guard.FLAG, f"{ours}3", repeated, mine]
    assert count == "3"
    assert run(code, XLA_FLAGS=f"{ours}1").stdout.split("\n")[1] == "1"


def test_the_guard_comes_before_what_xla_does_not_read(tmp_path: Path) -> None:
    file = tmp_path / "flags"
    file.write_text("--xla_dump_to=x\n  --xla_dump_hlo_as_text\n")
    for text, expected in (
        ("", guard.FLAG),
        (guard.FLAG, guard.FLAG),
        ("--xla_dump_to=x threads=1", f"{guard.FLAG} --xla_dump_to=x threads=1"),
        (f"a=1 {guard.FLAG}", None),
        (str(file), f"{guard.FLAG} --xla_dump_to=x --xla_dump_hlo_as_text"),
        (f"{tmp_path}/none", None),
        (str(tmp_path), None),
    ):
        if expected is None:
            with pytest.raises(ValueError, match=f"XLA_FLAGS={text}: .*be read"):
                guard.flags(text)
        else:
            assert guard.flags(text) == guard.flags(guard.flags(text)) == expected


@pytest.mark.parametrize(
    ("flag", "words"),
    [
        ("--xla_no_such=1", "Unknown flag in XLA_FLAGS: --xla_no_such=1"),
        ("--xla_force_host_platform_device_count=x", ""),
    ],
)
def test_a_flag_that_xla_aborts_on_is_an_error(flag: str, words: str) -> None:
    code = "import lossjax\ntry: lossjax.platform.prepare()\n"
    code += "except ValueError as error: print(error)"
    (line,) = run(code, XLA_FLAGS=flag).stdout.splitlines()
    assert line.startswith(f"XLA_FLAGS={flag}: {words}")


def test_a_wrong_convolution_is_caught(monkeypatch) -> None:
    def shifted(images, kernel, strides, padding):
        from lossjax.models.convolution import convolve

        return convolve(images, kernel[::-1], strides, padding)

    monkeypatch.setattr(platform, "convolve", shifted)
    with pytest.raises(platform.PlatformError, match="'convolution'"):
        platform.self_test()


def test_a_nan_is_caught(monkeypatch) -> None:
    nan = ("nan", np.array([np.nan]), np.array([1.0]))
    monkeypatch.setattr(platform, "_PATTERNS", [lambda: [nan]])
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
