"""Statistics against published and hand-computed numbers."""

import math

import numpy as np
import pytest
from scipy import stats

from lossjax.suite import statistics
from lossjax.suite.statistics import Scores, rank

# Darwin's maize, cross- minus self-fertilised, eighths of an inch; Fisher (1935, The
# Design of Experiments, section 21) counts 863 of 32,768 sign flips in one tail.
MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
# Student (1908, The probable error of a mean): hours of sleep gained, paired.
SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
WIGGLE = np.array([1, -2, 3, 0, -1, 2, -3, 1, 0, -1]) * 1e-4


def arms(**centers: float) -> dict[str, Scores]:
    """Ten paired seeds an arm, each arm with its own small noise."""
    return {
        name: Scores(center + np.roll(WIGGLE, i))
        for i, (name, center) in enumerate(centers.items())
    }


def by(ranking: statistics.Ranking) -> dict[str, str]:
    return {s.loss: s.word for s in ranking.standings}


def test_interval_of_student() -> None:
    found = statistics.interval(SLEEP)
    assert found.center == pytest.approx(1.58)
    assert found.low == pytest.approx(0.7001142, abs=1e-7)
    assert found.high == pytest.approx(2.4598858, abs=1e-7)


@pytest.mark.parametrize(
    ("n", "quantile"), [(2, 12.706), (3, 4.303), (6, 2.571), (10, 2.262), (15, 2.145)]
)
def test_interval_uses_the_published_quantiles(n: int, quantile: float) -> None:
    """Fisher's table of t at P = .05, which is two-sided, to its three digits."""
    values = np.arange(n) % 2 + np.arange(n) / 7
    found = statistics.interval(values)
    error = np.std(values, ddof=1) / math.sqrt(n)
    assert (found.high - found.center) / error == pytest.approx(quantile, abs=5e-4)
    assert (found.center - found.low) / error == pytest.approx(quantile, abs=5e-4)


def test_interval_of_darwins_maize() -> None:
    """Fisher (1935, section 17): mean 20.93 eighths of an inch, t = 2.148."""
    found = statistics.interval(MAIZE)
    assert found.center == pytest.approx(20.933, abs=5e-4)
    half = found.high - found.center
    assert found.center / (half / 2.145) == pytest.approx(2.148, abs=1e-3)
    assert 0 < found.low < 0.05


def test_sign_flip_runs_along_the_seeds() -> None:
    """Rows are losses, columns seeds; the wrong axis would give three p-values."""
    table = np.array([[1.0] * 6, [1, -1, 1, -1, 1, -1]])
    np.testing.assert_allclose(statistics.sign_flip(table), [2 / 64, 1])
    np.testing.assert_allclose(statistics.sign_flip(-table), [2 / 64, 1])
    assert statistics.sign_flip(table.T).shape == (6,)


def test_interval_is_bootstrapped_from_twenty_values() -> None:
    skewed = np.exp(np.linspace(-2, 2, 20))
    half = stats.sem(skewed) * stats.t.ppf(0.975, 19)
    found = statistics.interval(skewed)
    assert found == statistics.interval(skewed)
    assert found.center - found.low < half < found.high - found.center
    fewer = statistics.interval(skewed[:19])
    assert fewer.center - fewer.low == pytest.approx(fewer.high - fewer.center)


def test_interval_without_spread_or_without_seeds() -> None:
    assert statistics.interval([0.3, 0.3, 0.3]) == statistics.Interval(0.3, 0.3, 0.3)
    single = statistics.interval([0.3])
    assert single.center == 0.3
    assert math.isnan(single.low) and math.isnan(single.high)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1, 2, 3], 2 / 8),  # only +++ and --- are as far out
        ([3, 1, -1], 6 / 8),  # all but the flips that sum to +-1
        ([1, 1, 1, 1, 1, 1], 2 / 64),
        ([0, 0, 0], 1),
        (MAIZE, 2 * 863 / 32_768),
    ],
)
def test_sign_flip_by_hand(differences: list[float], p: float) -> None:
    found = statistics.sign_flip(np.array([differences, differences]))
    assert found == pytest.approx([p, p], abs=1e-12)


@pytest.mark.parametrize("n", [2, 7, 12])
def test_halves_equal_the_enumeration(n: int) -> None:
    values = np.random.default_rng(n).normal(0.4, 1, n)
    for differences in (values, np.round(values, 1)):
        whole = statistics.sign_flip(differences[None])[0]
        assert statistics._sign_flip_by_halves(differences) == pytest.approx(whole)


def test_sign_flip_beyond_thirty_seeds() -> None:
    alike = np.random.default_rng(1).normal(0, 1, 40)
    equal, apart = statistics.sign_flip(np.stack([alike, alike + 1]))
    assert equal > 0.05 and apart < 0.001


