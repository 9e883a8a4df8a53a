"""The protocol: which runs there are, which one counts, who trains what."""

import itertools
import math
from collections.abc import Callable

import pytest

from lossjax.suite import protocol
from lossjax.suite.cli.errors import UserError
from lossjax.suite.config import Sweep
from lossjax.suite.store.results import Result, Run
from lossjax.syntax import dial_of

SWEEP = Sweep(
    losses=("bce", "mse"),
    learning_rates=(0.01, 0.001, 0.1),
    seeds=(0, 1, 2),
    budgets=(10, 20),
    latent_dims=(2, 4),
)
FIXED = protocol.fixed_values(SWEEP, {"digits": {"fingerprint": "f"}}, 3)
BLOCKS = protocol.blocks(SWEEP, FIXED)


def results(score: Callable[[Run], float]) -> list[Result]:
    """One block's runs, trained to made-up validation losses; nan diverged."""
    return [
        Result(
            run,
            "diverged" if math.isnan(value := score(run)) else "ok",
            validation_loss=value,
        )
        for run in BLOCKS[0].runs
    ]


def rate_of(result: Result | None) -> float | None:
    return None if result is None else result.run.learning_rate


def test_every_run_is_known_beforehand_and_is_one_of_its_own() -> None:
    arms = list(protocol.arms(SWEEP, FIXED))
    assert len(arms) == SWEEP.arms == 8
    assert len(BLOCKS) == 8 * 3
    runs = [run for block in BLOCKS for run in block.runs]
    assert len(runs) == SWEEP.arms * SWEEP.at_once == 72
    assert len({run.run_id for run in runs}) == 72
    assert {(r.latent_dim, r.train_steps) for r in runs} == {
        (2, 10),
        (2, 20),
        (4, 10),
        (4, 20),
    }


def test_a_budget_named_as_an_axis_or_alone_is_the_same_run() -> None:
    alone = Sweep(losses=("bce",), train_steps=20, latent_dim=4)
    axis = Sweep(losses=("bce",), budgets=(10, 20), latent_dims=(4,), train_steps=7)
    ids = [
        {run.run_id for block in protocol.blocks(sweep, fixed) for run in block.runs}
        for sweep in (alone, axis)
        for fixed in [protocol.fixed_values(sweep, {"digits": {"fingerprint": "f"}}, 3)]
    ]
    assert ids[0] < ids[1]


def test_the_best_rate_on_validation_counts() -> None:
    best = protocol.choose(results(lambda r: abs(math.log(r.learning_rate / 0.01))))
    assert rate_of(best) == 0.01
    # Of equal ones the smaller rate; a run that diverged is never chosen.
    assert rate_of(protocol.choose(results(lambda run: 1.0))) == 0.001
    diverged = results(lambda r: math.nan if r.learning_rate < 0.1 else 9.0)
    assert rate_of(protocol.choose(diverged)) == 0.1
    assert protocol.choose(results(lambda run: math.nan)) is None


def test_test_scores_choose_nothing() -> None:
    """Whatever they are: poisoned, permuted, absent."""
    plain = results(lambda r: r.learning_rate)
    poisoned = [
        Result(
            r.run,
            r.status,
            validation_loss=r.validation_loss,
            metrics={"test_mse": -r.validation_loss, "test_ssim": math.nan},
        )
        for r in plain
    ]
    assert rate_of(protocol.choose(plain)) == rate_of(protocol.choose(poisoned)) == 1e-3


@pytest.mark.parametrize("count", (1, 2, 5, 7, 24, 40))
def test_shards_are_contiguous_whole_and_even(count: int) -> None:
    parts = [list(protocol.shard(BLOCKS, i, count)) for i in range(count)]
    assert [block for part in parts for block in part] == BLOCKS
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    # All rates of a seed are in one shard.
    for part in parts:
        assert all(len(block.runs) == 3 for block in part)


def test_seeds_of_one_arm_are_shared_among_shards() -> None:
    one = Sweep(losses=("bce",), seeds=tuple(range(1000)), learning_rates=(0.1,))
    fixed = protocol.fixed_values(one, {"digits": {"fingerprint": "f"}}, 3)
    blocks = protocol.blocks(one, fixed)
    assert {len(protocol.shard(blocks, i, 8)) for i in range(8)} == {125}


def test_what_is_stored_is_not_pending() -> None:
    runs = [run for block in BLOCKS for run in block.runs]
    stored = {run.run_id: Result(run, "ok", validation_loss=1.0) for run in runs[:5]}
    assert list(protocol.pending(BLOCKS, stored)) == runs[5:]


