"""What every test runs under: two CPU devices, no rank promotion, no network."""

import functools
import os
import socket
from collections.abc import Iterator

import jax
import pytest

import lossjax.platform
from lossjax.suite.sweep import backend, programs

# Before any test module can start jax's backend.
lossjax.platform.prepare(cpu_devices=2)
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_configure(config: pytest.Config) -> None:
    """A program is compiled once, whichever worker, verb or run asks for it first."""
    if config.pluginmanager.hasplugin("cacheprovider"):
        assert config.cache is not None
        os.environ["XDG_CACHE_HOME"] = str(config.cache.mkdir("home"))
        lossjax.platform.use_compilation_cache(backend.compilation_cache())


class NetworkRefused(RuntimeError):
    """A test tried to leave the machine."""


@pytest.fixture(autouse=True, scope="module")
def _compiled_programs_are_forgotten() -> Iterator[None]:
    """Of one module at a time: those of all together take gigabytes.

    Sweeps of one module that are alike share a program, as the runs of a sweep do.
    """
    # To keep one that takes less costs more than to compile it again.
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(programs, "Program", functools.cache(programs.Program))
        yield
    jax.clear_caches()
    lossjax.platform.return_memory()


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    def refuse(*arguments: object, **_: object) -> None:
        raise NetworkRefused(f"tests use no network: {arguments[-1]!r}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket.socket, "connect_ex", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield
