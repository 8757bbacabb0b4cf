"""Low-rank layers whose rank grows while they learn, each slice by itself."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clbench.lowrank.attention import LowRankAttention
from clbench.lowrank.layer import Adapter, LowRank

STD = 0.02
"""Deviation of the normal distribution that A and B are drawn from."""

TINY = 1e-5
"""Singular value of a reserve while it waits; also added to the rank in a divisor."""


class Components(nn.Module):
    """The update of one map: dW = alpha / (rank + 1e-5) sum_j B_j diag(E_j) A_j.

    The sum is over all entries, the active ones first and then the reserves, whose E is
    tiny and frozen; `rank` counts the active ones. Entry 0 has the first rank, every
    other is one component. E starts at 0, A and B are N(0, 0.02^2).

    Args:
        d: Output rows.
        d_in: Input columns.
        rank: Active components to start with.
        alpha: Factor, divided by the rank at every use: growth shrinks what is there.
        like: Gives type and device.
        generator: Draws A and B.

    Attributes:
        A: (k_j, d_in) each.
        B: (d, k_j) each.
        E: (k_j, 1) each.
        rank: Active components now.
        first: Components of entry 0.
        watched: Whether the gradient of the loss by dW is kept.
        summed: Whether gradients of several uses and of several backward passes are
            added up until `forget`; else the last one stays.
        gradient: (d, d_in) that gradient; None where there was none.
    """

    def __init__(
        self,
        d: int,
        d_in: int,
        *,
        rank: int,
        alpha: float,
        like: Tensor,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.rank, self.first, self.alpha = rank, rank, alpha
        self.A, self.B, self.E = (nn.ParameterList() for _ in range(3))
        self.watched, self.summed = False, True
        self.gradient: Tensor | None = None
        self._append(d, d_in, rank, like)
        self.draw(generator)

    @property
    def entries(self) -> int:
        """Number of entries, active and reserve."""
        return len(self.E)

    @property
    def reserves(self) -> range:
        """Positions of the entries that wait."""
        return range(1 + self.rank - self.first, self.entries)

    @property
    def whole(self) -> tuple[Tensor, Tensor]:
        """(K, d_in) and (d, K): A and B of all entries, reserves included."""
        return torch.cat(list(self.A)), torch.cat(list(self.B), dim=1)

    @property
    def factors(self) -> tuple[Tensor, Tensor]:
        """(K, d_in) and (d, K) whose product is dW: E and alpha are within the latter.

        Test: dW of IncreLoRA's released layer.
        """
        A, B = self.whole
        scale = self.alpha / (self.rank + TINY)
        return A, B * (scale * torch.cat(list(self.E)).T)

    def delta(self) -> Tensor:
        """(d, d_in) dW; its gradient is kept where it is watched."""
        A, B = self.factors
        made = B @ A
        if self.watched and made.requires_grad:
            made.register_hook(self._see)
        return made

    @torch.no_grad()
    def score(self) -> Tensor:
        """Scalar, sum |dW * dL/d(dW)| / sqrt(d d_in); 0 where no gradient came."""
        A, B = self.factors
        if self.gradient is None:
            return A.new_zeros(())
        numel = self.gradient.numel()
        return ((B @ A) * self.gradient).abs().sum() / math.sqrt(numel)

    @property
    def seen(self) -> Tensor:
        """(d, d_in) the gradient that came; 0 where none did."""
        if self.gradient is not None:
            return self.gradient
        A: Tensor = self.A[0]
        return A.new_zeros(len(self.B[0]), A.shape[1])

    def forget(self) -> None:
        """Let the gradient go."""
        self.gradient = None

    def reserve(
        self, count: int, generator: torch.Generator, *, advance: bool
    ) -> list[nn.Parameter]:
        """Append `count` reserves.

        Args:
            count: How many.
            generator: Draws their A and B.
            advance: Whether these learn in advance, with E at 1e-5; else E is 0 and
                nothing of them is trained.

        Returns:
            What is trained from now on.
        """
        (_, d_in), (d, _) = self.A[0].shape, self.B[0].shape
        new = range(self.entries, self.entries + count)
        for _ in new:
            self._append(d, d_in, 1, self.A[0])
        for j in new:
            self._draw(j, generator)
            self.E[j].requires_grad_(False).fill_(TINY if advance else 0.0)
            self.A[j].requires_grad_(advance)
            self.B[j].requires_grad_(advance)
        return [p for j in new for p in (self.A[j], self.B[j]) if advance]

    def promote(self, count: int) -> list[nn.Parameter]:
        """Let the first `count` reserves become active.

        Returns:
            What of them was not trained before.
        """
        parameters = []
        for j in self.reserves[:count]:
            every = (self.E[j], self.A[j], self.B[j])
            parameters += [p for p in every if not p.requires_grad]
        self.rank += count
        return [p.requires_grad_() for p in parameters]

    @torch.no_grad()
    def arm(self, value: float) -> None:
        """Let the E of all reserves be `value`."""
        for j in self.reserves:
            self.E[j].fill_(value)

    def get_extra_state(self) -> Tensor:
        """(2,) rank and number of entries, which go before the entries themselves."""
        return torch.tensor([self.rank, self.entries])

    def set_extra_state(self, state: Tensor) -> None:
        """Have as many entries as another, and as many of them active."""
        rank, entries = state.tolist()
        if self.entries > entries:
            self.A, self.B, self.E = (
                nn.ParameterList(list(factors)[:entries])
                for factors in (self.A, self.B, self.E)
            )
        self.rank = min(self.rank, rank)
        self.shape_as(rank, entries, advance=True)

    def shape_as(self, rank: int, entries: int, *, advance: bool) -> None:
        """Have as many entries as another had, so that its parameters can be loaded."""
        silent = torch.Generator().manual_seed(0)
        while self.entries < entries:
            self.reserve(1, silent, advance=advance)
        self.promote(rank - self.rank)

    @torch.no_grad()
    def draw(self, generator: torch.Generator) -> None:
        """Start anew: A and B are drawn, E is 0."""
        for j in range(self.entries):
            self._draw(j, generator)
            self.E[j].zero_()

    @torch.no_grad()
    def _draw(self, j: int, generator: torch.Generator) -> None:
        for factor in (self.A[j], self.B[j]):
            drawn = torch.empty(factor.shape, dtype=torch.float32)
            factor.copy_(drawn.normal_(0, STD, generator=generator))

    def _append(self, d: int, d_in: int, k: int, like: Tensor) -> None:
        self.A.append(nn.Parameter(like.new_zeros(k, d_in)))
        self.B.append(nn.Parameter(like.new_zeros(d, k)))
        self.E.append(nn.Parameter(like.new_zeros(k, 1)))

    def _see(self, gradient: Tensor) -> None:
        found = gradient.detach()
        if self.gradient is not None and self.summed:
            found = self.gradient + found
        self.gradient = found


class Growing(Adapter):
    """What a growing layer has, whatever it wraps: `Components` for each slice.

    Args:
        base: The module that is wrapped and frozen.
        rank: Active components of each slice to start with.
        alpha: As in `Components`.
        generator: Draws A and B; E starts at 0, so that nothing changes.
        settings: The others of the layer.
    """

    def __init__(
        self,
        base: Any,
        *,
        rank: int,
        alpha: float,
        generator: torch.Generator,
        **settings: Any,
    ) -> None:
        super().__init__(base, rank=rank, generator=torch.Generator(), **settings)
        d, d_in = self.B.shape[1], self.A.shape[2]
        like = self.A
        # Each slice has factors of its own size instead.
        del self.A, self.B
        self.updates = nn.ModuleList(
            Components(d, d_in, rank=rank, alpha=alpha, like=like, generator=generator)
            for _ in self.rows
        )

    @property
    def components(self) -> dict[str, Components]:
        """`<path>.<role>` -> the update of that map."""
        return {
            f"{self.name}.{role}": update
            for role, update in zip(self.roles, self.updates, strict=True)
            if isinstance(update, Components)
        }

    @property
    def current(self) -> tuple[Tensor, Tensor]:
        """(P, K, d_in) and (P, d, K), those of lower rank filled up with zeros."""
        pairs = [update.factors for update in self.components.values()]
        K = max(len(A) for A, _ in pairs)
        return (
            torch.stack([F.pad(A, (0, 0, 0, K - len(A))) for A, _ in pairs]),
            torch.stack([F.pad(B, (0, K - B.shape[1])) for _, B in pairs]),
        )

    @property
    def watched(self) -> bool:
        """Whether a gradient by dW is to be kept of what is computed now."""
        watched = any(update.watched for update in self.components.values())
        return watched and torch.is_grad_enabled()

    def delta(self) -> Tensor:
        """(P, d, d_in) the updates."""
        return torch.stack([update.delta() for update in self.components.values()])

    def _draw(self, generator: torch.Generator) -> None:
        if "updates" in self._modules:
            for update in self.components.values():
                update.draw(generator)


class GrowingLinear(Growing, LowRank):
    """`nn.Linear` with updates whose ranks grow.

    Args:
        base: The map that is wrapped and frozen.
        dropout: Part of the input that the updates do not see in training.
        settings: The others of `Growing`.
    """

    def __init__(
        self, base: nn.Linear, *, dropout: float = 0.0, **settings: Any
    ) -> None:
        super().__init__(base, **settings)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """(..., d_in) -> (..., d_out)."""
        if not self.enabled or self.merged:
            return super().forward(x)
        if self.dropout and self.training:
            update = self._add(torch.zeros_like(self.frozen))
            dropped = F.dropout(x, self.dropout)
            return F.linear(x, self.frozen, self.bias) + F.linear(dropped, update)
        if self.watched:
            return F.linear(x, self.effective(), self.bias)
        return super().forward(x)


class GrowingAttention(Growing, LowRankAttention):
    """`nn.MultiheadAttention` with updates of q, k and v whose ranks grow."""
