"""Low-rank layers: a frozen linear map plus updates B A on some of its rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from clbench.contract import InputError, Role
from clbench.lowrank.product import Rows, product


class Adapter(nn.Module):
    """What every low-rank layer has: factors, a switch, exact merging.

    A group of G adapters of rank r on P slices is one pair of factors of width
    K = G r: member g owns the columns g r to (g + 1) r.

    Args:
        weight: (d_out, d_in) frozen weight that is updated.
        roles: Role of each updated slice.
        rows: Its rows; None is all of them.
        rank: r, of each member.
        groups: G, members in parallel.
        scale: Factor of the updates: a plain number, never divided by the rank.
        name: Path of the layer, for error messages.
        generator: Draws A, uniform in ±1/sqrt(d_in) (Kaiming uniform with a = sqrt 5);
            B starts at 0, so that the layer starts as the map it wraps.

    Raises:
        InputError: The rank is larger than the slice's smaller side.
    """

    def __init__(
        self,
        weight: Tensor,
        *,
        roles: Sequence[Role],
        rows: Sequence[tuple[int, int]] | None,
        rank: int,
        groups: int,
        scale: float,
        name: str,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        d_out, d_in = weight.shape
        self.rows: Rows = tuple(rows) if rows else ((0, d_out),)
        lengths = {stop - start for start, stop in self.rows}
        if len(lengths) != 1:
            raise InputError(f"layer '{name}': slices {self.rows} differ in length")
        d = lengths.pop()
        if rank > min(d, d_in):
            raise InputError(
                f"rank={rank} is larger than layer '{name}' ({d} x {d_in}); the "
                f"largest rank there is {min(d, d_in)}"
            )
        self.roles, self.name = tuple(roles), name
        self.rank, self.groups, self.scale = rank, groups, scale
        self.enabled = True
        width = groups * rank
        self.A = nn.Parameter(weight.new_zeros(len(self.rows), width, d_in))
        self.B = nn.Parameter(weight.new_zeros(len(self.rows), d, width))
        with torch.no_grad():
            self._draw(generator)
        self._bare: Tensor | None = None

    @property
    def frozen(self) -> Tensor:
        """(d_out, d_in) the wrapped map's own parameter."""
        raise NotImplementedError

    @property
    def merged(self) -> bool:
        """Whether the wrapped map's parameter holds the updates now."""
        return self._bare is not None

    @property
    def slices(self) -> Tensor:
        """(P, d, d_in) the wrapped map's weight in the updated rows, merged or not."""
        weight = self.frozen if self._bare is None else self._bare
        return torch.stack([weight[start:stop] for start, stop in self.rows])

    def members(self) -> tuple[Tensor, Tensor]:
        """A as (P, G, r, d_in) and B as (P, G, d, r), differentiable views."""
        P, _, d_in = self.A.shape
        d = self.B.shape[1]
        A = self.A.view(P, self.groups, self.rank, d_in)
        B = self.B.view(P, d, self.groups, self.rank).transpose(1, 2)
        return A, B

    @property
    def current(self) -> tuple[Tensor, Tensor]:
        """(P, K, d_in) and (P, d, K): the factors that the layer computes with."""
        return self.A, self.B

    def delta(self) -> Tensor:
        """(P, d, d_in) the updates, summed over the group, scaled."""
        A, B = self.current
        return self.scale * (B @ A)

    def effective(self) -> Tensor:
        """(d_out, d_in) the weight that the layer computes with, differentiable."""
        if self.enabled:
            return self.frozen if self.merged else self._add(self.frozen)
        return self.frozen if self._bare is None else self._bare

    @torch.no_grad()
    def merge(self) -> None:
        """Put the updates into the wrapped map; `unmerge` gives its own weight back."""
        if self._bare is None:
            bare = self.frozen.detach().clone()
            self.frozen.copy_(self._add(self.frozen))
            self._bare = bare

    @torch.no_grad()
    def unmerge(self) -> None:
        """Give the wrapped map its own weight back, bit for bit."""
        if self._bare is not None:
            self.frozen.copy_(self._bare)
            self._bare = None

    @torch.no_grad()
    def absorb(self, generator: torch.Generator) -> None:
        """Put the updates into the wrapped map for good, and start anew.

        The layer computes what it computed before: A is drawn again, B is 0.
        """
        self.unmerge()
        self.frozen.copy_(self._add(self.frozen))
        self._draw(generator)

    def _draw(self, generator: torch.Generator) -> None:
        bound = 1 / math.sqrt(self.A.shape[-1])
        drawn = torch.empty(self.A.shape, dtype=torch.float32)
        self.A.copy_(drawn.uniform_(-bound, bound, generator=generator))
        self.B.zero_()

    def _add(self, weight: Tensor) -> Tensor:
        delta = self.delta().to(weight.dtype)
        parts, end = [], 0
        for p, (start, stop) in sorted(enumerate(self.rows), key=lambda item: item[1]):
            parts += [weight[end:start], weight[start:stop] + delta[p]]
            end = stop
        return torch.cat([*parts, weight[end:]])

    def extra_repr(self) -> str:
        """Shown by `print(model)`."""
        group = f", groups={self.groups}" if self.groups > 1 else ""
        return f"roles={'+'.join(self.roles)}, rank={self.rank}{group}"


class LowRank(Adapter):
    """`nn.Linear`, fused or not, with low-rank updates.

    Its `weight` and `bias` are those that it computes with, so that modules which read
    them instead of calling the layer (`nn.MultiheadAttention` and its `out_proj`) see
    the updates too.

    Args:
        base: The map that is wrapped and frozen.
        roles, rows, rank, groups, scale, name, generator: As in `Adapter`.
    """

    def __init__(
        self,
        base: nn.Linear,
        *,
        roles: Sequence[Role],
        rows: Sequence[tuple[int, int]] | None = None,
        rank: int,
        groups: int = 1,
        scale: float = 1.0,
        name: str = "",
        generator: torch.Generator,
    ) -> None:
        super().__init__(
            base.weight,
            roles=roles,
            rows=rows,
            rank=rank,
            groups=groups,
            scale=scale,
            name=name,
            generator=generator,
        )
        self.base = base
        self.in_features, self.out_features = base.in_features, base.out_features

    @property
    def frozen(self) -> Tensor:
        """(d_out, d_in) the wrapped map's own parameter."""
        return self.base.weight

    @property
    def weight(self) -> Tensor:
        """(d_out, d_in) the weight that the layer computes with."""
        return self.effective()

    @property
    def bias(self) -> Tensor | None:
        """(d_out,) the wrapped map's bias."""
        return self.base.bias

    @property
    def plain(self) -> dict[str, Tensor]:
        """Parameters of the `nn.Linear` that it amounts to now, in their order."""
        weight = {"weight": self.weight}
        return weight if self.bias is None else {**weight, "bias": self.bias}

    def forward(self, x: Tensor) -> Tensor:
        """(..., d_in) -> (..., d_out)."""
        base = self.base
        if self.enabled and self._bare is None:
            A, B = self.current
            return product(x, base.weight, base.bias, A, B, self.rows, self.scale)
        if self.enabled or self._bare is None:
            y: Tensor = base(x)
            return y
        return nn.functional.linear(x, self._bare, base.bias)
