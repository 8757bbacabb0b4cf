"""Intervals of means: known quantiles, and how often they hold the true mean."""

from __future__ import annotations

import numpy as np
import pytest

from clbench.statistics.intervals import half_width


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
