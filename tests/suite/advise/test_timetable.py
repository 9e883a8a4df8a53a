"""The plan fits its time, and gives up what decides least first."""

import pytest

from lossjax.suite.advise.timetable import DIALLED, best_within
from lossjax.suite.statistics import seeds_needed
from lossjax.suite.sweep.timing import Cost

COST = Cost(step=1e-3, scores=0.25, compiling=9.0)


def both(steps: int) -> float:
    """A run of all steps and one of half."""
    return COST.of(steps) + COST.of(steps // 2)


@pytest.mark.parametrize("losses", [2, 3, 5])
def test_more_time_is_never_a_smaller_plan(losses: int) -> None:
    before = 0, 0
    for seconds in (5, 20, 40, 80, 160, 640, 1e5):
        plan, fits = best_within(losses, COST, seconds)
        runs = len(plan.seeds) * len(plan.learning_rates) * losses
        assert plan.seconds == pytest.approx(runs * sum(map(COST.of, plan.step_counts)))
        assert not fits or plan.seconds <= seconds
        assert (len(plan.seeds), plan.step_counts[0]) >= before or not fits
        before = len(plan.seeds), plan.step_counts[0] if len(plan.seeds) == 10 else 0
    assert plan.step_counts[0] == 2000 and len(plan.seeds) == 10


def test_seeds_that_can_decide_go_before_steps_and_are_given_up_last() -> None:
    enough = seeds_needed(2)
    plan, fits = best_within(3, COST, 3 * 4 * enough * both(500) + 0.01)
    assert fits and (len(plan.seeds), plan.step_counts[0]) == (enough, 500)
    assert plan.step_counts == (500, 250)
    plan, fits = best_within(3, COST, 3 * 3 * enough * both(100) + 0.01)
    assert fits and (len(plan.seeds), len(plan.learning_rates)) == (enough, 3)
    plan, fits = best_within(3, COST, 3 * 2 * enough * both(100) + 0.01)
    assert fits and (len(plan.seeds), len(plan.learning_rates)) == (enough, 2)
    plan, fits = best_within(3, COST, 3 * 2 * 3 * COST.of(100) + 0.01)
    assert fits and len(plan.seeds) == 3 and plan.step_counts == (100,)
    plan, fits = best_within(3, COST, 0.1)
    assert not fits and plan.seconds > 0.1


def test_a_loss_that_a_pilot_may_add_is_given_up_before_seeds_that_can_decide() -> None:
    run = 2 * seeds_needed(1) * both(100)  # of the smallest plan that can decide
    added = 3 * seeds_needed(2) * (2 * both(100) + both(DIALLED * 100))
    plan, fits = best_within(2, COST, 2.01 * run, dial=True)
    assert fits and not plan.dial and len(plan.seeds) == seeds_needed(1)
    plan, fits = best_within(2, COST, added + 0.01, dial=True)
    assert fits and plan.dial and plan.seconds == pytest.approx(added)
    least = best_within(2, COST, 0.1)[0]
    assert best_within(2, COST, 0.1, dial=True) == (least, False)


def test_scores_that_take_long_leave_less_to_train() -> None:
    def trained(scores: float) -> int:
        plan, fits = best_within(4, COST._replace(scores=scores), 300)
        assert fits
        return plan.step_counts[0] * len(plan.seeds) * len(plan.learning_rates)

    assert trained(1.0) < trained(0.01)
