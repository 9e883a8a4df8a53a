"""Losses and metrics travel: pickled, copied, sent to other processes, in any order."""

import copy
import dataclasses
import io
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import cloudpickle
import jax
import jax.numpy as jnp
import joblib
import pytest

from lossjax import CODE_METRICS, LATENT_METRICS, LOSSES, METRICS, Loss, resolve
from lossjax.losses.links import residual


def by_joblib(thing: Any) -> Any:
    buffer = io.BytesIO()
    joblib.dump(thing, buffer)
    buffer.seek(0)
    return joblib.load(buffer)


TRAVELS: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "oldest pickle": lambda thing: pickle.loads(pickle.dumps(thing, protocol=0)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "cloudpickle": lambda thing: pickle.loads(cloudpickle.dumps(thing)),
    "joblib": by_joblib,
}
every_way = pytest.mark.parametrize("way", TRAVELS.values(), ids=TRAVELS.keys())
ALSO = ("huber(delta=0.02)", "mse[straight_through]", "power[weigh+mse_norm](g=-0.25)")


@every_way
def test_losses(way: Callable[[Loss], Loss]) -> None:
    for loss in (*LOSSES.values(), *(resolve(name) for name in ALSO)):
        again = way(loss)
        assert (again.name, again.scalars) == (loss.name, loss.scalars)
        # One program serves both.
        assert jax.tree.structure(again) == jax.tree.structure(loss)


@every_way
def test_metrics(way: Callable[[Any], Any]) -> None:
    for table in (METRICS, CODE_METRICS, LATENT_METRICS):
        for metric in table.values():
            assert way(metric) == metric


def test_a_trained_loss_keeps_its_values() -> None:
    loss = dataclasses.replace(
        resolve("student_t(nu=7)"), scalars={"log_scale": jnp.float32(-3.5)}
    )
    again = pickle.loads(pickle.dumps(loss))
    assert again.name == "student_t(nu=7)" and again.scalars["log_scale"] == -3.5


def own(raw: jax.Array, target: jax.Array) -> jax.Array:
    return residual(raw, target) ** 4


def test_another_kernel_is_not_taken_for_the_row_of_its_name() -> None:
    loss = dataclasses.replace(LOSSES["mse"], kernel=own)
    assert pickle.loads(pickle.dumps(loss)).kernel is own


def test_another_process_reads_it() -> None:
    code = "import pickle, sys; print(pickle.load(sys.stdin.buffer).name)"
    data = pickle.dumps(resolve("huber(delta=0.02)"))
    done = subprocess.run([sys.executable, "-c", code], input=data, capture_output=True)
    assert done.stdout.decode().strip() == "huber(delta=0.02)", done.stderr
