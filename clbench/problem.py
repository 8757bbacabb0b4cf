"""The view of a scenario that a strategy is handed: the problem, without its judge."""

from __future__ import annotations

from typing import Any

from clbench.contract import Problem, Scenario

_PUBLIC = frozenset(
    name
    for name in (*vars(Problem), *Problem.__annotations__)
    if not name.startswith("_")
)


class ProblemView:
    """Has what `Problem` declares and nothing else; computed from that class.

    Reading anything else raises AttributeError, so that a strategy cannot come upon
    the stream to come or the test data by accident.
    """

    __slots__ = ("_scenario",)

    def __init__(self, scenario: Scenario) -> None:
        object.__setattr__(self, "_scenario", scenario)

    def __getattr__(self, name: str) -> Any:
        if name not in _PUBLIC:
            raise AttributeError(
                f"a strategy's problem has no '{name}'; it has "
                f"{', '.join(sorted(_PUBLIC))}"
            )
        return getattr(object.__getattribute__(self, "_scenario"), name)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a strategy may not set 'problem.{name}'")

    def __dir__(self) -> list[str]:
        return sorted(_PUBLIC)


def view(scenario: Scenario) -> Problem:
    """`scenario` as its strategies see it."""
    return ProblemView(scenario)  # type: ignore[return-value]
