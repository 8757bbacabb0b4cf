"""Zero-shot: the pre-trained model as it is, nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import nn

from clbench.contract import Group, Problem, Recipe, Space, Strategy


class Zeroshot(Strategy):
    """Judges the pre-trained model; has a meaning where it answers before training."""

    search: ClassVar[Mapping[str, Space]] = {}

    def unsupported(self, problem: Problem) -> str | None:
        """Where the head starts at random."""
        if problem.zero_shot:
            return None
        return "the model has no zero-shot head: its head starts at random"

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Freeze everything."""
        model.requires_grad_(False)

    def groups(self, model: nn.Module, recipe: Recipe) -> list[Group]:
        """None: no step is taken."""
        return []
