"""PEGO as a strategy: inject a group on q and v, add the two penalties."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from clbench.contract import (
    Batch,
    Between,
    Count,
    Experience,
    NonNegative,
    Problem,
    Reference,
    Run,
    Strategy,
)
from clbench.lowrank import RATES, inject
from clbench.seeding import derive

from .penalty import VITB_ENTRIES, Stack, l1, stacks

LOG_EVERY = 50
"""Steps between two entries of the penalties in the log."""


class Pego(Strategy):
    """A group of low-rank adapters in parallel on every query and value projection.

    Args:
        rank: Rank r of each adapter.
        members: Number N of adapters in parallel; the paper has 2 for PACS, else 4.
        preserve: Weight of the penalty that keeps each update's rows orthogonal to
            those of the pre-trained weight.
        diversify: Weight of the penalty that keeps updates orthogonal to each other.
        lambda_scale: `raw` takes both weights as they are; `vitb_equivalent` multiplies
            them by the number of matrix entries that ViT-B/16 sums over, divided by
            this model's: 1 for ViT-B/16. On the embedded world's ViT that factor is 72,
            and adapters hardly leave zero.
    """

    search = RATES
    reference = Reference(
        paper=(
            "Hu, Zhang, Qi, Shi and Gao: Learn to Preserve and Diversify: "
            "Parameter-Efficient Group with Orthogonal Regularization for Domain "
            "Generalization. ECCV 2024"
        ),
        url="https://arxiv.org/abs/2407.15085",
        differs=(
            "Computed in the weights' own precision; the released code casts weights "
            "to half precision after every step. Penalties take the factored form, "
            "which is equal."
        ),
    )

    def __init__(
        self,
        *,
        rank: Count = 4,
        members: Count = 4,
        preserve: Annotated[NonNegative, Between(1e-5, 1e-2, log=True)] = 1e-3,
        diversify: Annotated[NonNegative, Between(1e-5, 1e-2, log=True)] = 1e-3,
        lambda_scale: Literal["vitb_equivalent", "raw"] = "raw",
    ) -> None:
        self.rank = rank
        self.members = members
        self.preserve = preserve
        self.diversify = diversify
        self.lambda_scale = lambda_scale
        self._stacks: list[Stack] = []

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Inject the group; everything else but the heads is frozen."""
        seed = derive(problem.seed, "pego")
        self._layers = inject(
            model,
            problem,
            roles=("q", "v"),
            rank=self.rank,
            groups=self.members,
            generator=torch.Generator().manual_seed(seed),
        )

    def before_experience(self, run: Run, experience: Experience) -> None:
        """Frozen weights stay as they are during an experience: stack them anew."""
        self._stacks = []

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor:
        """The two penalties, each with its weight; both are logged without."""
        if not self._stacks:
            self._stacks = stacks(self._layers)
        kept = spread = torch.zeros((), device=run.device)
        for stack in self._stacks:
            kept = kept + l1(*stack.preserve_factors())
            if self.members > 1:
                spread = spread + l1(*stack.diversify_factors())
        if run.total_step % LOG_EVERY == 0:
            run.log("preserve", kept.item())
            run.log("diversify", spread.item())
        scale = self._scale(self._stacks)
        return scale * (self.preserve * kept + self.diversify * spread)

    def state(self) -> dict[str, Any]:
        """Nothing: stacks are made of the layers when they are asked for."""
        return {}

    def _scale(self, stacks: list[Stack]) -> float:
        if self.lambda_scale == "raw":
            return 1.0
        return VITB_ENTRIES / sum(stack.entries for stack in stacks)
