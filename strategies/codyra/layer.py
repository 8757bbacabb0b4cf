"""A low-rank layer with a gate on every rank, and the operators that close gates."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from clbench.lowrank import LowRank, product


class Gated(LowRank):
    """`nn.Linear` with W + (B * w) A: one gate w_i for each rank-one component.

    Args:
        base: The map that is wrapped and frozen.
        generator: Draws A and the gates, N(0, 1) each; B starts at 0.
        settings: The others of `LowRank`.
    """

    def __init__(
        self, base: nn.Linear, *, generator: torch.Generator, **settings: Any
    ) -> None:
        super().__init__(base, generator=generator, **settings)
        gates = torch.randn(len(self.rows), 1, self.rank, generator=generator)
        self.w = nn.Parameter(gates.to(self.A))

    @property
    def gated(self) -> Tensor:
        """(P, d, r) B with every column times its gate."""
        return self.B * self.w

    @property
    def active(self) -> Tensor:
        """(P,) number of components whose gate is open: the effective rank."""
        return (self.w != 0).sum(dim=(1, 2))

    def delta(self) -> Tensor:
        """(P, d, d_in) the gated updates."""
        return self.scale * (self.gated @ self.A)

    def forward(self, x: Tensor) -> Tensor:
        """(..., d_in) -> (..., d_out)."""
        if not self.enabled or self.merged:
            return super().forward(x)
        base = self.base
        return product(
            x, base.weight, base.bias, self.A, self.gated, self.rows, self.scale
        )

    @torch.no_grad()
    def absorb(self, generator: torch.Generator) -> None:
        """Put the updates into the wrapped map for good, and start anew."""
        super().absorb(generator)
        self.w.copy_(torch.randn(self.w.shape, generator=generator))


def soft_threshold(x: Tensor, kappa: float) -> Tensor:
    """The proximal operator of kappa |.|: towards 0 by kappa, and 0 within it."""
    return x.sign() * (x.abs() - kappa).clamp_min(0)


def released_operator(x: Tensor, kappa: float) -> Tensor:
    """As the released code shrinks: what lies beyond kappa, then what fell below it.

    For kappa > 0: 0 where |x| < 2 kappa except at |x| = kappa, which stays; else
    towards 0 by kappa. It jumps, and is no proximal operator.
    """
    moved = torch.where(x.abs() > kappa, x - x.sign() * kappa, x)
    return torch.where(moved.abs() < kappa, torch.zeros_like(moved), moved)
