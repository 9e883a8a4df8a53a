"""The plan fits its time, and gives up what decides least first."""

import pytest

from lossjax.suite.advise.timetable import DIALLED, SCORED, best_within
from lossjax.suite.statistics import seeds_needed


@pytest.mark.parametrize("losses", [2, 3, 5])
def test_more_time_is_never_a_smaller_plan(losses: int) -> None:
    each, before = 1e-3, (0, 0)
    for seconds in (5, 20, 40, 80, 160, 640, 1e5):
        plan, fits = best_within(losses, each, seconds)
        runs = len(plan.seeds) * len(plan.learning_rates) * losses
        steps = plan.train_steps + SCORED[False]
        assert plan.seconds == pytest.approx(each * runs * steps)
        assert not fits or plan.seconds <= seconds
        assert (len(plan.seeds), plan.train_steps) >= before or not fits
        before = len(plan.seeds), plan.train_steps if len(plan.seeds) == 10 else 0
    assert plan.train_steps == 2000 and len(plan.seeds) == 10


def test_seeds_that_can_decide_go_before_steps_and_are_given_up_last() -> None:
    enough, scored = seeds_needed(2), SCORED[False] * 1e-3
    plan, fits = best_within(3, 1e-3, 3 * 4 * enough * (0.2 + scored) + 0.01)
    assert fits and (len(plan.seeds), plan.train_steps) == (enough, 200)
    plan, fits = best_within(3, 1e-3, 3 * 3 * enough * (0.1 + scored) + 0.01)
    assert fits and (len(plan.seeds), len(plan.learning_rates)) == (enough, 3)
    plan, fits = best_within(3, 1e-3, 3 * 2 * 3 * (0.1 + scored) + 0.01)
    assert fits and len(plan.seeds) == 3
    plan, fits = best_within(3, 1e-3, 0.1)
    assert not fits and plan.seconds > 0.1


def test_a_loss_that_a_pilot_may_add_is_given_up_before_seeds_that_can_decide() -> None:
    each = (100 + SCORED[False]) * 1e-3
    run = 3 * seeds_needed(1) * each  # of the smallest plan that can decide
    added = 3 * seeds_needed(2) * each
    plan, fits = best_within(2, 1e-3, 2.01 * run, dial=True)
    assert fits and not plan.dial and len(plan.seeds) == seeds_needed(1)
    plan, fits = best_within(2, 1e-3, (2.01 + DIALLED) * added, dial=True)
    assert fits and plan.dial and plan.seconds == pytest.approx((2 + DIALLED) * added)
    least = best_within(2, 1e-3, 0.1)[0]
    assert best_within(2, 1e-3, 0.1, dial=True) == (least, False)


def test_scores_of_a_variational_network_take_longer() -> None:
    plain, variational = (best_within(4, 1e-4, 12, variational=v) for v in (0, 1))
    assert plain[1] and variational[1]
    assert len(variational[0].seeds) * variational[0].train_steps < (
        len(plain[0].seeds) * plain[0].train_steps
    )
