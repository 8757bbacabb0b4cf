"""O-LoRA: each experience learns low-rank updates orthogonal to all earlier ones."""

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
    Positive,
    Problem,
    Reference,
    Role,
    Run,
    Strategy,
)
from clbench.lowrank import RATES, inject
from clbench.seeding import derive


class Olora(Strategy):
    """Orthogonal low-rank subspaces, one for each experience.

    Args:
        rank: Rank r of each update.
        scale: Factor of the updates.
        orthogonal: Weight lambda_1 of the overlap with earlier subspaces.
        overlap: `squared` sums squares of the entries of A_i A_t^T, as the paper's
            equation does; `absolute` their absolute values, as the released code does.
        roles: Which projections are adapted.
    """

    search = RATES
    reference = Reference(
        paper=(
            "Wang et al.: Orthogonal Subspace Learning for Language Model Continual "
            "Learning. Findings of EMNLP 2023"
        ),
        url="https://arxiv.org/abs/2310.14152",
        differs=(
            "Updates are merged when their experience ends, which computes the same; "
            "their A is kept for the overlap."
        ),
    )

    def __init__(
        self,
        *,
        rank: Count = 8,
        scale: Positive = 1.0,
        orthogonal: Annotated[NonNegative, Between(1e-2, 1e1, log=True)] = 0.5,
        overlap: Literal["squared", "absolute"] = "squared",
        roles: tuple[Role, ...] = ("q", "v"),
    ) -> None:
        self.rank = rank
        self.scale = scale
        self.orthogonal = orthogonal
        self.overlap = overlap
        self.roles = roles
        self._earlier: dict[str, Tensor] = {}

    def prepare(self, model: nn.Module, problem: Problem) -> None:
        """Inject the updates; everything else but the heads is frozen."""
        seed = derive(problem.seed, "olora")
        self._generator = torch.Generator().manual_seed(seed)
        self._layers = inject(
            model,
            problem,
            roles=self.roles,
            rank=self.rank,
            scale=self.scale,
            generator=self._generator,
        )

    def penalty(self, run: Run, output: Any, batch: Batch) -> Tensor | None:
        """How far the new subspaces overlap with all earlier ones."""
        if not self._earlier:
            return None
        terms = []
        for layer in self._layers:
            product = self._earlier[layer.name].to(layer.A) @ layer.A.transpose(1, 2)
            squared = self.overlap == "squared"
            terms.append(product.square().sum() if squared else product.abs().sum())
        return self.orthogonal * torch.stack(terms).sum()

    def after_experience(self, run: Run, experience: Experience) -> None:
        """Keep the subspaces, merge the updates, begin new ones."""
        for layer in self._layers:
            kept = [layer.A.detach().clone()]
            if layer.name in self._earlier:
                kept.insert(0, self._earlier[layer.name])
            self._earlier[layer.name] = torch.cat(kept, dim=1)
            layer.absorb(self._generator)
