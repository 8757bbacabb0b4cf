"""A-GEM: no step may raise the loss of remembered examples, to first order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from clbench.contract import Count, Experience, Reference, Run, Strategy, trainable
from clbench.past import Memory, Select


class Agem(Strategy):
    """Averaged gradient episodic memory: gradients that conflict are projected.

    Args:
        memory: Examples that the memory holds.
        batch: Examples of it in every step.
        select: As in `replay`.
    """

    reference = Reference(
        paper="Chaudhry et al.: Efficient Lifelong Learning with A-GEM. ICLR 2019",
        url="https://arxiv.org/abs/1812.00420",
        equations=("11",),
        differs="The memory takes from an experience when it ends.",
    )

    def __init__(
        self,
        *,
        memory: Count = 200,
        batch: Count = 64,
        select: Select = "balanced",
    ) -> None:
        self.memory = memory
        self.batch = batch
        self.select = select
        self._kept = Memory(memory, select)

    def before_step(self, run: Run) -> None:
        """Where g . g_ref < 0: g <- g - (g . g_ref / g_ref . g_ref) g_ref."""
        parts = list(self._kept.draw(self.batch, run.rng, run.device))
        known = [p for p in trainable(run.model.parameters()) if p.grad is not None]
        if not parts or not known:
            return
        losses = [run.problem.loss(run.model(part), part) for part in parts]
        reference = torch.autograd.grad(
            torch.stack(losses).mean(), known, allow_unused=True
        )
        pairs = [
            (p.grad, r)
            for p, r in zip(known, reference, strict=True)
            if r is not None and p.grad is not None
        ]
        product = torch.stack([(g * r).sum() for g, r in pairs]).sum()
        length = torch.stack([r.square().sum() for _, r in pairs]).sum()
        # Without asking the device: what does not conflict is projected by nothing.
        factor = (product / length.clamp_min(1e-30)).clamp_max(0)
        for gradient, r in pairs:
            gradient.sub_(factor * r)

    def after_experience(self, run: Run, experience: Experience) -> None:
        """Take from what was learned."""
        self._kept.add(experience.train, run.rng)

    def state(self) -> dict[str, Any]:
        """The memory."""
        return self._kept.state()

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take the memory back."""
        self._kept.load(state)
