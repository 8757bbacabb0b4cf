"""Intervals of means: known quantiles, and how often they hold the true mean."""

from __future__ import annotations

import numpy as np
import pytest

from clbench.statistics.intervals import Interval, bootstrap, half_width, student


def test_one_value_says_nothing_of_its_spread():
    assert half_width([0.5]) is None
    assert half_width([]) is None


@pytest.mark.parametrize(("n", "quantile"), [(2, 12.7062), (3, 4.3027), (5, 2.7764)])
def test_students_quantiles(n, quantile):
    values = np.arange(n, dtype=float)
    wanted = quantile * values.std(ddof=1) / n**0.5
    assert half_width(values.tolist()) == pytest.approx(wanted, rel=1e-4)


def test_equal_values_have_no_width():
    assert half_width([0.25, 0.25, 0.25]) == 0


def test_it_holds_the_true_mean_at_its_rate():
    drawn = np.random.default_rng(0).normal(3.0, 2.0, size=(2000, 3))
    held = [abs(row.mean() - 3.0) <= half_width(row.tolist()) for row in drawn]
    assert 0.935 <= np.mean(held) <= 0.965


@pytest.mark.parametrize("n", [3, 5])
def test_student_s_interval_holds_the_true_mean_at_its_rate(n):
    drawn = np.random.default_rng(n).normal(3.0, 2.0, size=(3000, n))
    held = [(i := student(row.tolist())).low <= 3.0 <= i.high for row in drawn]
    assert 0.94 <= np.mean(held) <= 0.96


def test_bootstrap_intervals_are_the_same_every_time():
    values = np.random.default_rng(0).normal(size=12).tolist()
    found = bootstrap(values)
    assert found == bootstrap(values)
    assert found.low < np.mean(values) < found.high
    assert found != bootstrap(values, seed=1)


def test_bootstrap_intervals_of_little():
    assert bootstrap([0.5]) is None
    assert bootstrap([0.5, 0.5, 0.5]) == Interval(0.5, 0.5)


def test_bootstrap_intervals_hold_at_their_rate_with_many_and_not_with_few():
    """What docs/statistics.md says of them: 25 seeds are many, 5 are few."""
    rng = np.random.default_rng(0)

    def rate(n: int) -> float:
        held = []
        for _ in range(300):
            found = bootstrap(rng.normal(size=n).tolist())
            held.append(found.low <= 0 <= found.high)
        return float(np.mean(held))

    assert 0.90 <= rate(25) <= 0.97
    assert 0.75 <= rate(5) <= 0.89
