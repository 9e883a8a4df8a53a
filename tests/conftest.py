"""What every test runs under: two CPU devices, no rank promotion, no network."""

import socket
from collections.abc import Iterator

import jax
import pytest

import lossjax.platform

# Before any test module can start jax's backend.
lossjax.platform.prepare(cpu_devices=2)
jax.config.update("jax_numpy_rank_promotion", "raise")


class NetworkRefused(RuntimeError):
    """A test tried to leave the machine."""


@pytest.fixture(autouse=True, scope="module")
def _compiled_programs_are_forgotten() -> Iterator[None]:
    """Of one module at a time: those of all together take gigabytes."""
    yield
    jax.clear_caches()
    lossjax.platform.return_memory()


@pytest.fixture(scope="module")
def compiled_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """For a module that makes one trainer of the same programs after the other."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.2,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    def refuse(*arguments: object, **_: object) -> None:
        raise NetworkRefused(f"tests use no network: {arguments[-1]!r}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", refuse)
        patch.setattr(socket.socket, "connect_ex", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        yield
