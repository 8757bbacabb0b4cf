"""A strategy that trains the heads and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clbench.contract import Count, Problem, Strategy

if TYPE_CHECKING:
    from torch import nn


class Head(Strategy):
    """Freezes the backbone.

    Args:
        rank: Shares its name with a parameter of another strategy.
    """

    def __init__(self, *, rank: Count = 2) -> None:
        self.rank = rank

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        model.requires_grad_(False)
        for parameter in problem.heads(model):
            parameter.requires_grad_(True)
