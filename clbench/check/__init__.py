"""The contract as public checks: the project's tests run them, and so may anyone.

`clbench check strategy=mine` runs every check of one strategy on the toy of every
scenario; `clbench check scenario=mine` the other way round. A test of a third party
needs three lines::

    @pytest.mark.parametrize("check", clbench.check.PAIR_CHECKS)
    def test_contract(check):
        check(Mine, SomeScenario)
"""

from clbench.check.checks import Broken, Check, Finding, run
from clbench.check.pair import PAIR_CHECKS
from clbench.check.scenario import SCENARIO_CHECKS
from clbench.check.strategy import STRATEGY_CHECKS

__all__ = [
    "PAIR_CHECKS",
    "SCENARIO_CHECKS",
    "STRATEGY_CHECKS",
    "Broken",
    "Check",
    "Finding",
    "run",
]
