"""LoRA: low-rank adapters on chosen projections (Hu et al., ICLR 2022)."""

from __future__ import annotations

import torch
from torch import nn

from clbench.contract import Count, Positive, Problem, Reference, Role, Strategy
from clbench.lowrank import RATES, inject
from clbench.seeding import derive


class Lora(Strategy):
    """One low-rank adapter on each projection of the chosen roles.

    Args:
        rank: Rank r of each adapter.
        scale: Factor of the updates, as it stands; LoRA's alpha / r.
        roles: Which projections are adapted, such as [q,v] or [q,k,v,out,fc1,fc2].
    """

    search = RATES
    reference = Reference(
        paper=(
            "Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang and Chen: LoRA: Low-Rank "
            "Adaptation of Large Language Models. ICLR 2022"
        ),
        url="https://arxiv.org/abs/2106.09685",
        equations=("3",),
        differs="The factor is given as it stands instead of as alpha / r; no dropout.",
    )

    def __init__(
        self,
        *,
        rank: Count = 16,
        scale: Positive = 1.0,
        roles: tuple[Role, ...] = ("q", "v"),
    ) -> None:
        self.rank = rank
        self.scale = scale
        self.roles = roles

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Inject the adapters; everything else but the heads is frozen."""
        inject(
            model,
            problem,
            roles=self.roles,
            rank=self.rank,
            scale=self.scale,
            generator=torch.Generator().manual_seed(derive(problem.seed, "lora")),
        )
