"""Bounds: lines that learn a variant of the problem, which others are compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan, nan
from statistics import fmean
from typing import Any

from clbench.board.line import Line
from clbench.contract import Scenario


def is_bound(params: Mapping[str, Any], scenario: type[Scenario]) -> bool:
    """Whether a cell learns a variant of the problem, which is not ranked."""
    return any(params[name] in values for name, values in scenario.variants.items())


def against(scenario: type[Scenario], lines: Sequence[Line]) -> dict[str, Line]:
    """The bound that each line is compared with, by the line's `way`.

    None for bounds themselves, nor where there is no bound.
    """
    bounds = sorted(
        (line for line in lines if line.bound and line.repeats),
        key=lambda bound: _worth(scenario, bound),
    )
    if not bounds:
        return {}
    found = {}
    for line in lines:
        if line.bound:
            continue
        name = line.first.strategy.name
        own = [other for other in bounds if other.first.strategy.name == name]
        found[line.way] = (
            bounds[0] if scenario.reference == "all" else [*own, *bounds][0]
        )
    return found


def compared(line: Line, bound: Line) -> dict[str, list[float]]:
    """The scenario's `compared` numbers of `line`, repeat by repeat.

    NaN where `bound` has no such repeat.
    """
    scenario = line.scenario
    found: dict[str, list[float]] = {m.name: [] for m in scenario.compared}
    for repeat in line.repeats:
        places = [(repeat, fold) for fold in line.folds]
        numbers = [
            scenario.against(line.cells[p].matrix(), bound.cells[p].matrix())
            for p in places
            if p in bound.records
        ]
        for name, values in found.items():
            known = [n[name] for n in numbers if not isnan(n.get(name, nan))]
            whole = len(known) == len(places)
            values.append(fmean(known) if whole else nan)
    return found


def _worth(scenario: type[Scenario], bound: Line) -> tuple[float, str]:
    """Sorts bounds: the one that trains most first, or the best."""
    if scenario.reference == "all":
        return (-_trained(bound), bound.label)
    score = bound.score(scenario.main.name)
    sign = -1 if scenario.main.higher_is_better else 1
    return (sign * score.mean if score else 0.0, bound.label)


def _trained(line: Line) -> int:
    """Parameters that were trained, of whatever kind."""
    costs = [record.cost for record in line.records.values() if record.cost is not None]
    return max((sum(c.trainable.model_dump().values()) for c in costs), default=0)