def test_a_third_of_the_seeds_at_an_edge_is_flagged() -> None:
    rates = (0.001, 0.003, 0.01)
    inside = [0.003] * 6
    assert protocol.edge_of(rates, [*inside, 0.01]) is None
    assert protocol.edge_of(rates, [*inside, 0.01, 0.01, 0.01]) == 0.01
    assert protocol.edge_of(rates, [*inside[:2], 0.001]) == 0.001
    assert protocol.edge_of((0.01,), [0.01] * 3) is None
    assert protocol.edge_of(rates, []) is None


def test_the_rate_to_add_is_one_more_step_of_the_grid() -> None:
    rates = (0.01, 0.001, 0.1)
    assert protocol.wider(rates, [0.1]) == (0.001, 0.01, 0.1, 1.0)
    assert protocol.wider(rates, [0.001, 0.1]) == (0.0001, 0.001, 0.01, 0.1, 1.0)
    assert protocol.wider((3e-3, 1e-2), [1e-2]) == (3e-3, 1e-2, 0.033)


def rates_of(*losses: str, rates: tuple[float, ...] = (1e-3, 3e-3, 1e-2)) -> object:
    dials = [dial_of(loss)[1] for loss in losses]
    tuned = tuple(f"{loss} {value}" for loss in losses for value in dial_of(loss)[1])
    sweep = Sweep(losses=losses, learning_rates=rates, tuned=tuned)
    found = protocol.rates_of(sweep)
    assert {sum(map(len, each.values())) for each in found.values()} == {sweep.tries}
    assert sweep.tries == len(rates) * max(1, *map(len, dials))
    return [[len(rates) for rates in each.values()] for each in found.values()]


def test_every_loss_of_a_sweep_has_as_many_runs() -> None:
    three, two = "huber(delta=tune(0.03, 0.1, 0.3))", "huber(delta=tune(1, 2))"
    assert rates_of("bce", "mse") == [[3], [3]]
    assert rates_of("bce", three) == [[9], [3, 3, 3]]
    assert rates_of("bce", three, two) == [[9], [3, 3, 3], [5, 4]]
    # Alone, or beside dials of as many values, a dial needs no rates between.
    assert rates_of(three, rates=(1e-2,)) == [[1, 1, 1]]
    with pytest.raises(UserError, match="no room for 3 rates"):
        rates_of("bce", three, rates=(1e-2,))
    with pytest.raises(UserError, match="no room for 9 rates"):
        rates_of("bce", three, rates=(1e-2, 1.001e-2, 1.002e-2))


def test_rates_between_are_evenly_spaced() -> None:
    assert protocol.spaced((1e-2, 1e-3), 2) == (1e-3, 1e-2)
    assert protocol.spaced((1e-3, 1e-1), 5) == (1e-3, 0.00316, 1e-2, 0.0316, 1e-1)
    # The wider gap first; what is named stays.
    assert protocol.spaced((1.0, 2.0, 8.0), 4) == (1.0, 2.0, 4.0, 8.0)
    found = protocol.spaced((1e-3, 3e-3, 1e-2), 9)
    steps = [b / a for a, b in itertools.pairwise(found)]
    assert {1e-3, 3e-3, 1e-2} < set(found) and max(steps) / min(steps) < 1.05


def test_a_run_of_two_arms_is_trained_once() -> None:
    losses = ("huber", "huber(delta=tune(0.1, 0.3))")
    sweep = Sweep(losses=losses, tuned=("huber", "huber(delta=0.3)"), seeds=(0,))
    fixed = protocol.fixed_values(sweep, {"digits": {"fingerprint": "f"}}, 3)
    grid = protocol.blocks(sweep, fixed)
    runs = [run.run_id for run in protocol.pending(grid, {})]
    assert len(runs) == len(set(runs)) == 6 + 3
    # And it is the run of a sweep without any dial.
    plain = Sweep(losses=("huber",), seeds=(0,))
    own = protocol.blocks(plain, fixed)[0].runs
    assert {run.run_id for run in own} < set(runs)


def test_a_stored_dial_names_its_losses() -> None:
    values = Sweep(losses=("mse(x=tune(1, 2))",), tuned=("a", "b")).to_json()
    assert Sweep.from_json(values).members == {"mse(x=tune(1, 2))": ("a", "b")}
    del values["tuned"]
    with pytest.raises(UserError, match="must name the 2 losses"):
        Sweep.from_json(values)
