"""Low-rank updates of `nn.MultiheadAttention`'s packed projection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from clbench.contract import Role
from clbench.lowrank.layer import Adapter


class LowRankAttention(Adapter):
    """`nn.MultiheadAttention` with low-rank updates of its packed q, k, v projection.

    The module reads its packed weight as a whole and hands it to a fused kernel, so the
    updated weight is formed once for each call (d^2 K operations, against n d^2 for n
    tokens) and everything else, masks included, stays torch's own.

    Args:
        base: The attention that is wrapped and frozen.
        roles, rows, rank, groups, scale, name, generator: As in `Adapter`.
    """

    def __init__(
        self,
        base: nn.MultiheadAttention,
        *,
        roles: Sequence[Role],
        rows: Sequence[tuple[int, int]] | None = None,
        rank: int,
        groups: int = 1,
        scale: float = 1.0,
        name: str = "",
        generator: torch.Generator,
    ) -> None:
        assert base.in_proj_weight is not None
        super().__init__(
            base.in_proj_weight,
            roles=roles,
            rows=rows,
            rank=rank,
            groups=groups,
            scale=scale,
            name=name,
            generator=generator,
        )
        self.base = base

    @property
    def frozen(self) -> Tensor:
        """(3 d, d) the packed projection of the wrapped attention."""
        weight = self.base.in_proj_weight
        assert weight is not None
        return weight

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """As `nn.MultiheadAttention.forward`."""
        if (self.enabled and not self.merged) or (self.merged and not self.enabled):
            weights = {"in_proj_weight": self.effective()}
            return functional_call(self.base, weights, args, kwargs)
        return self.base(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        """Attributes of the attention that other layers read, such as `batch_first`."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "base":
                raise
            return getattr(super().__getattr__("base"), name)
