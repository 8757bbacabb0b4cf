"""What a cell computes with: its scenario, and the model that a strategy prepared."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from torch import nn

from clbench import registry
from clbench.contract import Scenario, Strategy
from clbench.devices import Plan, methods_of, repeated
from clbench.findings import Findings
from clbench.masking import expanded
from clbench.problem import view

if TYPE_CHECKING:
    from clbench.resolved import Cell


def build_scenario(cell: Cell) -> Scenario:
    """The scenario of `cell`, with the recipe that the cell resolves to.

    Raises:
        InputError: Its parameters or its data are wrong.
    """
    kind: Any = registry.load("scenario", cell.scenario.name)
    scenario: Scenario = kind(**expanded(cell.scenario.params), seed=cell.seed)
    scenario.recipe = dataclasses.replace(scenario.recipe, **cell.recipe)
    return scenario


def prepared(
    scenario: Scenario, strategy: Strategy, plan: Plan, found: Findings
) -> nn.Module:
    """The model of `scenario`, prepared by `strategy`, on its device.

    Args:
        scenario: Whose model.
        strategy: Prepares it.
        plan: How it computes.
        found: Told of it before the strategy touches it.
    """
    problem, model = view(scenario), scenario.model()
    found.begin(model, scenario.heads(model))
    again = repeated(model, problem, plan.settings)
    strategy.prepare(model, problem)
    model.to(plan.device)
    if not plan.usual:
        plan.apply(model, methods_of(model, problem), again)
    return model
