"""The worker: what is compiled, and for whom."""

import ast
import dataclasses
import threading
from collections import defaultdict
from concurrent.futures import wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jax import monitoring

from lossjax import CODE_METRICS
from lossjax.models.autoencoders import LOWERINGS
from lossjax.suite import data, protocol
from lossjax.suite.cli.errors import Interrupted
from lossjax.suite.config import Sweep
from lossjax.suite.store import results as store
from lossjax.suite.sweep.worker import Worker
from lossjax.training.program import Program, Trainer
from lossjax.training.replicas import Layout, plan_layout

NAMES = tuple(f"linear_decoder(count=120, noise='gaussian', seed={i})" for i in (0, 1))
MAIN, PROGRAM = threading.current_thread().name, "jit(sharded)"
OTHER = "linear_decoder(count=120, noise='laplace')"
SWEEP = Sweep(
    datasets=(*NAMES, OTHER),
    models=("linear_ae",),
    losses=("mse",),
    learning_rates=(1e-2,),
    seeds=(0, 1),
    train_steps=5,
    batch_size=20,
    latent_dim=2,
    curve_points=1,
)
LAYOUT = plan_layout("cpu", 2, SWEEP.at_once)


@pytest.fixture(scope="module")
def loaded() -> dict[str, data.Dataset]:
    return {name: data.load(name) for name in SWEEP.datasets}


def runs_of(loaded: dict[str, data.Dataset]) -> list[list[store.Run]]:
    facts = {name: {"fingerprint": d.fingerprint} for name, d in loaded.items()}
    fixed = protocol.fixed_values(SWEEP, facts, 1)
    rate = SWEEP.learning_rates[0]
    return [
        [arm.run(rate, seed) for seed in SWEEP.seeds]
        for arm in protocol.arms(SWEEP, fixed)
    ]


@pytest.mark.slow
def test_datasets_of_the_same_shapes_and_noise_share_a_program(
    loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Program] = []
    compile_ = Program.compile

    def counted(self: Program, *arguments: object) -> Trainer:
        compiled.append(self)
        return compile_(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Program, "compile", counted)
    (tmp_path / "runs").mkdir()
    grid = runs_of(loaded)
    together = Worker(SWEEP, loaded, tmp_path, print, LAYOUT, "")
    scores = []
    for runs in grid:
        results = list(together.train(runs, lambda steps: None))
        scores.append([r.metrics["test_mse"] for r in results])
    assert len(compiled) == 2, "one for each law of noise"
    assert scores[0] != scores[1], "the program holds no images"

    alone = Worker(SWEEP, loaded, tmp_path, print, LAYOUT, "")
    results = list(alone.train(grid[1], lambda steps: None))
    assert [r.metrics["test_mse"] for r in results] == scores[1]


