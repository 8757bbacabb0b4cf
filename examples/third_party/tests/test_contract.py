"""Both plugins keep clbench's contract."""

import pytest
from shrinking.method import Shrink
from shrinking.rotations import Rotations

from clbench import check


@pytest.mark.parametrize("one", check.STRATEGY_CHECKS)
def test_the_strategy(one):
    one(Shrink)


@pytest.mark.parametrize("one", check.SCENARIO_CHECKS)
def test_the_scenario(one):
    one(Rotations)


@pytest.mark.parametrize("one", check.PAIR_CHECKS)
def test_both(one):
    one(Shrink, Rotations)