@pytest.mark.parametrize("n", [18, 25])
def test_random_flips_agree_with_the_exact_count(n: int) -> None:
    differences = np.random.default_rng(n).normal(0.3, 1, (4, n))
    exact = statistics.sign_flip(differences)
    assert statistics._sign_flip_at_random(differences) == pytest.approx(
        exact, abs=4 * 0.5 / 99_999**0.5
    )
    # A tie with the observed sum counts as reached, however the sum was rounded.
    ties = statistics._sign_flip_at_random(np.full((1, n), 0.1))
    assert ties == pytest.approx(2.0 ** (1 - n), abs=2e-4) and ties >= 1e-5


def test_holm_by_hand() -> None:
    adjusted = statistics.holm([0.01, 0.04, 0.03, 0.005])
    np.testing.assert_allclose(adjusted, [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(statistics.holm([0.6, 0.7]), [1, 1])
    assert statistics.holm([]).shape == (0,)


def test_seeds_needed_is_the_first_that_can_reject() -> None:
    for rivals in (1, 2, 9, 30):
        need = statistics.seeds_needed(rivals)
        assert 2 / 2**need <= 0.05 / rivals < 2 / 2 ** (need - 1)
    assert statistics.seeds_needed(1) == 6
    assert statistics.seeds_needed(9) == 9


def test_lower_and_higher_rank_the_other_way_round() -> None:
    three = arms(a=0.1, b=0.2, c=0.3)
    lower = rank(three, direction="lower", margin=0.0, relative=False)
    higher = rank(three, direction="higher", margin=0.0, relative=False)
    assert [s.loss for s in lower.standings] == ["a", "b", "c"]
    assert [s.loss for s in higher.standings] == ["c", "b", "a"]
    assert by(lower) == {"a": "best", "b": "worse", "c": "worse"}
    behind = higher.of("a").behind
    assert behind is not None and behind.center == pytest.approx(0.2)
    assert higher.of("a").p == pytest.approx(2 * 2 / 1024)  # Holm over two rivals
    with pytest.raises(ValueError, match="direction 'up'"):
        rank(three, direction="up", margin=0.0, relative=False)


def test_effect_is_in_standard_deviations_of_the_differences() -> None:
    found = rank(
        {"a": Scores(np.zeros(4)), "b": Scores(np.array([1.0, 2.0, 3.0, 4.0]))},
        direction="lower",
        margin=0.0,
        relative=False,
    )
    assert found.of("b").effect == pytest.approx(2.5 / 1.2909944)


def test_worse_within_the_margin_is_equivalent() -> None:
    two = arms(a=0.100, b=0.102)
    apart = rank(two, direction="lower", margin=0.001, relative=False)
    within = rank(two, direction="lower", margin=0.003, relative=False)
    relative = rank(two, direction="lower", margin=0.05, relative=True)
    assert by(apart)["b"] == "worse"
    assert by(within)["b"] == "equivalent"
    assert relative.margin == pytest.approx(0.005)
    assert [s.loss for s in relative.best_set] == ["a", "b"]


def test_surely_worse_but_not_surely_by_the_margin_is_undecided() -> None:
    two = arms(a=0.1, b=0.1015)
    assert by(rank(two, direction="lower", margin=0, relative=False))["b"] == "worse"
    found = rank(two, direction="lower", margin=0.00145, relative=False)
    behind = found.of("b").behind
    assert behind is not None and behind.center > found.margin
    assert by(found)["b"] == "undecided"


def test_significantly_within_the_margin_never_leaves_the_set() -> None:
    """The shifted test rejects here too, on the side of practical equivalence."""
    found = rank(arms(a=0.1, b=0.1005), direction="lower", margin=0.1, relative=False)
    assert found.of("b").p < 0.05
    assert found.of("b").best_set


def test_equal_bits_are_equivalent() -> None:
    two = {"a": Scores(0.1 + WIGGLE), "b": Scores(0.1 + WIGGLE)}
    found = rank(two, direction="lower", margin=0.0, relative=False)
    assert by(found) == {"a": "best", "b": "equivalent"}
    assert found.needed is None
    assert len(found.best_set) == 2


def test_too_few_seeds_name_how_many_it_takes() -> None:
    few = {name: Scores(arm.values[:5]) for name, arm in arms(a=0.1, b=0.9).items()}
    found = rank(few, direction="lower", margin=0.0, relative=False)
    assert (found.n, found.needed) == (5, 6)
    assert len(found.best_set) == 2


def test_a_lost_seed_ranks_last_and_is_never_in_the_best_set() -> None:
    three = arms(a=0.1, b=0.2, c=0.3)
    broken = np.where(np.arange(10) == 3, np.nan, three["a"].values)
    three |= {
        "a": Scores(broken, lost=1, diverged=5),
        "d": Scores(broken, lost=0, failed=1),
    }
    found = rank(three, direction="lower", margin=10.0, relative=False)
    assert [s.loss for s in found.standings] == ["b", "c", "d", "a"]
    assert [s.loss for s in found.best_set] == ["b", "c"]
    assert by(found)["a"] == by(found)["d"] == "worse"
    assert math.isnan(found.of("a").center)
    lost = found.of("a")
    assert (lost.n, lost.lost, lost.diverged) == (9, 1, 5)


def test_runs_that_diverged_cost_no_place_where_a_rate_survived() -> None:
    two = arms(a=0.1, b=0.2)
    two["a"] = Scores(two["a"].values, diverged=3)
    found = rank(two, direction="lower", margin=0.0, relative=False)
    assert found.best is not None and found.best.loss == "a"
    assert found.best.diverged == 3


def test_pairing_is_by_position() -> None:
    """One arm's seeds permuted: same means, other differences."""
    two = arms(a=0.1, b=0.1001)
    seeds = np.linspace(0, 1, 10)
    paired = {name: Scores(one.values + seeds) for name, one in two.items()}
    crossed = paired | {"b": Scores(paired["b"].values[::-1])}
    gaps = [
        rank(own, direction="lower", margin=0, relative=False).of("b").behind
        for own in (paired, crossed)
    ]
    assert gaps[0] is not None and gaps[1] is not None
    assert gaps[0].center == pytest.approx(gaps[1].center)
    assert gaps[1].high - gaps[1].low > 100 * (gaps[0].high - gaps[0].low)


def test_a_metric_that_a_loss_cannot_have_makes_it_no_worse() -> None:
    """Every seed survived, and none has the score."""
    none = np.full(10, np.nan)
    some = arms(a=0.1, b=0.2) | {
        "never": Scores(none),
        "lost": Scores(none, lost=10),
        "partly": Scores(none, lost=4),
    }
    found = rank(some, direction="lower", margin=0.0, relative=False)
    assert by(found) == {
        "a": "best",
        "b": "worse",
        "lost": "worse",
        "never": statistics.UNDEFINED,
        "partly": statistics.UNDEFINED,
    }
    assert found.standings[2].loss == "lost" and not found.of("never").best_set
    alone = rank({"never": Scores(none)}, direction="lower", margin=0, relative=False)
    assert alone.best is None and alone.best_set == ()


def test_nothing_finished_has_no_best() -> None:
    lost = {"a": Scores(np.full(3, np.nan), lost=3, diverged=3)}
    found = rank(lost, direction="lower", margin=0.0, relative=False)
    assert found.best is None and found.best_set == ()


def test_holm_is_what_keeps_many_equal_rivals_in_the_set() -> None:
    """Thirty arms of pure noise: unadjusted, some would look worse than the best."""
    noise = np.random.default_rng(5).normal(0, 1, (30, 10))
    many = {str(i): Scores(row) for i, row in enumerate(noise)}
    found = rank(many, direction="lower", margin=0.0, relative=False)
    assert len(found.best_set) == 30
    best = many[found.standings[0].loss].values
    raw = statistics.sign_flip(noise - best)
    assert min(raw) < 0.05


def test_pareto_by_hand() -> None:
    mse = rank(arms(a=1, b=2, c=5, d=6), direction="lower", margin=0, relative=False)
    ssim = rank(
        arms(a=0.5, b=0.8, c=0.9, d=0.7), direction="higher", margin=0, relative=False
    )
    assert statistics.pareto({"mse": mse, "ssim": ssim}) == ["a", "b", "c"]
    assert statistics.pareto({"mse": mse}) == ["a"]
    assert statistics.pareto({}) == []


def test_pareto_does_not_depend_on_a_loss_that_lacks_a_score() -> None:
    scores = arms(a=1, b=2)
    lost = {"c": Scores(np.full(10, np.nan), lost=10)}
    mse = rank(scores | lost, direction="lower", margin=0, relative=False)
    ssim = rank(scores | lost, direction="higher", margin=0, relative=False)
    assert statistics.pareto({"mse": mse, "ssim": ssim}) == ["a", "b"]


def null_rankings(losses: int, sweeps: int) -> list[statistics.Ranking]:
    """Sweeps of equal losses: ten paired seeds, seeds differ more than losses do."""
    noise = np.random.default_rng(0)
    rankings = []
    for _ in range(sweeps):
        scores = noise.normal(size=(losses, 10)) + 3 * noise.normal(size=10)
        equal = {str(i): Scores(row) for i, row in enumerate(scores)}
        rankings.append(rank(equal, direction="lower", margin=0.0, relative=False))
    return rankings


def test_two_equal_losses_are_rarely_told_apart() -> None:
    """5 % of 400 is 20; 30 is the 99 % limit of the binomial law."""
    apart = sum(len(found.best_set) == 1 for found in null_rankings(2, 400))
    assert apart <= 30


def test_a_best_loss_is_rarely_left_out_among_ten() -> None:
    """Each of ten equal losses is truly best; without Holm 10 % are left out."""
    kept = [len(found.best_set) for found in null_rankings(10, 60)]
    assert sum(10 - n for n in kept) <= 0.05 * 10 * 60