def test_what_no_group_needs_is_forgotten(loaded, tmp_path: Path) -> None:
    made = Worker(SWEEP, loaded, tmp_path, print, LAYOUT, "")
    groups = [made.group_of(runs[0]) for runs in runs_of(loaded)]
    for group in groups:
        wait(made.prepare(group))  # a rehearsal looks for its data, too
    made.keep(groups[1:2])
    assert set(made._resident) == {NAMES[1]}
    assert set(made._programs) == {groups[0].kind} == {groups[1].kind}


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of one seed on the digits, and on digits spoiled in one respect."""
    digits = data.load("digits", max_examples=600)
    random = np.random.default_rng(0)

    def changed(split: str, **parts: Any) -> data.Dataset:
        own = dataclasses.replace(digits.splits[split], **parts)
        return dataclasses.replace(digits, **{split: own})

    shape = digits.test.images.shape
    mute = np.full(len(digits.train), 3, np.int32)
    datasets = {
        "digits": digits,
        "poisoned": changed(
            "test",
            images=random.integers(0, 256, shape, np.uint8),
            labels=random.permutation(digits.test.labels),
        ),
        "permuted": changed("test", images=digits.test.images[::-1].copy()),
        "mute": changed("train", labels=mute),
    }
    sweep = dataclasses.replace(SWEEP, datasets=tuple(datasets), seeds=(0,))
    facts = {name: {"fingerprint": "f"} for name in datasets}
    out = tmp_path_factory.mktemp("spoiled")
    (out / "runs").mkdir()
    worker = Worker(sweep, datasets, out, print, LAYOUT, "")
    found: dict[str, Any] = {"labels": digits.splits}
    for arm in protocol.arms(sweep, protocol.fixed_values(sweep, facts, 1)):
        run = arm.run(1e-2, 0)
        worker.prepare(worker.group_of(run))
        (found[run.dataset],) = worker.train([run], lambda steps: None)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("how", ["poisoned", "permuted"])
def test_no_choice_moves_with_the_test_images(
    spoiled: dict[str, Any], how: str
) -> None:
    """What a seed chooses its learning rate by is of validation images alone."""
    clean, other = spoiled["digits"], spoiled[how]
    assert other.validation_loss == clean.validation_loss
    assert other.curve == clean.curve
    for name, score in clean.metrics.items():
        if not name.startswith("test_"):
            np.testing.assert_equal(other.metrics[name], score, err_msg=name)
    if how == "permuted":  # the images are the same, and so is their mean
        assert other.metrics["test_mse"] == pytest.approx(clean.metrics["test_mse"])
    else:
        assert other.metrics["test_mse"] != pytest.approx(clean.metrics["test_mse"])
    # Their labels are those of other images now.
    assert other.metrics["test_knn_accuracy"] < clean.metrics["test_knn_accuracy"]


@pytest.mark.slow
def test_code_metrics_are_fitted_on_training_images_alone(
    spoiled: dict[str, Any],
) -> None:
    """Who has seen one label alone gives it to every image."""
    mute, splits = spoiled["mute"], spoiled["labels"]
    for split, name in (("val", "validation"), ("test", "test")):
        share = np.mean(splits[name].labels == 3)
        for metric in CODE_METRICS:
            found = mute.metrics[f"{split}_{metric}"]
            assert found == pytest.approx(share), (split, metric)
            assert spoiled["digits"].metrics[f"{split}_{metric}"] > 2 * share


def test_nothing_is_compiled_where_runs_are_trained(tmp_path: Path) -> None:
    """All programs are compiled ahead, in other threads, and each of them once."""
    sweep = dataclasses.replace(SWEEP, datasets=("digits",), losses=("bce", "mse"))
    digits = {"digits": data.load("digits")}
    (tmp_path / "runs").mkdir()
    facts = {"digits": {"fingerprint": digits["digits"].fingerprint}}
    fixed = protocol.fixed_values(sweep, facts, 1)
    arm = next(protocol.arms(sweep, fixed))
    runs = [arm.run(sweep.learning_rates[0], seed) for seed in sweep.seeds]
    worker = Worker(sweep, digits, tmp_path, print, LAYOUT, "")
    worker.prepare(worker.group_of(runs[0]))
    compiled: dict[str, list[str]] = defaultdict(list)

    def listen(event: str, duration: float, **about: Any) -> None:
        if event.endswith("backend_compile_duration"):
            compiled[threading.current_thread().name].append(about["fun_name"])

    monitoring.register_event_duration_secs_listener(listen)
    try:
        results = list(worker.train(runs, lambda steps: None))
    finally:
        monitoring.unregister_event_duration_listener(listen)
    assert {result.status for result in results} == {"ok"}
    assert all(result.metrics["test_knn_accuracy"] > 0 for result in results)
    # Not of interest: what jax compiles to move or cut an array, a millisecond each.
    mine = [name for name in compiled.pop(MAIN, ()) if name == PROGRAM]
    assert any(PROGRAM in names for names in compiled.values()) and not mine


SIDES = dataclasses.replace(
    SWEEP,
    datasets=("digits",),
    losses=("bce", "huber(delta=0.1)", "gaussian_shared", "mse_linear"),
    learning_rates=(1e-3, 1e-2),
    seeds=(0, 1, 2),
    train_steps=23,
    curve_points=2,
    max_examples=150,
)


def grid_of(sweep: Sweep) -> tuple[dict[str, data.Dataset], list[store.Run]]:
    digits = data.load("digits", max_examples=sweep.max_examples)
    facts = {"digits": {"fingerprint": digits.fingerprint}}
    blocks = protocol.blocks(sweep, protocol.fixed_values(sweep, facts, 1))
    return {"digits": digits}, list(protocol.pending(blocks, {}))


def trained(
    worker: Worker, runs: list[store.Run], tick: Any = lambda steps: None
) -> dict[str, store.Result]:
    """All of the runs, pack by pack."""
    results: dict[str, store.Result] = {}
    while runs:
        group = worker.group_of(runs[0])
        pack = worker.pack([run for run in runs if worker.group_of(run) == group])
        results |= {r.run.run_id: r for r in worker.train(pack, tick)}
        runs = [run for run in runs if run.run_id not in results]
    return results


@pytest.mark.slow
def test_side_by_side_is_one_after_the_other_up_to_rounding(tmp_path: Path) -> None:
    """Losses with and without trained scalars, on two devices, in rows half full."""
    sweep = dataclasses.replace(SIDES, losses=("bce", "gaussian_shared"))
    digits, runs = grid_of(sweep)
    layouts = Layout(2, 64, "map"), Layout(2, 16, "vmap")
    workers = [Worker(sweep, digits, tmp_path, print, one, "") for one in layouts]
    apart, beside = (trained(worker, runs) for worker in workers)
    for run_id, expected in apart.items():
        found = beside[run_id]
        assert found.provenance["layout"] == layouts[1].record
        assert found.provenance["segments"] == (2, 2)
        assert found.validation_loss == pytest.approx(expected.validation_loss, 1e-3)
        for name, value in expected.metrics.items():
            close = pytest.approx(value, rel=0.02, abs=0.02, nan_ok=True)
            assert found.metrics[name] == close, (found.run.loss, name)
        for name, values in expected.curve.items():
            assert found.curve[name] == pytest.approx(values, rel=1e-3, nan_ok=True)


@pytest.mark.slow
def test_side_by_side_goes_on_where_it_was(tmp_path: Path) -> None:
    sweep = dataclasses.replace(SIDES, losses=("bce", "mse"), seeds=(0, 1))
    digits, runs = grid_of(sweep)
    (tmp_path / "runs").mkdir()
    layout = Layout(2, 8, "vmap")
    whole = trained(Worker(sweep, digits, tmp_path, print, layout, ""), runs)
    first = Worker(sweep, digits, tmp_path, print, layout, "")

    def stop(steps: int) -> None:
        if steps:
            raise Interrupted("test")

    with pytest.raises(Interrupted):
        trained(first, runs, stop)
    again = Worker(sweep, digits, tmp_path, print, layout, "")
    assert {again.saved.step_of(run) for run in runs} == {12}
    for run_id, result in trained(again, runs).items():
        assert result.metrics == pytest.approx(
            whole[run_id].metrics, nan_ok=True, abs=0
        )
        assert result.curve == whole[run_id].curve


@pytest.mark.slow
def test_both_lowerings_are_tried_and_the_faster_one_trains(tmp_path: Path) -> None:
    """What was compiled for the trial trains, and what measures was not made twice."""
    sweep = dataclasses.replace(SWEEP, datasets=("digits",), max_examples=60)
    digits, runs = grid_of(sweep)
    (tmp_path / "runs").mkdir()
    worker = Worker(sweep, digits, tmp_path, print, Layout(1, 2, "vmap"), "")
    wait(futures := worker.choose(worker.group_of(runs[0])))
    assert not any(future.exception() for future in futures)
    made = worker.prepare(worker.group_of(runs[0]))
    assert made[0].done() and list(made[1:]) == list(futures[1:])
    results = trained(worker, runs)
    tried = {r.provenance["layout"]["lowering"] for r in results.values()}
    (seconds,) = {str(r.provenance["seconds_a_step"]) for r in results.values()}
    assert set(results[runs[0].run_id].provenance["seconds_a_step"]) == set(LOWERINGS)
    assert tried == {min(LOWERINGS, key=ast.literal_eval(seconds).get)}


def test_memory_that_runs_out_halves_the_program(tmp_path: Path) -> None:
    digits, runs = grid_of(SIDES)
    worker = Worker(SIDES, digits, tmp_path, print, Layout(1, 32, "vmap"), "")
    before = worker.group_of(runs[0])
    full = RuntimeError("RESOURCE_EXHAUSTED: 9 GB")
    assert worker.relieved(full, runs) and worker.layout.replicas == 16
    assert worker.group_of(runs[0]) == before, "only fewer rows"
    assert len(worker.pack(runs)) == 16
    for replicas in (8, 4, 2, 1):
        assert worker.relieved(full, runs) and worker.layout.replicas == replicas
    assert worker.group_of(runs[0]).kind.families == ("bce",)
