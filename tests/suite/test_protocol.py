"""The protocol: which runs come next, which rate is chosen, which cells are whose."""

import math
from collections.abc import Callable

from lossjax.suite import protocol
from lossjax.suite.config import Sweep
from lossjax.suite.store.results import Result, Run

SWEEP = Sweep(
    losses=("bce",),
    learning_rates=(0.01, 0.001, 0.1),
    tuning_seeds=(8, 9),
    seeds=(0, 1, 2),
)
FIXED = protocol.fixed_values(SWEEP, {"digits": {"fingerprint": "f"}}, 1)
CELL = next(protocol.cells(SWEEP, FIXED))


def train(
    score: Callable[[Run], float], sweep: Sweep = SWEEP, status: str = "ok"
) -> tuple[protocol.Plan, list[list[Run]]]:
    """Play a sweep with made-up validation losses; the last plan and every wave."""
    results: dict[str, Result] = {}
    waves = []
    while (plan := protocol.plan(sweep, CELL, results)).pending:
        waves.append(list(plan.pending))
        for run in plan.pending:
            value = score(run)
            lost = math.isnan(value)
            results[run.run_id] = Result(
                run, "diverged" if lost else "ok", validation_loss=value
            )
    return plan, waves


def test_best_inner_rate_goes_to_fresh_seeds() -> None:
    plan, waves = train(lambda run: abs(math.log(run.learning_rate / 0.01)))
    assert [len(wave) for wave in waves] == [6, 3]
    assert plan.learning_rate == 0.01 and not plan.edge
    assert {run.seed for run in plan.final} == {0, 1, 2}
    assert {run.seed for run in plan.tuning} == {8, 9}
    assert {run.stage for run in plan.final} == {"final"}


def test_grid_is_extended_once_beyond_the_edge() -> None:
    low, waves = train(lambda run: run.learning_rate)
    assert [len(wave) for wave in waves] == [6, 2, 3]
    assert low.learning_rate == 0.0001 and low.edge
    assert low.learning_rates == (0.0001, 0.001, 0.01, 0.1)
    high, _ = train(lambda run: -run.learning_rate)
    assert high.learning_rate == 1.0 and high.edge
    inside, waves = train(lambda run: abs(math.log(run.learning_rate / 0.08)))
    assert inside.learning_rate == 0.1 and not inside.edge and len(waves) == 3


def test_a_rate_with_a_diverged_seed_ranks_after_all_others() -> None:
    plan, _ = train(
        lambda run: (
            math.nan
            if run.learning_rate == 0.01 and run.seed == 8
            else abs(math.log(run.learning_rate / 0.01)) + run.learning_rate
        )
    )
    assert plan.learning_rate == 0.001


def test_a_frozen_run_is_not_chosen_for_the_loss_it_froze_at() -> None:
    """A diverged replica keeps finite weights, so its validation loss may look good."""
    plan = protocol.plan(SWEEP, CELL, {})
    results = {
        run.run_id: Result(
            run,
            "diverged" if run.learning_rate == 0.01 else "ok",
            validation_loss={0.001: 0.5, 0.01: 0.0, 0.1: 0.7}[run.learning_rate],
        )
        for run in plan.pending
    }
    assert protocol.choose((0.001, 0.01, 0.1), plan.pending, results) == 0.001


def test_where_every_rate_diverged_the_smallest_is_judged() -> None:
    plan, _ = train(lambda run: math.nan)
    assert plan.learning_rate == 0.0001 and plan.edge


def test_one_rate_is_not_tuned() -> None:
    plan, waves = train(lambda run: 1.0, Sweep(losses=("bce",), learning_rates=(0.5,)))
    assert [len(wave) for wave in waves] == [10]
    assert plan.learning_rate == 0.5 and not plan.edge and plan.tuning == ()


def test_more_seeds_and_rates_later_train_only_what_is_new() -> None:
    results = {}
    for run in (*train(lambda run: 1.0 + (run.learning_rate != 0.01))[1][0],):
        results[run.run_id] = Result(run, "ok", validation_loss=run.learning_rate)
    wider = Sweep.from_json(
        SWEEP.to_json() | {"learning_rates": [0.001, 0.01, 0.03, 0.1]}
    )
    pending = protocol.plan(wider, CELL, results).pending
    assert {run.learning_rate for run in pending} == {0.03}


def test_primary_metric_does_not_change_what_a_run_is() -> None:
    other = Sweep.from_json(SWEEP.to_json() | {"primary_metric": "mse"})
    assert other.fixed() == SWEEP.fixed()


def test_run_id_depends_on_all_that_moves_numbers() -> None:
    run = CELL.run(0.01, 0, "tune")
    ids = {run.run_id}
    for change in (
        {"train_steps": 7},
        {"precision": "bfloat16"},
        {"numerics": 2},
        {"fingerprint": "g"},
        {"latent_dim": 3},
    ):
        ids.add(
            protocol.Cell("digits", "conv_ae", "bce", {**CELL.fixed, **change})
            .run(0.01, 0, "tune")
            .run_id
        )
    ids.add(CELL.run(0.01, 1, "tune").run_id)
    ids.add(CELL.run(0.02, 0, "tune").run_id)
    ids.add(CELL.run(0.01, 0, "final").run_id)
    assert len(ids) == 9
