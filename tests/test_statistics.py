"""Tests, corrections and ranks: closed forms, small cases by hand, simulations."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from clbench.contract import InputError
from clbench.statistics import paired
from clbench.statistics.factors import components
from clbench.statistics.multiple import holm
from clbench.statistics.ranking import places
from clbench.statistics.several import critical_difference, mean_ranks

# --- Holm's correction ---


def test_holm_s_order_by_hand():
    # 4 x 0.01, 3 x 0.02, 2 x 0.03, 1 x 0.04, and none below one before it.
    found = holm(np.array([0.04, 0.01, 0.03, 0.02]))
    assert found == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_holm_stops_at_one_and_keeps_ties():
    assert holm(np.array([0.6, 0.5])) == pytest.approx([1.0, 1.0])
    assert holm(np.array([0.01, 0.01, 0.5])) == pytest.approx([0.03, 0.03, 0.5])
    assert holm(np.array([])).shape == (0,)


def test_holm_errs_in_a_family_as_often_as_it_says():
    rng = np.random.default_rng(0)
    wrong = [(holm(rng.uniform(size=10)) < 0.05).any() for _ in range(4000)]
    assert 0.04 <= np.mean(wrong) <= 0.06


# --- paired tests ---


@pytest.mark.parametrize("n", [3, 4, 5, 6])
def test_sign_flips_are_exact(n):
    """Against all 2^n flips, one by one."""
    d = np.random.default_rng(n).normal(0.5, 1.0, size=n)
    flips = np.array(list(itertools.product([1, -1], repeat=n)))
    means = np.abs((flips * d).mean(1))
    exact = (means >= abs(d.mean()) - 1e-12).mean()
    assert paired.sign_flips(d) == pytest.approx(exact)


@pytest.mark.parametrize(("n", "smallest"), [(3, 0.25), (5, 0.0625), (6, 0.03125)])
def test_the_smallest_p_of_sign_flips(n, smallest):
    d = np.linspace(1.0, 2.0, n)
    assert paired.smallest_p(n) == smallest
    assert paired.sign_flips(d) == pytest.approx(smallest)


def test_many_sign_flips_are_drawn_and_always_the_same():
    d = np.random.default_rng(0).normal(0.3, 1.0, size=20)
    first = paired.sign_flips(d)
    assert first == paired.sign_flips(d)
    assert first == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.02)


def test_the_t_test_is_scipy_s_and_leaves_out_what_is_missing():
    d = np.array([[1.0, 2.0, 4.0, np.nan], [0.5, -1.0, 0.25, 2.0]])
    wanted = [stats.ttest_1samp(row[~np.isnan(row)], 0).pvalue for row in d]
    assert paired.t_test(d) == pytest.approx(wanted)


def test_which_test_decides():
    few = paired.test(np.array([1.0, 1.1, 1.2]))
    assert (few.by, few.smallest, few.flips) == ("t", 0.25, 0.25)
    assert few.p == few.t < 0.01
    many = paired.test(np.array([1.0, 1.1, 1.2, 1.3, 1.4, 1.5]))
    assert (many.by, many.p) == ("sign flips", 0.03125)
    assert paired.test(np.array([1.0, 2.0])) is None


def test_equal_differences_are_no_proof():
    """No spread is no evidence of a small one: t would say p = 0."""
    found = paired.test(np.array([0.1, 0.1, 0.1]))
    assert (found.t, found.by, found.p) == (None, "sign flips", 0.25)
    assert paired.test(np.zeros(3)).p == 1.0
    # Nor is a spread that is rounding.
    assert np.isnan(paired.t_test(np.array([[0.1, 0.1, 0.1 + 1e-16]]))[0])


@pytest.mark.parametrize("n", [3, 5])
def test_the_paired_t_test_errs_at_its_rate(n):
    rng = np.random.default_rng(n)
    p = paired.t_test(rng.normal(size=(8000, n)))
    assert 0.043 <= (p < 0.05).mean() <= 0.057


# --- ranks ---


def table(*rows):
    return np.array(rows, dtype=float)


def test_equal_rows_share_a_rank_and_the_next_is_counted_after_them():
    found = places(table([3, 3, 4], [1, 2, 1], [3, 3, 4], [0, 0, 1]), True)
    assert [place.rank for place in found] == [1, 3, 1, 4]
    assert found[0] == found[2]


def test_ranks_follow_the_way_that_is_up():
    values = table([1.0, 1.1, 0.9], [2.0, 2.1, 1.9])
    assert [place.rank for place in places(values, True)] == [2, 1]
    assert [place.rank for place in places(values, False)] == [1, 2]


def test_rank_intervals_and_groups_on_constructed_data():
    """Two clear steps, and within each step what cannot be told apart."""
    rng = np.random.default_rng(0)
    values = np.stack(
        [level + 0.01 * rng.normal(size=5) for level in (3.0, 3.001, 2.0, 2.001, 1.0)]
    )
    found = places(values, True)
    assert [place.group for place in found] == [1, 1, 2, 2, 3]
    assert [place.interval for place in found] == [
        (1, 2),
        (1, 2),
        (3, 4),
        (3, 4),
        (5, 5),
    ]


def test_noise_is_one_group_whose_ranks_are_open():
    rng = np.random.default_rng(0)
    found = places(rng.normal(size=(6, 5)), True)
    assert {place.group for place in found} == {1}
    assert {place.interval for place in found} == {(1, 6)}
    assert sorted(place.rank for place in found) == [1, 2, 3, 4, 5, 6]


def test_a_group_is_what_is_not_worse_than_its_best():
    """A row that jumps about joins the group at hand, and its interval tells."""
    steady = np.array([0.0, 0.01, -0.01, 0.02, -0.02])
    values = table(3 + steady, 2 + steady[::-1], 1.9 + np.array([0, 6, -6, 5, -5]))
    found = places(values, True)
    assert [place.rank for place in found] == [1, 2, 3]
    assert [place.group for place in found] == [1, 2, 2]
    assert [place.interval for place in found] == [(1, 2), (2, 3), (1, 3)]


def test_few_seeds_are_ranked_and_not_grouped():
    nan = float("nan")
    values = table([3, 3.1, 3.05], [9, 9.1, nan], [1, 1.1, 1.04])
    first, second, third = places(values, True)
    assert (second.rank, second.group, second.interval) == (1, None, None)
    assert (first.rank, third.rank) == (2, 3)
    # Whoever is not tested may stand above or below: the interval leaves room.
    assert first.interval == (1, 2)
    assert third.interval == (2, 3)


def test_rows_without_common_seeds_are_not_compared():
    nan = float("nan")
    values = table([3, 3.1, 3.05, nan, nan, nan], [nan, nan, nan, 1, 1.1, 1.05])
    assert [place.interval for place in places(values, True)] == [(1, 2), (1, 2)]


def test_a_single_row():
    (only,) = places(table([1, 2, 3]), True)
    assert (only.rank, only.group, only.interval) == (1, 1, (1, 1))


@pytest.mark.parametrize("seeds", [3, 5])
def test_rank_intervals_hold_all_true_ranks_at_their_rate(seeds):
    """Six rows a step apart, with noise of that size: at least 95 in 100 times."""
    rng = np.random.default_rng(seeds)
    held = []
    for _ in range(400):
        values = np.arange(6.0)[::-1, None] + rng.normal(size=(6, seeds))
        found = places(values, True)
        inside = [
            low <= true <= high
            for true, (low, high) in zip(
                range(1, 7), (p.interval for p in found), strict=True
            )
        ]
        held.append(all(inside))
    assert np.mean(held) >= 0.95


# --- where the spread comes from ---


def test_components_of_an_exact_table():
    """a = (-1, 1), b = (-2, 0, 2), nothing else: variances 2 and 4."""
    values = {
        (i, j): 10 + a + b
        for i, a in enumerate((-1, 1))
        for j, b in enumerate((-2, 0, 2))
    }
    found = components(values)
    assert found["first"] == pytest.approx(2**0.5)
    assert found["second"] == pytest.approx(2.0)
    assert found["rest"] == pytest.approx(0.0, abs=1e-9)


def test_components_are_found_again_in_a_simulation():
    rng = np.random.default_rng(0)
    squares = []
    for _ in range(400):
        a, b = 1.0 * rng.normal(size=6), 3.0 * rng.normal(size=5)
        y = a[:, None] + b + 0.5 * rng.normal(size=(6, 5))
        found = components({(i, j): y[i, j] for i in range(6) for j in range(5)})
        squares.append([found[name] ** 2 for name in ("first", "second", "rest")])
    assert np.mean(squares, 0) == pytest.approx([1.0, 9.0, 0.25], rel=0.1)


def test_factors_that_are_not_crossed_are_not_told_apart():
    assert components({(0, 0): 1.0, (1, 1): 2.0}) == {}
    assert components({(0, 0): 1.0, (0, 1): 2.0}) == {}


# --- over several boards ---


def test_the_critical_difference_is_demsar_s():
    """JMLR 2006, section 3.2.4: four classifiers on 14 sets, q = 2.569, CD = 1.25."""
    assert critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)


def test_mean_ranks_friedman_and_runs():
    scores = np.array([[9.0, 8.0, 1.0, 0.0]] * 12) + np.linspace(0, 1, 12)[:, None]
    scores[6:, :2] = scores[6:, 1::-1]
    scores[6:, 2:] = scores[6:, 3:1:-1]
    found = mean_ranks(["a", "b", "c", "d"], scores)
    assert found.means == [1.5, 1.5, 3.5, 3.5]
    assert found.alike == [["a", "b"], ["c", "d"]]
    assert found.friedman == pytest.approx(stats.friedmanchisquare(*scores.T).pvalue)
    assert found.critical == critical_difference(4, 12)
    by_pairs = mean_ranks(["a", "b", "c", "d"], scores, "wilcoxon")
    assert by_pairs.alike == found.alike
    assert by_pairs.critical is None


def test_ties_share_ranks():
    scores = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 1.0]])
    assert mean_ranks(["a", "b", "c"], scores).means == [1.5, 1.5, 3.0]


@pytest.mark.parametrize("shape", [(1, 4), (5, 2)])
def test_too_few_strategies_or_boards_is_said(shape):
    with pytest.raises(InputError, match="three strategies on two boards"):
        mean_ranks(["a", "b", "c", "d"][: shape[1]], np.zeros(shape))
