"""Full fine-tuning: every weight of the model is trained."""

from __future__ import annotations

from torch import nn

from clbench.contract import Problem, Strategy


class Finetune(Strategy):
    """Trains every weight; the usual lower bound of what is remembered."""

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Let every parameter learn."""
        model.requires_grad_(True)
