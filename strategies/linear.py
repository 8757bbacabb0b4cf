"""Linear probe: the backbone stays as it is, only the heads are trained."""

from __future__ import annotations

from torch import nn

from clbench.contract import Problem, Strategy
from clbench.lowrank import RATES, freeze


class Linear(Strategy):
    """Trains the heads on frozen features: what pre-training alone is worth."""

    search = RATES

    def unsupported(self, problem: Problem) -> str | None:
        """Where there is no head to train."""
        if problem.zero_shot:
            return "the model has no head to train: it answers as it is (zeroshot)"
        return None

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Freeze everything but the heads."""
        freeze(model, problem)
