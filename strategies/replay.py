"""Replay: examples of earlier experiences are learned again beside the new ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import torch
from torch import Tensor

from clbench.contract import (
    Batch,
    Between,
    Count,
    Experience,
    NonNegative,
    Reference,
    Run,
    Strategy,
)
from clbench.past import Memory, Select


class Replay(Strategy):
    """Experience replay from a memory of limited size.

    Args:
        memory: Examples that the memory holds.
        batch: Examples of it in every step.
        weight: Weight of their loss.
        select: `reservoir` keeps all examples ever seen with equal probability,
            `balanced` equally many of each experience.
    """

    reference = Reference(
        paper=(
            "Chaudhry et al.: On Tiny Episodic Memories in Continual Learning. 2019"
        ),
        url="https://arxiv.org/abs/1902.10486",
        differs="The memory takes from an experience when it ends; the losses add up.",
    )

    def __init__(
        self,
        *,
        memory: Count = 200,
        batch: Count = 32,
        weight: Annotated[NonNegative, Between(1e-1, 1e1, log=True)] = 1.0,
        select: Select = "reservoir",
    ) -> None:
        self.memory = memory
        self.batch = batch
        self.weight = weight
        self.select = select
        self._kept = Memory(memory, select)

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        """Loss of examples from the memory; none before there are any."""
        parts = list(self._kept.draw(self.batch, run.rng, run.device))
        if not parts:
            return None
        losses = [run.problem.loss(run.model(part), part) for part in parts]
        return self.weight * torch.stack(losses).mean()

    def after_experience(self, run: Run, experience: Experience) -> None:
        """Take from what was learned."""
        self._kept.add(experience.train, run.rng)

    def state(self) -> dict[str, Any]:
        """The memory."""
        return self._kept.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take the memory back."""
        self._kept.load(state)
