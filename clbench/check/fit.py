"""Whether a strategy can begin on a scenario at all: the cheapest check of a pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clbench.check.checks import run
from clbench.check.pair import prepare_keeps_the_function
from clbench.contract import Scenario, Strategy


@dataclass(frozen=True)
class Fit:
    """Whether a strategy runs on a scenario.

    Attributes:
        runs: It says that it has a meaning there, and its `prepare` keeps the function
            of the toy's model.
        reason: Why it does not; empty where it runs.
    """

    runs: bool
    reason: str = ""


def fit(make: Callable[[], Strategy], scenario: type[Scenario]) -> Fit:
    """What `unsupported` and `prepare` of a fresh strategy say on the scenario's toy.

    Args:
        make: The strategy's class, or a call that makes one with parameters.
        scenario: Its toy is prepared, not learned.
    """
    finding = run(prepare_keeps_the_function, "", make, scenario)
    reason = finding.reason.removeprefix("InputError: ")
    return Fit(runs=finding.status == "holds", reason=reason)
